package engine_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"titrate/internal/engine"
	"titrate/internal/engine/enginetest"
)

const program = `package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "fail" {
		fmt.Println("out: it fails")
		os.Exit(7)
	}
	fmt.Println("out", os.Getenv("GREETING"))
	fmt.Fprintln(os.Stderr, "err")
	time.Sleep(time.Hour) // until it is killed
}
`

func TestEngine(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		e := d.Open(t)
		t.Cleanup(func() { _ = e.Close() })
		v, err := e.Version(t.Context())
		if err != nil || v.Name != d.Name || v.Rootless || !strings.HasPrefix(v.Platform, "linux/") {
			t.Fatalf("version %+v, %v", v, err)
		}
		dir := t.TempDir()
		enginetest.Program(t, dir, program)
		write(t, dir, "Dockerfile", "FROM scratch AS build\nARG SAID=nothing\nCOPY app /app\nLABEL said=$SAID\nEXPOSE 8080\nENTRYPOINT [\"/app\"]\nFROM build\nCOPY Dockerfile /other\n")
		id := build(t, e, dir, engine.Build{Target: "build", Args: map[string]string{"SAID": "a word"}, Labels: map[string]string{engine.Label: "me"}})
		im, err := e.Image(t.Context(), id)
		if err != nil || im.ID != id || im.Labels["said"] != "a word" || len(im.Ports) != 1 || im.Ports[0] != 8080 || im.Entrypoint[0] != "/app" || im.Platform != v.Platform {
			t.Fatalf("image %+v, %v", im, err)
		}
		if again := build(t, e, dir, engine.Build{Target: "build", Args: map[string]string{"SAID": "a word"}, Labels: map[string]string{engine.Label: "me"}}); again != id {
			t.Errorf("the same context gave %s after %s", again, id)
		}
		if err := e.Keep(t.Context(), id, "me"); err != nil {
			t.Fatal(err)
		}
		if ids, err := e.Kept(t.Context(), "me"); err != nil || len(ids) != 1 || ids[0] != id {
			t.Errorf("kept images: %v, %v", ids, err)
		}
		if ids, err := e.Kept(t.Context(), "other"); err != nil || len(ids) != 0 {
			t.Errorf("images of somebody else: %v, %v", ids, err)
		}
		t.Run("faults of a Dockerfile", func(t *testing.T) { faults(t, e, dir) })
		t.Run("life of a container", func(t *testing.T) { life(t, e, id) })
		t.Run("exit status", func(t *testing.T) { exits(t, e, id) })
		t.Run("engine gone", func(t *testing.T) { gone(t, d, e, id) })
		if err := e.LetGo(t.Context(), id, "me"); err != nil {
			t.Error(err)
		}
		if _, err := e.Image(t.Context(), id); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("a removed image: %v", err)
		}
	})
}

func faults(t *testing.T, e *engine.Engine, dir string) {
	t.Helper()
	for _, c := range []struct {
		name, text, saw string
		line            int
	}{
		{"a step that fails", "FROM scratch\nCOPY app /app\nRUN [\"/app\", \"fail\"]\n", "7", 3},
		{"a file that is not there", "FROM scratch\n\nCOPY nothing /app\n", "nothing", 3},
		{"no such instruction", "FROM scratch\nFETCH app\n", "FETCH", 2},
		{"a step of BuildKit's", "FROM scratch\nCOPY app /app\n\nRUN --mount=type=cache,target=/c [\"/app\", \"fail\"]\n", "7", 4},
		{"a platform of BuildKit's", "FROM --platform=$BUILDPLATFORM scratch\nCOPY app /app\nRUN [\"/app\", \"fail\"]\n", "7", 3},
		{"no such stage", "FROM scratch AS a\nCOPY --from=b /x /y\n", "b", 2},
	} {
		write(t, dir, "Dockerfile", c.text)
		ctx, err := engine.OpenContext(os.DirFS(dir), "")
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		_, err = e.Build(t.Context(), ctx, engine.Build{}, &log)
		fault := (*engine.BuildError)(nil)
		if !errors.As(err, &fault) || fault.Line != c.line || !strings.Contains(fault.Error(), c.saw) {
			t.Errorf("%s: %v (%+v)\n%s", c.name, err, fault, &log)
		}
	}
}

func life(t *testing.T, e *engine.Engine, image string) {
	t.Helper()
	n, err := e.EnsureNetwork(t.Context(), "titrate-test", map[string]string{engine.Label: "me"})
	if err != nil || n == "" {
		t.Fatalf("network %+v, %v", n, err)
	}
	if again, err := e.EnsureNetwork(t.Context(), "titrate-test", nil); err != nil || again != n {
		t.Errorf("once more: %+v, %v", again, err)
	}
	one := engine.Container{
		Name: "one", Image: image, Env: []string{"GREETING=hi"}, Labels: map[string]string{engine.Label: "me", engine.LabelShim: "dead"}, Network: n,
		ReadOnly: true, Limits: engine.Limits{Memory: 64 << 20, CPU: 0.5, Processes: 50},
	}
	first, err := e.Launch(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := e.Wait(t.Context(), first)
		waited <- err
	}()
	id, err := e.Launch(t.Context(), one)
	if err != nil || id == first {
		t.Fatalf("in place of one that is left: %s, %v", id, err)
	}
	if err := <-waited; err != nil && !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the one that was left: %v", err)
	}
	if st, err := e.Status(t.Context(), id); err != nil || !st.Running || st.PID == 0 {
		t.Fatalf("status %+v, %v", st, err)
	}
	if list, err := e.Containers(t.Context(), engine.Label, "me"); err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("labelled containers: %+v, %v", list, err)
	}
	one.Name, one.Labels = "two", map[string]string{engine.Label: "me", engine.LabelShim: "alive"}
	two, err := e.Launch(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) bool { return false }
	if err := e.Sweep(t.Context(), "me", func(shim string) bool { return shim == "alive" }, none); err != nil {
		t.Error(err)
	}
	if _, err := e.Status(t.Context(), id); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a container that nobody looks after: %v", err)
	}
	if st, err := e.Status(t.Context(), two); err != nil || !st.Running {
		t.Errorf("one that somebody looks after: %+v, %v", st, err)
	}
	for range 2 {
		if err := e.Remove(t.Context(), two); err != nil {
			t.Error(err)
		}
	}
	if err := e.Sweep(t.Context(), "me", none, none); err != nil {
		t.Error(err)
	}
	if nets, err := e.Networks(t.Context(), "me"); err != nil || len(nets) != 0 {
		t.Errorf("networks %v, %v", nets, err)
	}
}

func exits(t *testing.T, e *engine.Engine, image string) {
	t.Helper()
	id, err := e.Create(t.Context(), engine.Container{Image: image, Command: []string{"/app", "fail"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if st, err := e.Wait(t.Context(), id); err != nil || st.Exit != 7 {
		t.Errorf("exited: %+v, %v", st, err)
	}
	_ = e.Remove(t.Context(), id)
	if _, err := e.Launch(t.Context(), engine.Container{Name: "none", Image: image, Command: []string{"/nothing"}}); err == nil || !strings.Contains(err.Error(), "/nothing") {
		t.Errorf("a program that is not there: %v", err)
	}
	if _, err := e.Status(t.Context(), "none"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("what could not be started stays: %v", err)
	}
	if _, err := e.Launch(t.Context(), engine.Container{Name: "none", Image: "sha256:" + strings.Repeat("0", 64)}); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("no such image: %v", err)
	}
}

func gone(t *testing.T, d *enginetest.Daemon, e *engine.Engine, image string) {
	t.Helper()
	id, err := e.Create(t.Context(), engine.Container{Image: image})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	st, err := e.Status(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := e.Wait(context.Background(), id)
		waited <- err
	}()
	d.Kill()
	if err := <-waited; !errors.Is(err, engine.ErrGone) {
		t.Errorf("Wait of an engine that went away: %v", err)
	}
	if _, err := e.Status(t.Context(), id); !errors.Is(err, engine.ErrGone) {
		t.Errorf("Status of an engine that is away: %v", err)
	}
	d.Start(t)
	if back, err := e.Status(t.Context(), id); err != nil || !back.Running || back.PID != st.PID {
		t.Errorf("after its engine came back: %+v, %v", back, err)
	}
	if err := e.Remove(t.Context(), id); err != nil {
		t.Error(err)
	}
}

func build(t *testing.T, e *engine.Engine, dir string, b engine.Build) string {
	t.Helper()
	c, err := engine.OpenContext(os.DirFS(dir), "")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	id, err := e.Build(t.Context(), c, b, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	return id
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSeek(t *testing.T) {
	t.Parallel()
	none, err := engine.Seek(engine.None)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Engine(t.Context()); !errors.Is(err, engine.ErrNone) {
		t.Errorf("none: %v", err)
	}
	if _, err := engine.Seek("tcp://1.2.3.4:2375"); err == nil {
		t.Error("an engine without a socket was taken")
	}
	away := filepath.Join(t.TempDir(), "no.sock")
	s, err := engine.Seek(away)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Engine(t.Context()); !errors.Is(err, engine.ErrGone) || !strings.Contains(err.Error(), away) {
		t.Errorf("an engine that is not there: %v", err)
	}
}

func TestContext_bases(t *testing.T) {
	t.Parallel()
	text := "# syntax=x\nARG NODE=20\nARG BASE\nFROM --platform=linux/amd64 node:${NODE}-slim AS build\nARG NODE=7\nCOPY --from=ghcr.io/a/b:1 /x /y\n" +
		"FROM build AS again\nCOPY --from=0 /x /y\nCOPY --from=Build /x /y\nFROM ${BASE:-scratch}\nFROM $BASE\nFROM ${BASE:-alpine} AS b\nfrom \\\n  debian:12\n"
	c, err := engine.OpenContext(fstest.MapFS{"Dockerfile": {Data: []byte(text)}}, "")
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string]map[string]string{
		"node:20-slim ghcr.io/a/b:1 alpine debian:12": nil,
		"node:22-slim ghcr.io/a/b:1 mine debian:12":   {"NODE": "22", "BASE": "mine"},
	} {
		if got, err := c.Bases(args); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%v: %v, %v; not %s", args, got, err, want)
		}
	}
}

func TestHosts_order(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DOCKER_HOST": "unix:///a.sock", "XDG_RUNTIME_DIR": "/run/user/5"}
	got := strings.Join(engine.Hosts(func(n string) string { return env[n] }), " ")
	want := "unix:///a.sock unix:///var/run/docker.sock unix:///run/user/5/docker.sock unix:///run/podman/podman.sock unix:///run/user/5/podman/podman.sock"
	if got != want {
		t.Errorf("hosts\n%s, not\n%s", got, want)
	}
}

func TestContext_honoursDockerignore(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"Dockerfile": {}, "a.go": {Data: []byte("a")}, "b.md": {}, "README.md": {}, "node_modules/x/y.js": {}, "node_modules/keep.js": {}, "dir/deep/c.go": {},
		".dockerignore": {Data: []byte("# nothing\n*.md\n!README.md\nnode_modules\n!node_modules/keep.js\n**/deep\n")},
	}
	c, err := engine.OpenContext(tree, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(names(t, c), " "), ".dockerignore Dockerfile README.md a.go dir/ node_modules/keep.js"; got != want {
		t.Errorf("packed %s, not %s", got, want)
	}
	before, err := c.Digest()
	if err != nil {
		t.Fatal(err)
	}
	tree["node_modules/x/y.js"] = &fstest.MapFile{Data: []byte("changed")}
	tree["a.go"].ModTime = time.Now()
	if now, err := c.Digest(); err != nil || now != before {
		t.Errorf("what the builder does not see changed the digest: %v", err)
	}
	tree["a.go"] = &fstest.MapFile{Data: []byte("b")}
	if now, err := c.Digest(); err != nil || now == before {
		t.Errorf("a change of a file did not change the digest: %v", err)
	}
}

func TestContext_refuses(t *testing.T) {
	t.Parallel()
	for dockerfile, tree := range map[string]fstest.MapFS{
		"":              {"x": {}},
		"../Dockerfile": {"Dockerfile": {}},
		"dir":           {"dir/x": {}},
		"Dockerfile":    {"Dockerfile": {}, ".dockerignore": {Data: []byte("[")}},
	} {
		if _, err := engine.OpenContext(tree, dockerfile); err == nil {
			t.Errorf("%q was taken", dockerfile)
		}
	}
}
