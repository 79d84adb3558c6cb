package pipeline

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"titrate/internal/engine"
	"titrate/internal/engine/enginetest"
	"titrate/internal/manifest"
)

const dockerfile = `# an app of two stages
ARG FROM=scratch
FROM ${FROM} AS files
ARG SAID=nothing
COPY app /app
LABEL said=$SAID
FROM scratch AS app
COPY --from=files /app /app
EXPOSE 3000
ENV A=b
ENTRYPOINT ["/app"]
CMD ["serve"]
FROM app
USER 7
`

// TestDocker is one test because an engine is slow to start.
func TestDocker(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		e := d.Open(t)
		t.Cleanup(func() { e.Close() })
		b := builder(t, func(c *Config) { c.Engine, c.Network = seek(t, d.Host()), true })
		repo := files(t, "web/Dockerfile", dockerfile, "web/.dockerignore", "*.md\n", "web/app", "#!/bin/sh\necho hi\n", "web/README.md", "one")
		t.Run("artifacts", func(t *testing.T) { dockerArtifacts(t, d, e, b, repo) })
		t.Run("images", func(t *testing.T) { engineImages(t, e, b) })
		t.Run("faults", func(t *testing.T) { dockerFaults(t, d, b) })
	})
}

func seek(t *testing.T, setting string) func(context.Context) (*engine.Engine, error) {
	t.Helper()
	s, err := engine.Seek(setting)
	if err != nil {
		t.Fatal(err)
	}
	return s.Engine
}

func docker(dir string, change func(*manifest.Build)) Workload {
	w := Workload{Name: "web", Build: manifest.Build{Dir: dir}}
	if change != nil {
		change(&w.Build)
	}
	return w
}

func dockerArtifacts(t *testing.T, d *enginetest.Daemon, e *engine.Engine, b *Builder, repo string) {
	t.Helper()
	ask := func(w Workload) Result {
		t.Helper()
		got, err := build(t, b, repo, w)
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	first := ask(docker("web", nil))
	im := first.Artifact.Image
	if im == nil || !im.Engine || first.Reused || len(im.Ports) != 1 || im.Ports[0] != 3000 || im.User != "7" || strings.Join(im.Argv(), " ") != "/app serve" || len(first.Artifact.Command) != 0 {
		t.Fatalf("%+v\n%+v", first, im)
	}
	if have, err := e.Image(t.Context(), im.Digest); err != nil || have.Labels[engine.Label] != b.owner() {
		t.Errorf("%+v, %v", have, err)
	}
	if text, err := os.ReadFile(b.path("logs", "builds", "shop", "r1", "web.compile.log")); err != nil || !bytes.Contains(text, []byte("COPY app /app")) {
		t.Errorf("log %q, %v", text, err)
	}
	write(t, repo, "web/README.md", "two, which the builder does not see")
	if again := ask(docker("web", nil)); !again.Reused || again.Artifact.Digest != first.Artifact.Digest {
		t.Errorf("R1: the same context was built twice: %+v", again)
	}
	stage := ask(docker("web", func(m *manifest.Build) { m.Target = "app" }))
	said := ask(docker("web", func(m *manifest.Build) { m.Target, m.Args = "files", map[string]string{"SAID": "a word"} }))
	if stage.Reused || stage.Artifact.Digest == first.Artifact.Digest || stage.Artifact.Image.User != "" || said.Artifact.Digest == stage.Artifact.Digest {
		t.Errorf("target: %+v\n%+v", stage, said)
	}
	if have, err := e.Image(t.Context(), said.Artifact.Image.Digest); err != nil || have.Labels["said"] != "a word" {
		t.Errorf("args: %+v, %v", have, err)
	}
	// Its base is another image now, under the same name.
	base := func(m *manifest.Build) { m.Args = map[string]string{"FROM": "base"} }
	tag := func(from Result) {
		t.Helper()
		d.Tag(t, from.Artifact.Image.Digest, "base")
	}
	tag(stage)
	on := ask(docker("web", base))
	if again := ask(docker("web", base)); on.Reused || !again.Reused {
		t.Errorf("a base that has not changed: %+v", again)
	}
	tag(said)
	if moved := ask(docker("web", base)); moved.Reused {
		t.Error("a base that has changed is not noticed")
	}
	// Somebody cleans the engine up.
	if err := e.LetGo(t.Context(), first.Artifact.Image.Digest, b.owner()); err != nil {
		t.Fatal(err)
	}
	if again := ask(docker("web", nil)); again.Reused {
		t.Error("an image that is gone is taken for one that is there")
	}
	if err := b.GC(t.Context(), map[string]bool{stage.Artifact.Digest: true}, 0, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if ids, err := e.Kept(t.Context(), b.owner()); err != nil || len(ids) != 1 || ids[0] != stage.Artifact.Image.Digest {
		t.Errorf("kept %v, %v", ids, err)
	}
}

func engineImages(t *testing.T, e *engine.Engine, b *Builder) {
	t.Helper()
	host := shelf(t)
	put(t, "one", runtime.GOARCH, host+"/a/b:1")
	for _, ref := range []string{host + "/a/b:1", "tar:image.tar"} {
		repo := t.TempDir()
		if ref == "tar:image.tar" {
			tag, err := name.NewTag("two")
			if err != nil {
				t.Fatal(err)
			}
			if err := tarball.WriteToFile(filepath.Join(repo, "image.tar"), tag, picture(t, "two", runtime.GOARCH)); err != nil {
				t.Fatal(err)
			}
		}
		ask := func() Result {
			t.Helper()
			got, err := build(t, b, repo, Workload{Name: "web", Image: ref})
			if err != nil {
				t.Fatal(err)
			}
			return got[0]
		}
		first, again := ask(), ask()
		im := first.Artifact.Image
		if first.Reused || !again.Reused || !im.Engine || im.Ref != ref || first.Artifact.Digest != again.Artifact.Digest || strings.Join(im.Cmd, " ") != "/etc/app" {
			t.Errorf("%s: %+v\n%+v", ref, first, again)
		}
		if _, err := e.Image(t.Context(), im.Digest); err != nil {
			t.Error(err)
		}
		if err := b.GC(t.Context(), nil, 0, time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
		if _, err := e.Image(t.Context(), im.Digest); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("%s: it is kept though nothing names it: %v", ref, err)
		}
	}
}

func dockerFaults(t *testing.T, d *enginetest.Daemon, b *Builder) {
	t.Helper()
	for name, c := range map[string]struct {
		text   string
		change func(*manifest.Build)
		want   []string
	}{
		"a step":        {"FROM scratch\nCOPY app /app\n\nRUN [\"/app\"]\n", nil, []string{CodeDockerfile, "web/Dockerfile:4", "RUN"}},
		"no file":       {"FROM scratch\nCOPY none /app\n", nil, []string{CodeDockerfile, "web/Dockerfile:2   COPY none /app", "none"}},
		"no Dockerfile": {"FROM scratch\n", func(m *manifest.Build) { m.Dockerfile = "other" }, []string{CodeDockerfile, "no file other"}},
		"no stage":      {"FROM scratch\nCOPY app /\n", func(m *manifest.Build) { m.Target = "none" }, []string{CodeDockerfile, "none"}},
		"leads out":     {"FROM scratch\n", func(m *manifest.Build) { m.Dockerfile = "link" }, []string{CodeDockerfile, "link"}},
		"no folder":     {"FROM scratch\n", func(m *manifest.Build) { m.Dir, m.With = "none", "docker" }, []string{CodeNothing, "no folder none"}},
	} {
		repo := files(t, "web/Dockerfile", c.text, "web/app", "#!/bin/sh\n")
		if err := os.Symlink("/etc/passwd", filepath.Join(repo, "web", "link")); err != nil {
			t.Fatal(err)
		}
		_, err := build(t, b, repo, docker("web", c.change))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in:\n%v", name, want, err)
			}
		}
	}
	d.Kill()
	_, err := build(t, b, files(t, "web/Dockerfile", "FROM scratch\n"), docker("web", nil))
	if err == nil || !strings.Contains(err.Error(), CodeEngine) || !strings.Contains(err.Error(), "d.sock") {
		t.Errorf("an engine that went away: %v", err)
	}
	d.Start(t)
}

// TestDocker_withoutAnEngineIsSaid has a Go program with a Dockerfile, which is built
// without, and what must have an engine.
func TestDocker_withoutAnEngineIsSaid(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	repo := files(t, "Dockerfile", "FROM scratch\n", "go.mod", goMod, "main.go", mainGo("hi"))
	if _, err := build(t, b, repo, docker(".", nil)); err != nil {
		t.Errorf("a Go program with a Dockerfile: %v", err)
	}
	for name, change := range map[string]func(*manifest.Build){
		"with":   func(m *manifest.Build) { m.With = "docker" },
		"target": func(m *manifest.Build) { m.Target = "x" },
	} {
		if _, err := build(t, b, repo, docker(".", change)); err == nil || !strings.Contains(err.Error(), CodeDocker) || !strings.Contains(err.Error(), "apt install") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
