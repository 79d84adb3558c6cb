package local

import (
	"bufio"
	"context"
	"encoding/json"
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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"titrate/internal/engine"
	"titrate/internal/keeper"
	"titrate/internal/world"
)

// TestMain lets this program also be the launcher, the workloads, and the
// processes up and node of the tests that kill them.
func TestMain(m *testing.M) {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case LaunchCommand:
		fmt.Fprintln(os.Stderr, Launch())
		os.Exit(126)
	case "__up":
		up(os.Args[2])
	case "__node":
		node(os.Args[3])
	default:
		if app := apps[mode]; app != nil {
			app(os.Args[2:])
			return
		}
		if app := functionApps()[mode]; app != nil {
			app(os.Args[2:])
			return
		}
		os.Exit(m.Run())
	}
}

// apps are the workloads of the tests.
var apps = map[string]func(args []string){
	"serve": func([]string) { serve(os.Getenv("PORT")) },
	"start-when-told": func([]string) {
		for {
			if _, err := os.Stat(filepath.Join(os.Getenv("TITRATE_STATE"), "start")); err == nil {
				serve(os.Getenv("PORT"))
			}
			time.Sleep(time.Millisecond)
		}
	},
	"keep-words": keepWords,
	"ask-words":  askWords,
	"remember": func([]string) {
		file := filepath.Join(os.Getenv("TITRATE_VOLUME_DATA"), "versions")
		before, _ := os.ReadFile(file)
		now := string(before) + " " + os.Getenv("TITRATE_VERSION")
		if err := os.WriteFile(file, []byte(now), 0o600); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("remembers" + now)
		serve(os.Getenv("PORT"))
	},
	"become":    becomeAnother,
	"is-999s":   is999s,
	"elsewhere": func(args []string) { serve(args[0]) },
	"crash": func([]string) {
		fmt.Println("cannot find the beans")
		fmt.Fprintln(os.Stderr, "password is", os.Getenv("PASSWORD"))
		os.Exit(3)
	},
	"ignore-term": func([]string) {
		signal.Ignore(syscall.SIGTERM)
		serve(os.Getenv("PORT"))
	},
	"fork-child": func([]string) {
		cmd := exec.Command("/bin/sh", "-c", "sleep 1000 & echo $! > $TITRATE_STATE/child; wait")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		_ = cmd.Start()
		serve(os.Getenv("PORT"))
	},
	"fork-and-exit": func([]string) {
		cmd := exec.Command("/proc/self/exe", "worker")
		if err := cmd.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	},
	"hog":      func([]string) { grow("200"); serve(os.Getenv("PORT")) },
	"grow":     func(args []string) { grow(args[0]) },
	"hog-wait": func([]string) { grow("100"); time.Sleep(time.Hour) },
	"hog-child": func([]string) {
		if err := exec.Command("/proc/self/exe", "grow", "200").Run(); err != nil {
			fmt.Println(err)
		}
		serve(os.Getenv("PORT"))
	},
	"worker": func([]string) { time.Sleep(time.Hour) },
	"spam": func(args []string) {
		n, _ := strconv.Atoi(args[0])
		w := bufio.NewWriter(os.Stdout)
		for i := range n {
			fmt.Fprintf(w, "line %d of many that are written in a hurry\n", i)
		}
		w.Flush()
		serve(os.Getenv("PORT"))
	},
}

var resident [][]byte

// grow takes memory and uses it.
func grow(megabytes string) int {
	n, _ := strconv.Atoi(megabytes)
	for range n {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		resident = append(resident, b)
	}
	return len(resident)
}

// memoryLimit is what the runtimes of languages look for: the limit of one's own
// control group.
func memoryLimit() string {
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		at := filepath.Join("/sys/fs/cgroup", f[1], f[2])
		for _, name := range []string{"memory.limit_in_bytes", "memory.max"} {
			if b, err := os.ReadFile(filepath.Join(at, name)); err == nil && (f[1] == "memory" || f[1] == "") {
				return strings.TrimSpace(string(b))
			}
		}
	}
	return "no limit"
}

// serve is a small service that does what the request says.
func serve(port string) {
	ln, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sick := false
	var checks atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/checks", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, checks.Load()) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		checks.Add(1)
		if sick {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) })
	mux.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		resp, err := http.Get(os.ExpandEnv(r.FormValue("url")))
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(w, resp.Body)
	})
	mux.HandleFunc("/cat", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, r.FormValue("path")) })
	mux.HandleFunc("/memory", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, memoryLimit()) })
	mux.HandleFunc("/walls", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(walls()) })
	mux.HandleFunc("/sick", func(_ http.ResponseWriter, r *http.Request) { sick = r.FormValue("is") == "true" })
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(os.Environ()) })
	mux.HandleFunc("/user", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getuid(), os.Getgid()) })
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/print", func(_ http.ResponseWriter, r *http.Request) { fmt.Println(r.FormValue("text")) })
	mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.WriteFile(os.ExpandEnv(r.FormValue("path")), []byte("x"), 0o600))
	})
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		_, err := os.ReadFile(os.ExpandEnv(r.FormValue("path")))
		fmt.Fprint(w, err)
	})
	mux.HandleFunc("/kill", func(w http.ResponseWriter, r *http.Request) {
		pid, _ := strconv.Atoi(r.FormValue("pid"))
		fmt.Fprint(w, syscall.Kill(pid, 0))
	})
	mux.HandleFunc("/grow", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, grow(r.FormValue("mb"))) })
	mux.HandleFunc("/fork", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n"))
		for i := range n {
			if err := exec.Command("sleep", "1000").Start(); err != nil {
				fmt.Fprint(w, i, " ", err)
				return
			}
		}
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(4) })
	_ = http.Serve(ln, mux)
}

// up is the process that keeps the node running, as `titrate up` does.
func up(dir string) {
	k, err := keeper.New(keeper.Config{
		Dir: dir, Program: "/proc/self/exe", Children: []string{"node"}, Env: os.Environ(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Output: os.Stderr, Timeout: 30 * time.Second,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	_ = k.Run(ctx, nil, func(context.Context) error { return nil })
}

// node is a supervisor and nothing else. It applies what stands in wanted.json.
func node(dir string) {
	s, err := New(testConfig(dir, slog.New(slog.NewTextHandler(os.Stderr, nil))))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	_ = os.WriteFile(filepath.Join(dir, "node.pid"), []byte(strconv.Itoa(os.Getpid())), 0o600)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for {
		var w world.Wanted
		if b, err := os.ReadFile(filepath.Join(dir, "wanted.json")); err == nil && json.Unmarshal(b, &w) == nil {
			_ = s.Apply(w)
		}
		seen, changed := s.Seen()
		b, _ := json.Marshal(seen)
		tmp := filepath.Join(dir, "seen.tmp")
		_ = os.WriteFile(tmp, b, 0o600)
		_ = os.Rename(tmp, filepath.Join(dir, "seen.json"))
		select {
		case <-done:
			return
		case <-changed:
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func testConfig(dir string, log *slog.Logger) Config {
	setting, _ := os.ReadFile(filepath.Join(dir, engineFile)) // of tests without an engine there is none
	if len(setting) == 0 {
		setting = []byte(engine.None)
	}
	seeker, err := engine.Seek(string(setting))
	if err != nil {
		panic(err)
	}
	return Config{
		Engine: seeker.Engine,
		Dir:    filepath.Join(dir, "node"), Data: dir, Artifacts: filepath.Join(dir, "artifacts"),
		Logs: filepath.Join(dir, "logs"), Exits: filepath.Join(dir, "node", "exits"),
		Log: log, Grace: 500 * time.Millisecond,
	}
}

func get(t *testing.T, addr, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return strings.TrimSpace(string(b))
}
