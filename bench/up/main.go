// Command up starts Titrate on an empty data folder and prints how long it took
// until it was ready, what its three processes cost while nothing happens, and
// how large the program is. Repeat with
//
//	go run ./bench/up -n 5
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"titrate/bench/figures"
)

func main() {
	n := flag.Int("n", 5, "starts")
	idle := flag.Duration("idle", 20*time.Second, "how long to watch it do nothing, after half as long to settle")
	program := flag.String("program", "", "path of the titrate binary; empty: it is built")
	flag.Parse()
	if err := run(context.Background(), *program, *n, *idle); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, program string, n int, idle time.Duration) error {
	dir, err := os.MkdirTemp("", "titrate-bench-up-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if program, err = own(ctx, program, filepath.Join(dir, "titrate")); err != nil {
		return err
	}
	var ready figures.Sample
	var cost usage
	for i := range n {
		measure := time.Duration(0)
		if i == n-1 {
			measure = idle
		}
		took, u, err := start(ctx, program, measure)
		if err != nil {
			return err
		}
		ready, cost = append(ready, took), u
	}
	info, err := os.Stat(program)
	if err != nil {
		return fmt.Errorf("look at the program: %w", err)
	}
	out := os.Stdout
	figures.Head(out, fmt.Sprintf("go run ./bench/up -n %d -idle %v", n, idle))
	figures.Line(out, "titrate up → answers, node up", ready.String(), "1 s")
	figures.Line(out, "idle, PSS of up + server + node", fmt.Sprintf("%.1f MB", float64(cost.pss)/1e6), "120 MB")
	figures.Line(out, "idle, CPU of up + server + node", fmt.Sprintf("%.2f %% of a core over %v", 100*cost.cpu.Seconds()/idle.Seconds(), idle), "")
	figures.Line(out, "binary", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6), "45 MB")
	return nil
}

// own makes a file of the program that nothing else runs: pages that a process
// shares with others count only in part as its own.
func own(ctx context.Context, program, path string) (string, error) {
	if program == "" {
		return path, figures.Build(ctx, path)
	}
	b, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(path, b, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("copy the program: %w", err)
	}
	return path, nil
}

// usage is what the three processes cost together.
type usage struct {
	pss int64 // bytes
	cpu time.Duration
}

// start brings Titrate up once, and watches it do nothing for idle unless that
// is 0.
func start(ctx context.Context, program string, idle time.Duration) (took time.Duration, u usage, err error) {
	p, remove, err := figures.Prepare(ctx, program, "idle")
	if err != nil {
		return 0, u, err
	}
	defer remove()
	began := time.Now()
	if err := p.Up(ctx); err != nil {
		return 0, u, err
	}
	defer p.Down()
	took = time.Since(began)
	if idle == 0 {
		return took, u, nil
	}
	var pids []int
	for _, name := range []string{"up", "server", "node"} {
		pid, err := p.Process(name)
		if err != nil {
			return took, u, err
		}
		pids = append(pids, pid)
	}
	if err := rest(ctx, idle/2); err != nil {
		return took, u, err
	}
	before, err := sum(pids)
	if err != nil {
		return took, u, err
	}
	if err := rest(ctx, idle); err != nil {
		return took, u, err
	}
	after, err := sum(pids)
	return took, usage{pss: after.pss, cpu: after.cpu - before.cpu}, err
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

func sum(pids []int) (u usage, err error) {
	for _, pid := range pids {
		pss, err := proportional(pid)
		if err != nil {
			return u, err
		}
		cpu, err := processor(pid)
		if err != nil {
			return u, err
		}
		u.pss += pss
		u.cpu += cpu
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
