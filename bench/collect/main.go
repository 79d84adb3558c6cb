// Command collect pushes one good release after the other of the bulky-item collection
// service, sixty-four functions and their ledger in each, under its customers' load, on a
// Titrate that really runs, and kills server, node and titrate up with SIGKILL at random
// moments. It prints whether any event was lost or had two effects, how each release ended,
// and how many requests each kind of kill lost. Repeat with
//
//	go run ./bench/collect -n 10 -seed 1
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"time"

	"titrate/bench/figures"
	"titrate/examples/collect"
	"titrate/examples/collect/load"
	"titrate/internal/demo"
)

func main() {
	n := flag.Int("n", 10, "releases after the first")
	rate := flag.Float64("rate", 20, "requests a second: each pickup becomes about fifteen events")
	seed := flag.Uint64("seed", 1, "of the kills and of the customers")
	rare := flag.Bool("rare", true, "call functions that are seldom called 20 times while they bake (R11); else the next push ends the bake, unmeasured")
	limit := flag.Duration("for", time.Hour, "begin no release after this long")
	program := flag.String("program", "", "path of the titrate binary; empty: it is built")
	flag.Parse()
	if err := run(context.Background(), *program, *n, *rate, *seed, *rare, *limit); err != nil {
		log.Fatal(err)
	}
}

const (
	app  = demo.Collect
	host = "collect.localhost"
	// patience is how long one release may take until it has all events; it says so when
	// it takes longer.
	patience = 5 * time.Minute
	// settling is how long pickups may take to come to their ends once the load is over.
	settling = 2 * time.Minute
)

func run(ctx context.Context, program string, n int, rate float64, seed uint64, rare bool, limit time.Duration) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit+2*patience+settling)
	defer cancel()
	p, stop, err := figures.Start(ctx, program, app)
	if err != nil {
		return err
	}
	defer stop()
	s := &soak{Platform: p, rare: rare, options: collect.Options{Quick: true, Node: has("node"), Python: has("python3")}}
	if err := s.release(ctx, 0, nil); err != nil {
		return s.said(err)
	}
	customers := startLoad(ctx, p.Gateway, rate, seed)
	for i, b := range blows(n, seed) {
		if time.Since(began) > limit {
			fmt.Fprintf(os.Stderr, "  %v are over: %d releases of %d\n", limit, i, n)
			break
		}
		if err := s.release(ctx, i+1, &b); err != nil {
			_, lerr := customers.Stop()
			return s.said(errors.Join(err, lerr))
		}
	}
	if err := s.conclude(ctx); err != nil {
		_, lerr := customers.Stop()
		return s.said(errors.Join(err, lerr))
	}
	report, err := customers.Stop()
	if err != nil {
		return fmt.Errorf("the load: %w", err)
	}
	book, err := load.Check(ctx, report, load.CheckConfig{URL: p.Gateway, Host: host, Fresh: true, Patience: settling})
	if err != nil {
		return s.said(fmt.Errorf("check the book: %w", err))
	}
	if err := s.outcomes(ctx); err != nil {
		return s.said(err)
	}
	figures.Head(os.Stdout, fmt.Sprintf("go run ./bench/collect -n %d -rate %g -seed %d -rare=%t", n, rate, seed, rare))
	return s.tell(os.Stdout, customers, report, book, time.Since(began))
}

func has(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}

// said adds the end of the platform's log to an error.
func (s *soak) said(err error) error {
	text, _ := os.ReadFile(s.LogPath())
	fmt.Fprintf(os.Stderr, "%s\n", text[max(0, len(text)-8000):])
	return err
}
