// Command up starts Titrate on an empty data folder and prints how long it took
// until it was ready, what its three processes cost while nothing happens, and
// how large the program is. Repeat with
//
//	go run ./bench/up -n 5
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
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
	var cost figures.Usage
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
	figures.Line(out, "idle, PSS of up + server + node", fmt.Sprintf("%.1f MB", float64(cost.PSS)/1e6), "120 MB")
	figures.Line(out, "idle, CPU of up + server + node", fmt.Sprintf("%.2f %% of a core over %v", 100*cost.CPU.Seconds()/idle.Seconds(), idle), "")
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

// start brings Titrate up once, and watches it do nothing for idle unless that
// is 0.
func start(ctx context.Context, program string, idle time.Duration) (took time.Duration, u figures.Usage, err error) {
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
	u, err = figures.Idle(ctx, p, idle)
	return took, u, err
}
