package engine_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"titrate/internal/engine"
	"titrate/internal/engine/enginetest"
)

// heard keeps what was written, and tells of each piece.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newHeard() *heard { return &heard{more: make(chan struct{}, 1)} }

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(p)
	select {
	case h.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// until waits for a text.
func (h *heard) until(t *testing.T, want string) {
	t.Helper()
	for !strings.Contains(h.String(), want) {
		select {
		case <-h.more:
		case <-t.Context().Done():
			t.Fatalf("never heard %q, but %q", want, h)
		}
	}
}

// running is a container that runs.
type running struct {
	status   engine.Status
	out, err *heard
	stop     chan unix.Signal
	cancel   func()
	ended    chan engine.Status
	failed   chan error
}

func run(t *testing.T, e *engine.Engine, c engine.Container) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := &running{out: newHeard(), err: newHeard(), stop: make(chan unix.Signal, 1), cancel: cancel, ended: make(chan engine.Status, 1), failed: make(chan error, 1)}
	started := make(chan engine.Status, 1)
	c.Labels = map[string]string{engine.Label: "me", engine.LabelShim: c.Name}
	go func() {
		st, err := e.Run(ctx, engine.Run{Container: c, Stdout: r.out, Stderr: r.err, Signals: r.stop, Started: func(st engine.Status) error {
			started <- st
			return nil
		}})
		if err != nil {
			r.failed <- err
			return
		}
		r.ended <- st
	}()
	select {
	case r.status = <-started:
		return r
	case err := <-r.failed:
		r.failed <- err
		return r
	}
}

const talker = `package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "eat":
		var kept [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			kept = append(kept, b)
		}
	case "exit":
		fmt.Fprintln(os.Stderr, "it fails")
		os.Exit(7)
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	w := bufio.NewWriter(os.Stdout)
	for i := 0; ; i++ {
		fmt.Fprintf(w, "line %d\n", i)
		w.Flush()
		select {
		case <-asked:
			if os.Args[1] == "deaf" {
				fmt.Println("no")
				continue
			}
			fmt.Println("bye")
			os.Exit(3)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
`

func TestRun(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		e := d.Open(t)
		t.Cleanup(func() { _ = e.Close() })
		dir := t.TempDir()
		enginetest.Program(t, dir, talker)
		write(t, dir, "Dockerfile", "FROM scratch\nCOPY app /app\nENTRYPOINT [\"/app\"]\n")
		image := build(t, e, dir, engine.Build{})
		net, err := e.EnsureNetwork(t.Context(), "mine", map[string]string{engine.Label: "me"})
		if err != nil {
			t.Fatal(err)
		}
		say := func(word string) engine.Container {
			return engine.Container{Name: word, Image: image, Command: []string{"/app", word}, Network: net, Limits: engine.Limits{Memory: 32 << 20, Processes: 20}}
		}

		r := run(t, e, say("talk"))
		r.out.until(t, "line 3\n")
		r.stop <- unix.SIGTERM
		if st := <-r.ended; st.Exit != 3 || !strings.HasSuffix(r.out.String(), "bye\n") {
			t.Errorf("asked to end: %+v, %q", st, r.out)
		}
		r = run(t, e, say("exit"))
		if st := <-r.ended; st.Exit != 7 || r.err.String() != "it fails\n" || r.out.String() != "" {
			t.Errorf("by itself: %+v, %q", st, r.err)
		}
		r = run(t, e, say("eat"))
		if st := <-r.ended; !st.OOMKilled && d.Name() == "Docker" || st.Exit != 137 { // podman does not always tell
			t.Errorf("out of memory: %+v", st)
		}
		nothing := say("nothing")
		nothing.Command = []string{"/nothing"}
		r = run(t, e, nothing)
		select { // an engine's init starts whatever comes of it
		case st := <-r.ended:
			if st.Exit != 127 || !strings.Contains(r.err.String(), "/nothing") {
				t.Errorf("no such program: %+v, %q", st, r.err)
			}
		case err := <-r.failed:
			if !strings.Contains(err.Error(), "/nothing") {
				t.Errorf("no such program: %v", err)
			}
		}
		nothing.Image = "sha256:" + strings.Repeat("0", 64)
		if err := <-run(t, e, nothing).failed; !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("no such image: %v", err)
		}
		if list, err := e.Containers(t.Context(), engine.Label, "me"); err != nil || len(list) != 0 {
			t.Errorf("left: %+v, %v", list, err)
		}
		away(t, d, e, say)
		swept(t, e, say)
	})
}

// away has the engine go away under a container, and come back.
func away(t *testing.T, d *enginetest.Daemon, e *engine.Engine, say func(string) engine.Container) {
	t.Helper()
	r := run(t, e, say("talk"))
	r.out.until(t, "line 3\n")
	d.Kill()
	d.Start(t)
	before := strings.Count(r.out.String(), "\n")
	r.out.until(t, "line "+strconv.Itoa(before+20)+"\n")
	for i, line := range strings.Split(strings.TrimSpace(r.out.String()), "\n") {
		if line != "line "+strconv.Itoa(i) {
			t.Fatalf("line %d is %q: something is lost or told twice", i, line)
		}
	}
	d.Kill()
	r.stop <- unix.SIGTERM // it can be asked to end all the same
	// It ends while the engine is away; how is told when that is back.
	d.Forgets = true
	d.Start(t)
	if st := <-r.ended; st.Running {
		t.Errorf("ended while the engine was away: %+v", st)
	}
	if d.Name() != "Docker" {
		return
	}
	// Docker as it comes ends what runs when it starts again.
	d.Kill()
	d.Start(t)
	r = run(t, e, say("deaf"))
	r.out.until(t, "line 3\n")
	d.Kill()
	d.Start(t)
	if st := <-r.ended; st.Running {
		t.Errorf("ended by the engine's return: %+v", st)
	}
	if list, err := e.Containers(t.Context(), engine.Label, "me"); err != nil || len(list) != 0 {
		t.Errorf("left: %+v, %v", list, err)
	}
}

func swept(t *testing.T, e *engine.Engine, say func(string) engine.Container) {
	t.Helper()
	kept, lost := run(t, e, say("talk")), run(t, e, say("deaf"))
	if err := e.Sweep(t.Context(), "me", func(shim string) bool { return shim == "talk" }, func(string) bool { return false }); err != nil {
		t.Error(err)
	}
	if st := <-lost.ended; st.Running {
		t.Errorf("%+v", st)
	}
	if st, err := e.Status(t.Context(), kept.status.ID); err != nil || !st.Running {
		t.Errorf("%+v, %v", st, err)
	}
	kept.cancel()
	if err := <-kept.failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := e.Sweep(t.Context(), "me", func(string) bool { return false }, func(string) bool { return false }); err != nil {
		t.Error(err)
	}
	if nets, err := e.Networks(t.Context(), "me"); err != nil || len(nets) != 0 {
		t.Errorf("networks %v, %v", nets, err)
	}
}
