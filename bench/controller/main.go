// Command controller measures the controller with ten thousand rollouts in
// progress: simulated hands, the real SQLite, and a window of each version each
// second. It prints how long it takes from the close of the window that breaches
// an alarm to the stored decision, and the memory of a rollout. Repeat with
//
//	go run ./bench/controller -rollouts 10000 -seconds 60
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/store"
)

func main() {
	rollouts := flag.Int("rollouts", 10000, "rollouts in progress")
	seconds := flag.Int("seconds", 60, "how long to measure")
	bad := flag.Int("bad", 20, "candidates that begin to fail each second")
	folder := flag.String("folder", "", "where the database goes; empty: a temporary folder, removed at the end")
	profile := flag.String("cpuprofile", "", "write a CPU profile here")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	if err := run(*rollouts, *seconds, *bad, *folder); err != nil {
		log.Fatal(err)
	}
}

func run(rollouts, seconds, bad int, folder string) error {
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(seconds+warmup)*time.Second)
	defer stop()
	if folder == "" {
		temp, err := os.MkdirTemp("", "bench-controller-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		folder = temp
	}
	s, err := store.Open(ctx, store.Options{Folder: folder})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	before := heap()
	// Those that fail leave; so many more begin that there are enough to the end.
	n := rollouts + bad*seconds
	if err := fill(ctx, s, n); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	w := newWorld(n, bad)
	watched := &watch{Store: s, world: w}
	c := controller.New(controller.Config{Store: watched, Target: w, Router: w, Meter: w})
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	if err := <-ended; err != nil {
		return err
	}
	live := len(c.Live())
	after := heap()
	watched.report(n, seconds)
	fmt.Printf("memory per rollout    %.1f KiB (heap after a collection, with its windows, over %d rollouts)\n", float64(after-before)/1024/float64(live), live)
	runtime.KeepAlive(c)
	return nil
}

// warmup is how long the rollouts have to come up before candidates begin to fail.
const warmup = 20

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// watch notes when each decision has been stored.
type watch struct {
	*store.Store
	world *hands
	trips []time.Duration
	looks int
	slow  time.Duration // the slowest commit
}

// Commit is called by the one writer only.
func (w *watch) Commit(ctx context.Context, c rollout.Change) error {
	began := time.Now()
	if err := w.Store.Commit(ctx, c); err != nil {
		return err
	}
	now := time.Now()
	w.slow = max(w.slow, now.Sub(began))
	w.looks += len(c.Looks)
	for _, look := range c.Looks {
		if back := look.After.Back; back != nil && look.Before.Back == nil && back.Evidence != nil {
			w.trips = append(w.trips, now.Sub(back.Evidence.Closed))
		}
	}
	return nil
}

func (w *watch) report(n, seconds int) {
	slices.Sort(w.trips)
	at := func(q float64) time.Duration {
		if len(w.trips) == 0 {
			return 0
		}
		return w.trips[min(len(w.trips)-1, int(q*float64(len(w.trips))))].Round(time.Millisecond)
	}
	fmt.Printf("rollouts              %d on %d cores, windows of %d versions each second for %d s\n", n, runtime.GOMAXPROCS(0), 2*n, seconds)
	fmt.Printf("decisions stored      %d, of which %d trips of an alarm; slowest commit %v\n", w.looks, len(w.trips), w.slow.Round(time.Millisecond))
	fmt.Printf("lag, close to stored  p50 %v   p99 %v   max %v\n", at(0.5), at(0.99), at(1))
}
