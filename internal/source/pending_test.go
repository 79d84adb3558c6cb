package source

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPending_givesWhatACrashLeftAndHandledEndsIt(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "git[1]*?") // a path, not a pattern
	started := make(chan struct{}, 1)
	r := start(t, dir, callbacks{accepted: func(ctx context.Context, _ Push, _ io.Writer) error {
		started <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}})
	c := newClone(t)
	head := c.commit("titrate.yaml", "1", "first")
	cmd := c.command("push", "-o", "urgent", r.at("cofe"), "main:feature/x")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-started
	r.stop() // the branch has moved, the work on it has not ended
	cmd.Wait()

	again := start(t, dir, callbacks{})
	pending, err := again.Pending(t.Context())
	if err != nil || len(pending) != 1 {
		t.Fatalf("pending %v, %v", pending, err)
	}
	p := pending[0]
	if p.App != "cofe" || p.Branch != "feature/x" || p.New != head || p.Old != "" || p.By != "ann" || p.At.IsZero() || !p.Default || len(p.Options) != 1 {
		t.Errorf("pending %+v", p)
	}
	if text, err := p.Tree.File(t.Context(), "titrate.yaml"); err != nil || string(text) != "1" {
		t.Errorf("its tree: %q, %v", text, err)
	}
	for range 2 {
		if err := again.Handled(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := again.Pending(t.Context()); err != nil || len(left) != 0 {
		t.Fatalf("still pending %v, %v", left, err)
	}
	second := c.commit("titrate.yaml", "2", "second")
	c.git("push", again.at("cofe"), "main:feature/x")
	left, err := again.Pending(t.Context())
	if err != nil || len(left) != 1 || left[0].New != second || left[0].Old != head {
		t.Fatalf("pending %v, %v", left, err)
	}
	if err := again.Handled(t.Context(), left[0]); err != nil {
		t.Fatal(err)
	}
	if err := again.Handled(t.Context(), p); err != nil { // an older push, late
		t.Fatal(err)
	}
	if left, err := again.Pending(t.Context()); err != nil || len(left) != 0 {
		t.Fatalf("a late mark took the newer one back: %v, %v", left, err)
	}
	c.git("push", again.at("cofe"), ":feature/x")
	c.git("push", again.at("cofe"), "main:feature") // a name that was a folder before
	if left, err := again.Pending(t.Context()); err != nil || len(left) != 1 || left[0].Branch != "feature" || again.Handled(t.Context(), left[0]) != nil {
		t.Fatalf("pending %v, %v", left, err)
	}
}

func TestPending_givesAPushBackToACommitThatWasHandledBefore(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"handled before": false, "handled late": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			accepted := make(chan Push)
			r := start(t, dir, callbacks{accepted: func(ctx context.Context, p Push, _ io.Writer) error {
				accepted <- p
				<-ctx.Done() // the server dies before it is done
				return ctx.Err()
			}})
			c := newClone(t)
			push := func() Push {
				cmd := c.command("push", "-q", "-f", r.at("cofe"), "main")
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
				return <-accepted
			}
			handle := func(p Push) {
				if err := r.Handled(t.Context(), p); err != nil {
					t.Fatal(err)
				}
			}
			first := c.commit("titrate.yaml", "1", "first")
			p := push()
			if !late {
				handle(p)
			}
			c.commit("titrate.yaml", "2", "second")
			push()
			c.git("reset", "-q", "--hard", first)
			back := push()
			if late {
				handle(p)
			}
			r.stop()
			again := start(t, dir, callbacks{})
			pending, err := again.Pending(t.Context())
			if err != nil || len(pending) != 1 || pending[0].New != first || !pending[0].At.Equal(back.At) {
				t.Fatalf("pending %v, %v", pending, err)
			}
			if err := again.Handled(t.Context(), pending[0]); err != nil {
				t.Fatal(err)
			}
			if left, err := again.Pending(t.Context()); err != nil || len(left) != 0 {
				t.Errorf("still pending %v, %v", left, err)
			}
		})
	}
}

// A server that is killed outright: the test binary runs one, and dies by SIGKILL
// the moment the branch has moved.
func TestPending_survivesAKilledServer(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("TITRATE_TEST_SOURCE_DIR"); dir != "" { // no folder of its own, which nobody would remove
		r := start(t, dir, callbacks{accepted: func(context.Context, Push, io.Writer) error {
			p, _ := os.FindProcess(os.Getpid())
			return p.Kill()
		}})
		fmt.Println("url " + r.url)
		<-t.Context().Done()
		select {}
	}
	dir := t.TempDir()
	server := exec.Command(os.Args[0], "-test.run=^TestPending_survivesAKilledServer$", "-test.timeout=5m")
	server.Env = append(os.Environ(), "TITRATE_TEST_SOURCE_DIR="+dir)
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	url := ""
	lines := bufio.NewScanner(stdout)
	for url == "" && lines.Scan() {
		url, _ = strings.CutPrefix(lines.Text(), "url ")
	}
	go io.Copy(io.Discard, stdout)
	c := newClone(t)
	head := c.commit("titrate.yaml", "1", "first")
	if out, err := c.try("push", url+"/git/cofe.git", "main"); err == nil {
		t.Logf("the client saw no failure\n%s", out)
	}
	server.Wait()
	pending, err := start(t, dir, callbacks{}).Pending(t.Context())
	if err != nil || len(pending) != 1 || pending[0].New != head || pending[0].By != "ann" {
		t.Fatalf("pending %v, %v", pending, err)
	}
}
