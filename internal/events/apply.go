package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"titrate/internal/queue"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// applyTimeout bounds how long the databases may take to be set.
const applyTimeout = time.Minute

// Apply makes the queues, subscriptions and timers that w names, and lets them call its
// functions. The world is whole: a timer that it does not name stops, and a queue that it
// does not name keeps its messages and is not delivered from (R28). A part that is wrong
// is left out and is told of in the error; the rest holds.
func (e *Events) Apply(w world.Wanted) error {
	e.applying.Lock()
	defer e.applying.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), applyTimeout)
	defer cancel()
	by := map[name][]world.Workload{}
	for _, l := range w.Workloads {
		n := name{l.Key.App, l.Key.Env}
		by[n] = append(by[n], l)
	}
	e.mu.Lock()
	for n := range e.places {
		if _, named := by[n]; !named {
			by[n] = nil
		}
	}
	e.admit(by)
	e.mu.Unlock()
	var errs []error
	for _, n := range slices.SortedFunc(maps.Keys(by), func(a, b name) int { return compare(a, b) }) {
		calls := slices.ContainsFunc(by[n], func(l world.Workload) bool { return l.Triggers != nil })
		p, err := e.place(ctx, n, calls)
		if err == nil && p != nil {
			err = e.set(ctx, p, by[n])
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("events of %s: %w", n, err))
		}
	}
	e.mu.Lock()
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()
	return errors.Join(errs...)
}

func compare(a, b name) int {
	if a.String() < b.String() {
		return -1
	}
	return 1
}

// wanted is what the workloads of a place ask for.
type wanted struct {
	queues map[string]queue.Queue
	topics map[string][]string
	calls  map[string]call
	timers map[string]*timer
	own    map[string]bool
	errs   []error
}

// ask gathers what workloads ask for.
func (e *Events) ask(workloads []world.Workload) wanted {
	w := wanted{map[string]queue.Queue{}, map[string][]string{}, map[string]call{}, map[string]*timer{}, map[string]bool{}, nil}
	for _, l := range workloads {
		if l.Triggers == nil {
			continue
		}
		own := ownQueue(l.Key.Workload)
		w.own[l.Key.Workload] = true
		w.queues[graveyard] = queue.Queue{Name: graveyard, Retention: queue.MaxRetention}
		w.queues[own] = queue.Queue{Name: own, Retention: queue.MaxRetention, MaxReceive: tries, DeadLetter: graveyard}
		c := call{queue: own, key: l.Key, stable: l.Stable, run: versionsOf(l), timing: timingOf(l)}
		w.calls[c.id()] = c
		for _, t := range l.Triggers.Queues {
			c := call{queue: t.Queue.Name, key: l.Key, trigger: &t, stable: l.Stable, timing: timingOf(l)}
			w.calls[c.id()] = c
			q := queueOf(t.Queue)
			if other, twice := w.queues[q.Name]; twice && other != q {
				e.log.Warn("two functions set a queue differently: the first one's settings hold", slog.String("app", l.Key.App),
					slog.String("env", l.Key.Env), slog.String("workload", l.Key.Workload), slog.String("queue", q.Name))
				continue
			}
			w.queues[q.Name] = q
		}
		for _, topic := range l.Triggers.Topics {
			w.topics[topic] = append(w.topics[topic], own)
		}
		for _, s := range l.Triggers.Schedules {
			t, err := newTimer(l.Key, s)
			if err != nil {
				w.errs = append(w.errs, fmt.Errorf("timer of %s: %w", l.Key.Workload, err))
				continue
			}
			w.timers[t.mark] = t
		}
	}
	// A dead-letter queue need not call anybody.
	for _, q := range slices.Collect(maps.Values(w.queues)) {
		if _, there := w.queues[q.DeadLetter]; !there && q.DeadLetter != "" {
			w.queues[q.DeadLetter] = queue.Queue{Name: q.DeadLetter, Retention: queue.MaxRetention}
		}
	}
	return w
}

// set makes p what workloads ask for.
func (e *Events) set(ctx context.Context, p *place, workloads []world.Workload) error {
	w := e.ask(workloads)
	w.errs = append(w.errs, p.setQueues(ctx, w.queues), p.setTopics(ctx, w.topics))
	if err := e.setTimers(ctx, p, w.timers); err != nil {
		w.errs = append(w.errs, err)
	}
	p.mu.Lock()
	p.calls, p.own = w.calls, w.own
	maps.DeleteFunc(p.calls, func(_ string, c call) bool { _, made := p.queues[c.queue]; return !made })
	p.mu.Unlock()
	return errors.Join(w.errs...)
}

// setQueues makes the queues that are not there and changes those that differ. They are
// set at a time, so that they share a sync; dead-letter queues have to be there first.
func (p *place) setQueues(ctx context.Context, wanted map[string]queue.Queue) error {
	var first, then []queue.Queue
	for _, q := range wanted {
		q = settled(q)
		p.mu.Lock()
		was, there := p.queues[q.Name]
		p.mu.Unlock()
		if !there {
			plain := q
			plain.MaxReceive, plain.DeadLetter = 0, ""
			first = append(first, plain)
			was = plain
		}
		if was != q {
			then = append(then, q)
		}
	}
	return errors.Join(p.setAll(ctx, first), p.setAll(ctx, then))
}

func (p *place) setAll(ctx context.Context, queues []queue.Queue) error {
	errs := make([]error, len(queues))
	var wg sync.WaitGroup
	for i, q := range queues {
		wg.Go(func() {
			if errs[i] = p.store.SetQueue(ctx, q); errs[i] == nil {
				p.mu.Lock()
				p.queues[q.Name] = q
				p.mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// setTopics subscribes the functions' own queues. A topic that is not named stays, and
// nobody subscribes to it: what is published there is accepted, as by SNS.
func (p *place) setTopics(ctx context.Context, wanted map[string][]string) error {
	var errs []error
	p.mu.Lock()
	was := maps.Clone(p.topics)
	p.mu.Unlock()
	for topic := range was {
		if _, named := wanted[topic]; !named {
			wanted[topic] = nil
		}
	}
	for topic, queues := range wanted {
		slices.Sort(queues)
		queues = slices.Compact(queues)
		if before, there := was[topic]; there && slices.Equal(before, queues) {
			continue
		}
		if err := p.store.SetTopic(ctx, topic, queues...); err != nil {
			errs = append(errs, err)
			continue
		}
		p.mu.Lock()
		p.topics[topic] = queues
		p.mu.Unlock()
	}
	return errors.Join(errs...)
}

func queueOf(q rollout.Queue) queue.Queue {
	return queue.Queue{
		Name: q.Name, Visibility: q.Visibility, Delay: q.Delay, Retention: q.Retention,
		MaxReceive: q.MaxReceive, DeadLetter: q.DeadLetter,
	}
}

// settled is q as the store gives it back: with defaults, to the millisecond.
func settled(q queue.Queue) queue.Queue {
	if q.Visibility == 0 {
		q.Visibility = visibility
	}
	if q.Retention == 0 {
		q.Retention = 4 * 24 * time.Hour
	}
	q.Visibility, q.Retention = q.Visibility.Truncate(time.Millisecond), q.Retention.Truncate(time.Millisecond)
	q.Delay = q.Delay.Truncate(time.Millisecond)
	return q
}

// visibility is that of a queue whose manifest says none, as in SQS.
const visibility = 30 * time.Second

// timing is how long calls of a function take, and how many there may be at a time.
type timing struct {
	timeout time.Duration // of a call
	start   time.Duration // of an instance
	most    int
}

func versionsOf(l world.Workload) []rollout.Version {
	var vs []rollout.Version
	for _, f := range l.Fleets {
		vs = append(vs, f.Version)
	}
	return vs
}

func timingOf(l world.Workload) timing {
	t := timing{timeout: 3 * time.Second, start: time.Minute, most: 1}
	for _, f := range l.Fleets {
		if f.Function != nil {
			t.timeout = max(t.timeout, f.Function.Timeout)
		}
		t.start, t.most = max(t.start, f.StartTimeout), max(t.most, f.Scale.Max)
	}
	return t
}
