package pipeline

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/manifest"
)

// everyLevel runs a test behind each kind of walls that this machine allows.
func everyLevel(t *testing.T, f func(t *testing.T, b func(change func(*Config)) *Builder)) {
	t.Helper()
	best := builder(t, nil).sandbox.probe(t.Context())
	for _, l := range []level{levelFull, levelHalf, levelPlain} {
		t.Run(string(l), func(t *testing.T) {
			t.Parallel()
			if l != levelFull && os.Getenv("TITRATE_TEST_SLOW") == "" {
				t.Skip("lesser walls are tried with TITRATE_TEST_SLOW=1")
			}
			if best == levelPlain && l != levelPlain {
				t.Skip("this machine forbids user namespaces")
			}
			f(t, func(change func(*Config)) *Builder {
				b := builder(t, change)
				b.sandbox.once.Do(func() { b.sandbox.level = l })
				return b
			})
		})
	}
}

func shell(command string) Workload {
	return Workload{Name: "shop", Build: manifest.Build{Dir: ".", Command: command, Output: "out", Run: "cat out"}}
}

func TestSandbox_buildsAtEveryLevel(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, b func(func(*Config)) *Builder) {
		t.Helper()
		bb := b(nil)
		res := mustBuild(t, bb, files(t, "go.mod", goMod, "main.go", mainGo("here"), "web/x", "y"), goService("shop", "."),
			Workload{Name: "web", Build: manifest.Build{Dir: "web", Command: "tr y z < x > out && touch $HOME/x $TMPDIR/x", Output: "out", Run: "cat out"}})
		if got := runs(t, bb, res[0].Artifact) + runs(t, bb, res[1].Artifact); got != "herez" {
			t.Errorf("they say %q", got)
		}
	})
}

// rustc, among others, makes a file in a folder of its own and moves it.
func TestSandbox_letsFilesBeMovedFromFolderToFolder(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, b func(func(*Config)) *Builder) {
		t.Helper()
		bb := b(nil)
		res := mustBuild(t, bb, files(t, "x", "y"), shell("mkdir a b && echo moved > a/f && ln a/f b/f && cp b/f out"))
		if got := runs(t, bb, res[0].Artifact); got != "moved" {
			t.Errorf("it says %q", got)
		}
	})
}

func TestSandbox_hasNoNetwork(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
			t.Error("a build reached the network")
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	everyLevel(t, func(t *testing.T, b func(func(*Config)) *Builder) {
		t.Helper()
		if landlockABI() < 4 && strings.HasSuffix(t.Name(), string(levelPlain)) {
			t.Skip("no namespaces, and this kernel's Landlock knows no network")
		}
		_, err := build(t, b(nil), files(t, "x", "y"), shell(fmt.Sprintf("exec 2>&1; /bin/bash -c 'echo hello > /dev/tcp/127.0.0.1/%d'", port)))
		if err == nil || !strings.Contains(err.Error(), "/dev/tcp") {
			t.Error(err)
		}
	})
}

func TestSandbox_seesNeitherTheDataFolderNorTheHome(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, b func(func(*Config)) *Builder) {
		t.Helper()
		home := t.TempDir()
		write(t, home, ".ssh/id", "private")
		bb := b(nil)
		write(t, bb.cfg.Dir, "keys/secrets.key", "private")
		for _, secret := range []string{filepath.Join(home, ".ssh/id"), bb.path("keys", "secrets.key"), "/etc/shadow", bb.path("builds", "gocache", "README")} {
			_, err := build(t, bb, files(t, "x", "y"), shell("cat "+secret))
			if err == nil || strings.Contains(err.Error(), "private") || !strings.Contains(err.Error(), "exit code") {
				t.Errorf("%s: %v", secret, err)
			}
		}
		for _, act := range []string{"touch " + home + "/new", "touch /usr/new", "touch /new", "ls " + bb.cfg.Dir, "mount -t tmpfs none /tmp", "unshare -Urm mount -t tmpfs none /tmp"} {
			if _, err := build(t, bb, files(t, "x", "y"), shell(act)); err == nil || !strings.Contains(err.Error(), "exit code") {
				t.Errorf("%s: %v", act, err)
			}
		}
	})
}

func TestSandbox_cannotSteerTheMachineThroughProc(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, b func(func(*Config)) *Builder) {
		t.Helper()
		bb := b(nil)
		if bb.sandbox.level == levelPlain {
			t.Skip("it sees the machine's own /proc, and Landlock alone holds it")
		}
		// By the mounts, because where there is Landlock that refuses it too.
		res := mustBuild(t, bb, files(t, "x", "y"), shell(`while read -r _ _ _ _ at how _; do echo "$at $how"; done < /proc/self/mountinfo > out`))
		got := runs(t, bb, res[0].Artifact)
		for _, path := range []string{"/proc/sys", "/proc/sysrq-trigger"} {
			if exists(path) && !strings.Contains(got, path+" ro,") {
				t.Errorf("%s can be written to:\n%s", path, got)
			}
		}
	})
}

func TestSandbox_inheritsNothingThatIsOpen(t *testing.T) {
	t.Parallel()
	// As a shell leaves descriptors to what it starts: without close-on-exec.
	fd, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	everyLevel(t, func(t *testing.T, b func(func(*Config)) *Builder) {
		t.Helper()
		bb := b(nil)
		res := mustBuild(t, bb, files(t, "x", "y"), shell("for f in /proc/self/fd/*; do readlink $f; done > out; true"))
		if got := runs(t, bb, res[0].Artifact); strings.Contains(got, "passwd") || !strings.Contains(got, "pipe:") {
			t.Errorf("a build has open: %s", got)
		}
	})
}

func TestSandbox_endsWhatPassesItsLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command string
		limits  Limits
		want    []string
	}{
		"sleeps for ever":  {"echo before; sleep 1000", Limits{Time: 8 * time.Second}, []string{CodeLimit, "not done in time", "last    before"}},
		"prints for ever":  {"yes words", Limits{Output: 10_000}, []string{CodeLimit, "printed more", "words"}},
		"forks for ever":   {"for i in $(seq 1000); do sleep 1000 & done; wait", Limits{Processes: 50}, []string{CodeLimit, "more than 50 processes"}},
		"writes for ever":  {"for i in $(seq 1000); do head -c 1000000 /dev/zero > $i; done; sleep 1000", Limits{Disk: 50_000_000}, []string{CodeLimit, "wrote more"}},
		"one giant file":   {"head -c 100000000 /dev/zero > big", Limits{Disk: 5_000_000}, []string{"not built"}},
		"leaves a process": {"setsid sleep 1000 > /dev/null 2>&1 & echo > out; false", Limits{Time: time.Minute}, []string{"exit code 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyLevel(t, func(t *testing.T, b func(func(*Config)) *Builder) {
				t.Helper()
				bb := b(func(cfg *Config) { cfg.Limits = c.limits })
				_, err := build(t, bb, files(t, "x", "y"), shell(c.command))
				var e *BuildError
				if !errors.As(err, &e) {
					t.Fatal(err)
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("no %q in\n%v", want, err)
					}
				}
				// Nothing of it runs on: every process under our folder would hold it busy.
				if left := processesIn(bb.cfg.Dir); len(left) > 0 {
					t.Errorf("still running: %v", left)
				}
				if info, err := os.Stat(e.Log); err != nil || info.Size() > 20_000 {
					t.Errorf("log %v, %v", info, err)
				}
			})
		})
	}
}

// processesIn returns the processes whose working folder is under dir, as seen
// from inside or outside of their namespace.
func processesIn(dir string) (out []string) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, p := range procs {
		if cwd, err := os.Readlink(p); err == nil && strings.HasPrefix(cwd, dir) {
			out = append(out, p)
		}
	}
	return out
}

func TestConfinement_saysWhatDoesNotHold(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, b func(func(*Config)) *Builder) {
		t.Helper()
		bb := b(nil)
		bb.sandbox.refusal = "operation not permitted"
		text := strings.Join(bb.Confinement(t.Context()), "\n")
		want := map[level]string{levelHalf: "does not let builds have a view of files", levelPlain: "does not let builds have namespaces of their own (operation not permitted)"}
		if !strings.Contains(text, want[bb.sandbox.level]) {
			t.Error(text)
		}
		if all := bb.sandbox.level == levelFull && landlockABI() > 0; all && text != "" {
			t.Errorf("all is held, but: %s", text)
		}
	})
}

func TestSandbox_yieldsUnlessItsBuildIsWaitedFor(t *testing.T) {
	t.Parallel()
	prio, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	for waited, want := range map[bool]string{false: "19\n", true: fmt.Sprintln(20 - prio)} { // the system call returns 20 - nice
		bb := builder(t, func(c *Config) { c.Waited = waited })
		res := mustBuild(t, bb, files(t, "x", "y"), shell("nice > out"))
		if got, err := os.ReadFile(filepath.Join(bb.artifacts.Path(res[0].Artifact.Digest), "out")); err != nil || string(got) != want {
			t.Errorf("waited for: %v: nice %q, want %q (%v)", waited, got, want, err)
		}
	}
}

// The go command makes 256 folders there for each build, and uses none of them.
func TestSandbox_goCommandsOwnCacheIsInMemory(t *testing.T) {
	t.Parallel()
	bb := builder(t, nil)
	if bb.sandbox.probe(t.Context()) != levelFull {
		t.Skip("this machine lets builds have no view of files of their own")
	}
	w := goService("shop", ".")
	w.Build.Test = `[ "$(stat -f -c %T "$GOCACHE")" = tmpfs ] && touch "$GOCACHE/x" && [ "$(ls /cache/new | wc -l)" -lt 200 ]`
	mustBuild(t, bb, files(t, "go.mod", goMod, "main.go", mainGo("here")), w)
}
