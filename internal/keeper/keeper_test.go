package keeper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The test program plays every part: `__web` is a child that answers HTTP with
// its number of the process, `__keep` is a keeper in a process of its own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "__web":
			web(os.Args[3])
			return
		case "__keep":
			keep(os.Args[2])
			return
		}
	}
	os.Exit(m.Run())
}

func config(dir string) Config {
	return Config{
		Dir: dir, Program: os.Args[0], Sockets: []Socket{{Name: "web", Addr: "127.0.0.1:0"}}, Children: []string{"web"},
		Env: os.Environ(), Log: slog.New(slog.DiscardHandler), Output: os.Stderr, Token: "secret", Timeout: 30 * time.Second,
	}
}

func keep(dir string) {
	cfg := config(dir)
	cfg.Given = Given(os.Getenv(GivenVar))
	k, err := New(cfg)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Println(k.Addr("web")) // from here on it may be ended
	become := make(chan os.Signal, 1)
	signal.Notify(become, syscall.SIGUSR2)
	go func() {
		for range become {
			fmt.Println(k.Become(os.Args, os.Environ()))
		}
	}()
	if err := k.Run(ctx, nil, func(context.Context) error { return nil }); err != nil {
		os.Exit(1)
	}
	// What stands in the folder about this keeper is put away before another may have it.
	held := Held(dir)
	if err := k.Close(); err != nil || !held || Held(dir) {
		os.Exit(3)
	}
}

func web(dir string) {
	in := Inherit(os.Getenv(SocketsVar))
	l, err := in.Listener("web")
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, leave := context.WithCancel(ctx)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/spawn": // an orphan-to-be that ends with 7 when this process is gone
			c := exec.Command("sh", "-c", "while kill -0 $PPID_WEB 2>/dev/null; do sleep 0.02; done; exit 7")
			c.Env = append(os.Environ(), "PPID_WEB="+strconv.Itoa(os.Getpid()))
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := c.Start(); err != nil {
				panic(err)
			}
			fmt.Fprint(w, c.Process.Pid)
		case "/leave": // a workload that ends and leaves a process of its session behind
			c := exec.Command("sh", "-c", "sleep 0.02 > /dev/null & echo $!")
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			left, err := c.Output()
			if err != nil {
				panic(err)
			}
			fmt.Fprint(w, strings.TrimSpace(string(left)))
		default:
			fmt.Fprint(w, os.Getpid())
		}
	})}
	var fresh atomic.Int64 // connections of which no request was read yet
	var known sync.Map
	srv.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			known.Store(c, nil)
			fresh.Add(1)
		} else if _, was := known.LoadAndDelete(c); was {
			fresh.Add(-1)
		}
	}
	go in.Handover(ctx, dir, "web", "secret", leave)
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()
	<-ctx.Done()
	// Shutdown alone drops the request of a connection that was just accepted.
	srv.SetKeepAlivesEnabled(false)
	l.Close()
	<-served
	for end := time.Now().Add(20 * time.Second); fresh.Load() > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	time.Sleep(5 * time.Millisecond)
	srv.Shutdown(context.Background())
}

type process struct {
	cmd  *exec.Cmd
	addr string
}

func start(t *testing.T, dir string) *process {
	t.Helper()
	c := exec.Command(os.Args[0], "__keep", dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Signal(syscall.SIGTERM); c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("no first line", err)
	}
	return &process{c, strings.TrimSpace(line)}
}

func (p *process) get(t *testing.T, path string) int {
	t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + p.addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(string(b))
	}
	return pid
}

func TestKeeper_aKilledChildIsBackAndNoConnectionIsRefused(t *testing.T) {
	t.Parallel()
	k := start(t, t.TempDir())
	first := k.get(t, "/")
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// At once: the connection waits in the kept socket.
	if second := k.get(t, "/"); second == first {
		t.Error("the killed process answered")
	}
}

func TestKeeper_hasTheFolderUntilItIsClosed(t *testing.T) {
	t.Parallel()
	k := start(t, t.TempDir())
	if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := k.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestKeeper_recordsHowAnOrphanExited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := start(t, dir)
	orphan := k.get(t, "/spawn")
	if err := syscall.Kill(k.get(t, "/"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var e Exit
	eventually(t, func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, "node", "exits", strconv.Itoa(orphan)+"-*.json"))
		if len(files) != 1 {
			return false
		}
		b, _ := os.ReadFile(files[0])
		return json.Unmarshal(b, &e) == nil
	})
	if e.PID != orphan || e.Code != 7 || e.Start == 0 {
		t.Errorf("got %+v, want process %d with exit 7", e, orphan)
	}
}

func TestKeeper_recordsNoExitThatNobodyAsksAbout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := start(t, dir).get(t, "/leave")
	eventually(t, func() bool { return errors.Is(syscall.Kill(left, 0), syscall.ESRCH) }) // it is reaped after it is recorded
	if records, err := os.ReadDir(filepath.Join(dir, "node", "exits")); err != nil || len(records) > 0 {
		t.Errorf("recorded: %v, %v", records, err)
	}
}

func TestReaper_forgetsOldRecords(t *testing.T) {
	t.Parallel()
	r := newReaper(t.TempDir(), slog.New(slog.DiscardHandler))
	old, recent := filepath.Join(r.exits, "1-1.json"), filepath.Join(r.exits, "2-2.json")
	for path, age := range map[string]time.Duration{old: exitsKept + time.Hour, recent: time.Hour} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	r.forget()
	if left, err := os.ReadDir(r.exits); err != nil || len(left) != 1 || left[0].Name() != "2-2.json" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestR19_theNextKeeperTakesTheSocketsOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := start(t, dir)
	before := k.get(t, "/")
	if err := k.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	k.cmd.Wait()
	if got := k.get(t, "/"); got != before {
		t.Fatalf("with the keeper killed, process %d answers and not %d", got, before)
	}
	next := start(t, dir)
	if next.addr != k.addr {
		t.Errorf("the next keeper listens on %s, not on %s", next.addr, k.addr)
	}
	eventually(t, func() bool { return next.get(t, "/") != before })
	eventually(t, func() bool { return ended(before) })
}

// ended reports whether a process runs no more. Its parent is gone, and who takes its
// place need not ask how it ended: other tests make this very process a reaper.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestHandover_needsTheToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := start(t, dir)
	before := k.get(t, "/")
	for _, token := range []string{"", "Secret", "another"} {
		if got := askFor(handoverPath(dir, "web"), token); len(got) != 0 {
			t.Errorf("token %q was given %v", token, got)
		}
	}
	if got := k.get(t, "/"); got != before {
		t.Errorf("the child left")
	}
}

func TestKeeper_aSecondOneIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := start(t, dir)
	out, err := exec.Command(os.Args[0], "__keep", dir).Output()
	if err == nil || !strings.Contains(string(out), "T0701") || !strings.Contains(string(out), strconv.Itoa(k.cmd.Process.Pid)) {
		t.Errorf("got %s, %v; want T0701 with the process that holds the folder", out, err)
	}
	k.get(t, "/")
}

func TestKeeper_aTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = open(Socket{Name: "web", Addr: l.Addr().String()})
	var taken *PortTakenError
	if !errors.As(err, &taken) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatal("it did not come to pass in a minute")
}
