package events

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"titrate/internal/queue"
	"titrate/internal/rollout"
)

// QueueSeen is a queue as people see it.
type QueueSeen struct {
	queue.Queue
	queue.Statistics
	Calls []string // the functions that it calls, in order
	For   []string // the queues whose dead letters it takes, in order
	// Own is set of a queue that no manifest names: a function's timers, topics and
	// asynchronous invocations, and the dead-letter queue of these.
	Own bool
}

// Queues are those of an app's environment, by name: also those that the manifest does
// not name any more (R28). None is no error.
func (e *Events) Queues(ctx context.Context, app, env string) ([]QueueSeen, error) {
	p, err := e.place(ctx, name{app, env}, false)
	if err != nil || p == nil {
		return nil, err
	}
	p.mu.Lock()
	all := make([]QueueSeen, 0, len(p.queues))
	for _, q := range p.queues {
		s := QueueSeen{Queue: q, Own: strings.Contains(q.Name, "/")}
		for _, c := range p.calls {
			if c.queue == q.Name {
				s.Calls = append(s.Calls, c.key.Workload)
			}
		}
		for _, other := range p.queues {
			if other.DeadLetter == q.Name {
				s.For = append(s.For, other.Name)
			}
		}
		slices.Sort(s.Calls)
		slices.Sort(s.For)
		all = append(all, s)
	}
	p.mu.Unlock()
	slices.SortFunc(all, func(a, b QueueSeen) int { return strings.Compare(a.Name, b.Name) })
	for i := range all {
		if all[i].Statistics, err = p.store.Statistics(ctx, all[i].Name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Purge deletes all messages of a queue, and returns how many.
func (e *Events) Purge(ctx context.Context, app, env, of string) (int64, error) {
	p, err := e.queue(ctx, name{app, env}, of)
	if err != nil {
		return 0, err
	}
	return p.store.Purge(ctx, of)
}

// redriven is how many messages go back in one transaction.
const redriven = 500

// Redrive gives up to limit messages of a dead-letter queue (0: all) back to the queues
// that gave them up, and returns how many.
func (e *Events) Redrive(ctx context.Context, app, env, of string, limit int) (int64, error) {
	p, err := e.queue(ctx, name{app, env}, of)
	if err != nil {
		return 0, err
	}
	if limit <= 0 {
		// Not more than there are now: what fails again meanwhile stays for a person.
		st, err := p.store.Statistics(ctx, of)
		if err != nil {
			return 0, err
		}
		limit = int(st.Visible)
	}
	var all int64
	for all < int64(limit) {
		n, err := p.store.Redrive(ctx, of, int(min(redriven, int64(limit)-all)))
		if all += n; err != nil || n == 0 {
			return all, err
		}
	}
	return all, nil
}

// Peek shows up to limit messages of a queue, the oldest first, and changes nothing.
// Their attributes are those of the sender, as text (bytes in base64); in a queue that no
// manifest names also "kind", "source" and what else the event is made of.
func (e *Events) Peek(ctx context.Context, app, env, of string, limit int) ([]queue.Message, error) {
	p, err := e.queue(ctx, name{app, env}, of)
	if err != nil {
		return nil, err
	}
	all, err := p.store.Peek(ctx, of, limit)
	for i, m := range all {
		shown := map[string]string{}
		for k, v := range m.Attributes {
			if !strings.HasPrefix(k, userPrefix) {
				shown[k] = v
			}
		}
		for k, a := range kept(m.Attributes) {
			shown[k] = a.text()
		}
		all[i].Attributes = shown
	}
	return all, err
}

// Ages is how old the oldest message is that waits for each function, in its queues and
// among its own events. What cannot be measured is absent, which says nothing (R12).
func (e *Events) Ages(ctx context.Context) map[rollout.Key]time.Duration {
	ages := map[rollout.Key]time.Duration{}
	for _, p := range e.all() {
		p.mu.Lock()
		calls := make([]call, 0, len(p.calls))
		for _, c := range p.calls {
			calls = append(calls, c)
		}
		p.mu.Unlock()
		broken := map[rollout.Key]bool{}
		for _, c := range calls {
			age, err := p.store.Oldest(ctx, c.queue)
			if err != nil {
				e.log.Debug("the age of a queue could not be measured", slog.String("queue", c.queue), slog.Any("err", err))
				broken[c.key] = true
				continue
			}
			ages[c.key] = max(ages[c.key], age)
		}
		for k := range broken {
			delete(ages, k)
		}
	}
	return ages
}
