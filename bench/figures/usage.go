package figures

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"titrate/internal/demo"
)

// Usage is what keeper, server and node cost together.
type Usage struct {
	PSS int64 // bytes
	CPU time.Duration
}

// settle is how long nothing is asked before it counts as idle: what has just begun is
// looked after more closely for half a minute.
const settle = 45 * time.Second

// Idle watches the three processes for a while, after they have settled.
func Idle(ctx context.Context, p *demo.Platform, d time.Duration) (u Usage, err error) {
	var pids []int
	for _, name := range []string{"up", "server", "node"} {
		pid, err := p.Process(name)
		if err != nil {
			return u, err
		}
		pids = append(pids, pid)
	}
	if err := rest(ctx, settle); err != nil {
		return u, err
	}
	before, err := sum(pids)
	if err != nil {
		return u, err
	}
	if err := rest(ctx, d); err != nil {
		return u, err
	}
	after, err := sum(pids)
	return Usage{PSS: after.PSS, CPU: after.CPU - before.CPU}, err
}

// rest lets a while go by.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func sum(pids []int) (u Usage, err error) {
	for _, pid := range pids {
		pss, err := proportional(pid)
		if err != nil {
			return u, err
		}
		cpu, err := processor(pid)
		if err != nil {
			return u, err
		}
		u.PSS += pss
		u.CPU += cpu
	}
	return u, nil
}

// proportional reads a process's proportional set size, proc_pid_smaps(5).
func proportional(pid int) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of %d: %w", pid, err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 1 && fields[0] == "Pss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("smaps_rollup names no Pss")
}

// tick is the unit of CPU time in /proc: USER_HZ, 100 a second on every Linux that
// Go runs on.
const tick = 10 * time.Millisecond

// processor reads the CPU time of a process, fields 14 and 15 of proc_pid_stat(5).
func processor(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of %d: %w", pid, err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var total time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of %d: %w", pid, err)
		}
		total += time.Duration(n) * tick
	}
	return total, nil
}

// Family is the CPU time of a process and of its children that live.
func Family(pid int) (total time.Duration, err error) {
	err = each(pid, func(pid int) error {
		own, err := processor(pid)
		total += own
		return err
	})
	return total, err
}

// FamilyPSS is the memory of a process and of its children, in bytes: what they share is
// counted once.
func FamilyPSS(pid int) (total int64, err error) {
	err = each(pid, func(pid int) error {
		own, err := proportional(pid)
		total += own
		return err
	})
	return total, err
}

// each calls do for a process and its children that live.
func each(pid int, do func(pid int) error) error {
	if err := do(pid); err != nil {
		return err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return fmt.Errorf("list the children of %d: %w", pid, err)
	}
	for child := range strings.FieldsSeq(string(children)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			return fmt.Errorf("list the children of %d: %w", pid, err)
		}
		if err := do(n); err != nil {
			return err
		}
	}
	return nil
}
