package harness

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// mostViolations is after how many violations a run ends.
const mostViolations = 5

// Run plays histories on all cores until there were enough looks or histories,
// too many violations, or ctx ends. Clock is asked how long it took.
func Run(ctx context.Context, o Options, clock func() time.Time) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Scenario != "" && o.Histories == 0 {
		o.Histories = 1
	}
	r := newReport(o)
	began := clock()
	var mu sync.Mutex // guards r
	var next atomic.Int64
	done := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return ctx.Err() != nil || len(r.Violations) >= mostViolations || o.Histories == 0 && r.Looks >= o.Looks
	}
	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			for !done() {
				i := next.Add(1) - 1
				if o.Histories > 0 && i >= int64(o.Histories) {
					return
				}
				h := newHistory(o.Seed+uint64(i), o.Scenario, nil, sabotage{})
				err := h.play()
				mu.Lock()
				r.add(h, err)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	r.finish(clock().Sub(began))
	return r, ctx.Err()
}

func (o Options) check() error {
	if o.Scenario != "" && o.Scenario != SteadyPushes {
		return fmt.Errorf("there is no scenario %q; there is %s", o.Scenario, SteadyPushes)
	}
	return nil
}

// Trace plays one history and tells what happens in it.
func Trace(o Options, w io.Writer, clock func() time.Time) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r := newReport(o)
	began := clock()
	h := newHistory(o.Seed, o.Scenario, w, sabotage{})
	r.add(h, h.play())
	r.finish(clock().Sub(began))
	return r, nil
}
