package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this program also be one that joins a group and becomes another.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "__join" {
		e, err := Group(strings.Split(os.Args[2], ",")).Entrance()
		if err == nil {
			err = e.Join()
		}
		if err == nil {
			err = syscall.Exec("/bin/sh", []string{"sh", "-c", os.Args[3]}, os.Environ())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(125)
	}
	os.Exit(m.Run())
}

// real is a tree of the machine that runs the test, which must allow it.
func real(t *testing.T) *Tree {
	t.Helper()
	tree := Find(fmt.Sprintf("titrate-test-%d-%s", os.Getpid(), strings.ToLower(t.Name())), Unit{})
	if tree.Why() != "" {
		t.Skip("this machine allows no control groups: " + tree.Why())
	}
	t.Cleanup(func() {
		if err := tree.Sweep(func(string) bool { return false }); err != nil {
			t.Error(err)
		}
		for _, h := range tree.hierarchies {
			if _, err := os.Stat(h.base); err == nil {
				t.Errorf("%s is left", h.base)
			}
		}
	})
	return tree
}

func joined(t *testing.T, g Group, line string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "__join", strings.Join(g, ","), line)
	cmd.Stderr = testOutput{t}
	return cmd
}

type testOutput struct{ t *testing.T }

func (o testOutput) Write(b []byte) (int, error) {
	o.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func TestMachine_killsWhatNeedsMoreMemory(t *testing.T) {
	t.Parallel()
	tree := real(t)
	g, err := tree.Make("hog", Limits{Memory: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	// Doubles a text until it is 64 MiB long.
	if err := joined(t, g, `x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do x="$x$x"; done; echo survived >&2`).Run(); err == nil {
		t.Error("it lives")
	}
	if p := tree.Pressure(g); p.Killed == 0 || p.Refused != 0 {
		t.Errorf("%+v", p)
	}
	// A new group of that name begins anew.
	if g, err = tree.Make("hog", Limits{Memory: 16 << 20}); err != nil || tree.Pressure(g) != (Pressure{}) {
		t.Errorf("%+v, %v", tree.Pressure(g), err)
	}
}

func TestMachine_refusesMoreProcesses(t *testing.T) {
	t.Parallel()
	tree := real(t)
	g, err := tree.Make("forks", Limits{Processes: 16})
	if err != nil {
		t.Fatal(err)
	}
	_ = joined(t, g, `for i in $(seq 40); do sleep 100 >/dev/null 2>&1 & done`).Run() // the shell gives up when it cannot fork
	if p := tree.Pressure(g); p.Refused == 0 {
		t.Errorf("%+v", p)
	}
	if left := (machine{}).members(g[0]); len(left) > 16 {
		t.Errorf("%d processes", len(left))
	}
	if err := tree.Remove(g); err != nil { // with what the shell has left behind
		t.Error(err)
	}
	if _, err := os.Stat(g[0]); err == nil {
		t.Error("it is still there")
	}
}

// TestMachine_theShareOfTheProcessor reads what the kernel counted: of a program that
// always wants to run, nearly every period is cut.
func TestMachine_theShareOfTheProcessor(t *testing.T) {
	t.Parallel()
	tree := real(t)
	g, err := tree.Make("cpu", Limits{CPU: 200})
	if err != nil {
		t.Fatal(err)
	}
	cmd := joined(t, g, `while :; do :; done`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	for _, d := range g {
		if _, err := os.Stat(filepath.Join(d, "cpu.stat")); err == nil {
			dir = d
		}
	}
	periods, throttled := 0, 0
	for periods < 12 { // of a tenth of a second
		<-time.After(20 * time.Millisecond)
		periods, throttled = tree.count(dir, "cpu.stat", "nr_periods"), tree.count(dir, "cpu.stat", "nr_throttled")
	}
	if err := tree.Remove(g); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	// User and system time of at most 20 ms a period, and one period more at each end.
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if throttled < periods/2 || used.Milliseconds() > int64(20*(periods+4)) {
		t.Errorf("%d of %d periods were cut; it used %s", throttled, periods, used)
	}
}
