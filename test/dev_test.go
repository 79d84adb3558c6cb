package test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// developing is one titrate dev under way.
type developing struct {
	cmd *exec.Cmd

	mu   sync.Mutex
	said []byte
}

// Write keeps what it says.
func (d *developing) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, p...)
	return len(p), nil
}

func (d *developing) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.said)
}

// developers are the scripts' titrate dev, by their working folder.
var developers sync.Map

func developer(ts *testscript.TestScript) *developing {
	d, ok := developers.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("titrate dev does not run")
	}
	return d.(*developing)
}

// commandDev starts titrate dev here on a free port.
func commandDev(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: dev [FLAG...]")
	}
	d := &developing{cmd: exec.Command(filepath.Join(builtIn, "titrate"), append([]string{"dev", "--gateway", "127.0.0.1:0"}, args...)...)}
	d.cmd.Dir, d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = ts.MkAbs("."), environ(ts), d, d
	ts.Check(d.cmd.Start())
	developers.Store(ts.Getenv("WORK"), d)
	ts.Defer(func() {
		if d.cmd.ProcessState == nil { // the script failed on the way
			_ = d.cmd.Process.Signal(os.Interrupt)
			_ = d.cmd.Wait()
		}
		ts.Logf("titrate dev said:\n%s", d.text())
	})
}

// commandDevSays waits until titrate dev has said something, or, as ! devsays, sees
// that it has not.
func commandDevSays(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] devsays REGEXP")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	if neg {
		if said := want.FindString(developer(ts).text()); said != "" {
			ts.Fatalf("titrate dev says %s", said)
		}
		return
	}
	until(ts, func() (string, bool) { said := developer(ts).text(); return said, want.MatchString(said) })
}

var devAddress = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// commandDevGet asks the address of titrate dev until the answer is as it should be.
func commandDevGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: devget PATH ANSWER [HOST]")
	}
	host := "127.0.0.1"
	if len(args) == 3 {
		host = args[2]
	}
	c := &http.Client{Timeout: time.Minute}
	defer c.CloseIdleConnections()
	until(ts, func() (string, bool) {
		at := devAddress.FindString(developer(ts).text())
		if at == "" {
			return "no address yet", false
		}
		got, err := ask(c, at, host, args[0])
		if err != nil {
			got = err.Error()
		}
		return got + "\n" + developer(ts).text(), got == args[1]
	})
}

// commandDevKill ends titrate dev as the kernel would, without a word.
func commandDevKill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: devkill")
	}
	d := developer(ts)
	ts.Check(d.cmd.Process.Kill())
	_ = d.cmd.Wait() // it was killed
}

// commandDevStop ends titrate dev as Ctrl-C does: it is to end well, and nothing is to
// run on.
func commandDevStop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: devstop")
	}
	d := developer(ts)
	ts.Check(d.cmd.Process.Signal(os.Interrupt))
	if err := d.cmd.Wait(); err != nil {
		ts.Fatalf("titrate dev: %v\n%s", err, d.text())
	}
	cache := filepath.Join(ts.Getenv("HOME"), ".cache", "titrate", "dev")
	for _, p := range processesOf(cache) {
		ts.Fatalf("process %d runs on", p.Pid)
	}
}
