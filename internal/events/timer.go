package events

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"titrate/internal/queue"
	"titrate/internal/rollout"
	"titrate/internal/schedule"
)

// CatchUp is how old a firing may be that was missed while the node was down. However
// many were missed, the last of them fires, once.
const CatchUp = 6 * time.Hour

// timer calls a function by the clock.
type timer struct {
	mark  string // names it in the store, which remembers for what time it fired last
	key   rollout.Key
	when  schedule.Schedule
	zone  *time.Location
	input []byte
	last  time.Time // for which it has fired, or from which it counts
}

const markPrefix = "timer\x00"

func newTimer(key rollout.Key, s rollout.ScheduleTrigger) (*timer, error) {
	when, err := schedule.Parse(s.Expression)
	if err != nil {
		return nil, err
	}
	zone := time.UTC
	if s.Zone != "" {
		if zone, err = time.LoadLocation(s.Zone); err != nil {
			return nil, fmt.Errorf("schedule %q: there is no time zone %q; write one of the IANA database, such as Europe/Berlin: %w", s.Expression, s.Zone, err)
		}
	}
	sum := sha256.Sum256(s.Input)
	mark := markPrefix + strings.Join([]string{key.Workload, s.Expression, s.Zone, fmt.Sprintf("%x", sum[:8])}, "\x00")
	return &timer{mark: mark, key: key, when: when, zone: zone, input: s.Input}, nil
}

// setTimers keeps the timers that go on, begins new ones at now, and forgets those that
// are not named, so that one that comes back later has missed nothing.
func (e *Events) setTimers(ctx context.Context, p *place, wanted map[string]*timer) error {
	marks, err := p.store.Marks(ctx)
	if err != nil {
		return err
	}
	now := e.clock.Now()
	var errs []error
	for mark, t := range wanted {
		if at, there := marks[mark]; there {
			t.last = time.UnixMilli(at)
			continue
		}
		t.last = now.Truncate(time.Millisecond)
		if err := p.store.SetMark(ctx, mark, t.last.UnixMilli()); err != nil {
			errs = append(errs, err)
			delete(wanted, mark)
		}
	}
	p.mu.Lock()
	p.timers = wanted
	p.mu.Unlock()
	for mark := range marks {
		if _, named := wanted[mark]; !named && strings.HasPrefix(mark, markPrefix) {
			errs = append(errs, p.store.DropMark(ctx, mark))
		}
	}
	return errors.Join(errs...)
}

// due is the last time at or before now for which t has not fired, if there is one
// within [CatchUp], and the next time that it has to be looked at.
func (t *timer) due(now time.Time) (at time.Time, some bool, next time.Time) {
	from := t.last
	if oldest := now.Add(-CatchUp); from.Before(oldest) {
		from = oldest
	}
	for {
		d, more := t.when.Next(from, t.zone)
		if !more {
			return at, some, now.Add(lookAgain)
		}
		if d.After(now) {
			return at, some, d
		}
		at, some, from = d, true, d
	}
}

// lookAgain is how long the timers are not looked at: a clock that was set, or a machine
// that was suspended, is noticed then.
const lookAgain = time.Minute

// keepTime fires timers until ctx ends.
func (e *Events) keepTime(ctx context.Context) {
	for {
		changed := e.hear()
		next := e.fire(ctx)
		due, stop := e.clock.At(next)
		select {
		case <-changed:
		case <-due:
		case <-ctx.Done():
		}
		stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// fire stores an event for each timer that is due, and returns when to look again.
func (e *Events) fire(ctx context.Context) time.Time {
	now := e.clock.Now()
	next := now.Add(lookAgain)
	for _, p := range e.all() {
		p.mu.Lock()
		timers := make([]*timer, 0, len(p.timers))
		for _, t := range p.timers {
			timers = append(timers, t)
		}
		p.mu.Unlock()
		for _, t := range timers {
			p.mu.Lock()
			at, some, then := t.due(now)
			p.mu.Unlock()
			if some {
				if err := p.fire(ctx, t, at); err != nil {
					if ctx.Err() != nil {
						return next
					}
					e.log.Error("a timer could not fire; it is tried again", slog.String("app", p.app), slog.String("env", p.env),
						slog.String("workload", t.key.Workload), slog.String("timer", t.when.String()), slog.Any("err", err))
					then = now.Add(time.Second)
				}
			}
			if then.Before(next) {
				next = then
			}
		}
	}
	return next
}

// fire stores the event of one due time. The store takes each time once.
func (p *place) fire(ctx context.Context, t *timer, at time.Time) error {
	body, err := t.event(at)
	if err != nil {
		return err
	}
	_, err = p.store.SendOnce(ctx, ownQueue(t.key.Workload), t.mark, at.UnixMilli(), queue.Entry{
		Body: body, Attributes: map[string]string{attrKind: kindTimer, attrSource: t.when.String()},
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	t.last = at
	p.mu.Unlock()
	return nil
}

// event is what a function is called with: the input, or what EventBridge sends ("Events
// from AWS services", "Scheduled Event").
func (t *timer) event(at time.Time) ([]byte, error) {
	if len(t.input) > 0 {
		return t.input, nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", t.key, t.mark, at.UnixMilli()))
	return json.Marshal(map[string]any{
		"version": "0", "id": uuid([16]byte(sum[:16])), "detail-type": "Scheduled Event", "source": "aws.events",
		"account": account, "time": at.UTC().Format(time.RFC3339), "region": region,
		"resources": []string{arn("events", "rule/"+t.key.Workload)}, "detail": struct{}{},
	})
}
