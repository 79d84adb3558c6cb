package events

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"titrate/internal/queue"
	"titrate/internal/rollout"
)

// place is what an environment of an app has: one database, and what is to be called.
type place struct {
	name
	store *queue.Store

	mu sync.Mutex
	// The rest is set by Apply.
	queues map[string]queue.Queue // as they were last set
	topics map[string][]string
	calls  map[string]call   // by pollerID
	timers map[string]*timer // by mark
	own    map[string]bool   // functions that have a queue of their own
}

// Names of queues that no manifest can name: they hold a slash.
const (
	ownSuffix = "/events"        // behind a function's name: its timers, topics and asynchronous invocations
	graveyard = "functions/dead" // where those go that it failed thrice
)

func ownQueue(function string) string { return function + ownSuffix }

// place returns what is kept for n. It is opened if it exists, and with make also if
// it does not; nil: there is nothing.
func (e *Events) place(ctx context.Context, n name, create bool) (*place, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, queue.ErrClosed
	}
	if p := e.places[n]; p != nil {
		return p, nil
	}
	for _, part := range []string{n.app, n.env} {
		if part == "" || strings.HasPrefix(part, ".") || strings.ContainsAny(part, "/\\\x00") {
			return nil, fmt.Errorf("%q is no name of an app or an environment", part)
		}
	}
	path := filepath.Join(e.cfg.Dir, n.app, n.env, "queues.db")
	if _, err := os.Stat(filepath.Dir(path)); !create && errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	store, err := queue.Open(ctx, queue.Options{Path: path, Clock: e.clock})
	if err != nil {
		return nil, err
	}
	p := &place{name: n, store: store, queues: map[string]queue.Queue{}, calls: map[string]call{}, timers: map[string]*timer{}, own: map[string]bool{}}
	if err := p.load(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	e.places[n] = p
	return p, nil
}

// load reads what the store was set to, and gives back what a process that was killed
// had taken out of the functions' own queues: nobody else receives from them.
func (p *place) load(ctx context.Context) error {
	queues, err := p.store.Queues(ctx)
	if err != nil {
		return err
	}
	for _, q := range queues {
		p.queues[q.Name] = q
		if strings.HasSuffix(q.Name, ownSuffix) {
			if _, err := p.store.Release(ctx, q.Name); err != nil {
				return err
			}
		}
	}
	p.topics, err = p.store.Topics(ctx)
	return err
}

// call is a queue and the function that its messages are for.
type call struct {
	queue   string
	key     rollout.Key
	trigger *rollout.QueueTrigger // nil: the function's own queue
	stable  rollout.Version       // 0: there is none
	run     []rollout.Version     // that can be called
	timing
}

func (c call) id() string { return c.queue + "\x00" + c.key.Workload }

// await waits for a message of a queue, or until a time.
func (p *place) await(ctx context.Context, e *Events, from string, until time.Time) error {
	due, stop := e.clock.At(until)
	defer stop()
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	came := make(chan error, 1)
	go func() { came <- p.store.Wait(waiting, from) }()
	select {
	case err := <-came:
		return err
	case <-due:
		return ctx.Err() // the goroutine ends with waiting, and came has room for its answer
	}
}
