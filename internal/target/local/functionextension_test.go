package local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/world"
)

// extend is a program beside a function, as AWS's page "Using the Lambda Extensions API"
// has it: it registers, and hears of events. It writes what it heard.
func extend(args []string) {
	name, note := args[0], func(text string) {
		f, err := os.OpenFile(filepath.Join(os.Getenv("TITRATE_STATE"), "heard"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			fmt.Fprintln(f, text)
			f.Close()
		}
	}
	if strings.HasPrefix(name, "silent") {
		fmt.Println("the extension has nothing to say")
		time.Sleep(time.Hour)
	}
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2020-01-01/extension/"
	ask := func(method, path, body string, header ...string) *http.Response {
		r, err := http.NewRequest(method, base+path, strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		r.Header.Set(header[0], header[1])
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			os.Exit(5)
		}
		return res
	}
	id := ask(http.MethodPost, "register", `{"events":["INVOKE","SHUTDOWN"]}`, "Lambda-Extension-Name", name).Header.Get("Lambda-Extension-Identifier")
	note("registered with " + os.Getenv("PASSWORD"))
	for {
		res := ask(http.MethodGet, "event/next", "", "Lambda-Extension-Identifier", id)
		text, err := io.ReadAll(res.Body)
		if err != nil {
			os.Exit(6)
		}
		var ev struct{ EventType, ShutdownReason, RequestID string }
		_ = json.Unmarshal(text, &ev)
		note(ev.EventType + " " + ev.RequestID + ev.ShutdownReason)
		switch {
		case ev.EventType == "SHUTDOWN":
			return
		case strings.HasPrefix(name, "fragile"):
			os.Exit(7)
		}
	}
}

// layered is an artifact of the folder whose layers have an extension of some name; it
// returns its digest.
func layered(t *testing.T, dir, name string) string {
	t.Helper()
	digest := strings.Repeat("ef", 32)
	at := filepath.Join(dir, "artifacts", digest)
	ext := filepath.Join(at, world.Layers, "extensions")
	if err := os.MkdirAll(ext, 0o700); err != nil {
		t.Fatal(err)
	}
	app, err := os.Readlink(filepath.Join(dir, "artifacts", artifact, "app"))
	if err == nil {
		err = os.Symlink(app, filepath.Join(at, "app"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(ext, name), []byte("#!/bin/sh\nexec \"$LAMBDA_TASK_ROOT/app\" extension "+name+"\n"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(ext, "README"), []byte("is no program"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func (b *bench) heard() []string {
	text, _ := os.ReadFile(filepath.Join(b.layout.state(orders), "heard"))
	return strings.Fields(string(bytes.ReplaceAll(text, []byte(" "), []byte("·"))))
}

func TestExtension_hearsOfEachCallAndOfTheEnd(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	b := newBench(t, dir)
	f := fnFleet(1, "function")
	f.Artifact, f.Secrets = layered(t, dir, "watcher"), map[string]string{"PASSWORD": "sesame"}
	b.wantFn(nil, f)
	c := b.callee(1)
	got := b.tell(c)
	if !slices.ContainsFunc(got.Env, func(kv string) bool {
		return kv == "TITRATE_LAYERS="+filepath.Join(b.artifact(f.Artifact), world.Layers)
	}) {
		t.Errorf("it is not told of its layers: %q", got.Env)
	}
	b.tell(c)
	b.wantFn(nil)
	b.until("all is gone", func(s Seen) bool { return len(s.Instances) == 0 })
	want := []string{"registered·with·sesame", "INVOKE·8476a536-e9f4", "INVOKE·8476a536-e9f4", "SHUTDOWN·spindown"}
	if heard := b.heard(); !slices.Equal(heard, want) {
		t.Errorf("it heard %q, not %q", heard, want)
	}
}

func TestExtension_thatDoesNotRegisterKeepsTheFunctionFromStarting(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	b := newBench(t, dir)
	f := fnFleet(1, "function")
	f.Artifact, f.StartTimeout = layered(t, dir, "silent"), time.Second
	b.wantFn(nil, f)
	seen := b.until("a failure", func(s Seen) bool { return s.fleet(1).Failure != "" })
	for _, want := range []string{"the extension silent has not registered within 1.00 seconds", "nothing to say"} {
		if !strings.Contains(seen.fleet(1).Failure, want) {
			t.Errorf("no %q in %q", want, seen.fleet(1).Failure)
		}
	}
	b.wantFn(nil)
	b.until("all is gone", func(s Seen) bool { return len(s.Instances) == 0 })
}

func TestExtension_thatEndsEndsItsEnvironment(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	b := newBench(t, dir)
	f := fnFleet(1, "function")
	f.Artifact = layered(t, dir, "fragile")
	b.wantFn(nil, f)
	c := b.callee(1)
	first := b.until("it is ready", func(s Seen) bool { return s.fleet(1).Ready == 1 }).instance("orders-v1-a").PID
	_, _ = b.try(c, `{"do":"tell"}`) // is answered, or fails of the extension, whichever is first
	b.until("another takes its place", func(s Seen) bool {
		return slices.ContainsFunc(s.Instances, func(i world.Instance) bool { return i.State == world.InstanceReady && i.PID != first })
	})
	b.until("it is told why", func(Seen) bool { return len(b.heard()) >= 2 })
}
