package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"titrate/internal/events"
	"titrate/internal/gateway"
	"titrate/internal/invocation"
	"titrate/internal/node"
	"titrate/internal/queue"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Invoke has a function called.
func (m *machine) Invoke(ctx context.Context, i node.Invocation) (node.Invoked, error) {
	if len(i.Payload) == 0 {
		i.Payload = []byte("{}")
	}
	switch {
	case len(i.Payload) > node.MaxPayload:
		return node.Invoked{}, fmt.Errorf("it is %d bytes long, at most %d are taken: %w", len(i.Payload), node.MaxPayload, node.ErrEvent)
	case !json.Valid(i.Payload):
		return node.Invoked{}, fmt.Errorf("it is not JSON: %w", node.ErrEvent)
	}
	if err := m.callable(i.Key, i.Version); err != nil {
		return node.Invoked{}, err
	}
	switch i.Kind {
	case node.DryRun:
		return node.Invoked{Version: i.Version, Status: http.StatusNoContent}, nil
	case node.Event:
		id, err := m.events.Invoke(ctx, i.Key, i.Payload, events.Which{Version: i.Version, Stable: i.Stable})
		return node.Invoked{ID: id, Version: i.Version, Status: http.StatusAccepted}, refusal(err)
	case node.Sync:
	}
	// A node that has just begun publishes what it had before anything is drawn from it.
	select {
	case <-m.supervisor.TakenBack():
	case <-ctx.Done():
		return node.Invoked{}, ctx.Err()
	}
	d, err := m.gateway.Deliver(ctx, i.Key, gateway.Event{
		Payload: i.Payload, ID: i.ID, Version: i.Version, Stable: i.Stable, ClientContext: i.ClientContext, Tail: i.Tail, To: i.To,
	})
	if err != nil {
		return node.Invoked{}, refusal(err)
	}
	out := node.Invoked{
		ID: i.ID, Version: d.Version, Status: http.StatusOK, Payload: d.Answer,
		Failure: d.Failure, Type: d.Type, Message: d.Message, Tail: d.Tail, Cold: d.Cold,
	}
	if d.Failure == invocation.Throttled {
		out.Status = http.StatusTooManyRequests
	}
	return out, nil
}

// callable says why a workload, or one version of it, cannot be called.
func (m *machine) callable(k rollout.Key, v rollout.Version) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.wanted.Workloads, func(w world.Workload) bool { return w.Key == k })
	switch {
	case i < 0:
		return fmt.Errorf("%s does not run: %w", k, node.ErrUnknown)
	case m.wanted.Workloads[i].Triggers == nil:
		return fmt.Errorf("%s is a service: %w", k, node.ErrNotFunction)
	case v != 0 && !slices.ContainsFunc(m.wanted.Workloads[i].Fleets, func(f world.Fleet) bool { return f.Version == v }):
		return fmt.Errorf("%s of %s does not run: %w", v, k, node.ErrUnknown)
	}
	return nil
}

// refusal tells the node's callers what is the matter, in the protocol's words.
func refusal(err error) error {
	for _, as := range []struct{ is, say error }{
		{gateway.ErrNoWorkload, node.ErrUnknown},
		{gateway.ErrNoVersion, node.ErrUnknown},
		{gateway.ErrNotFunction, node.ErrNotFunction},
		{gateway.ErrNotReady, node.ErrNotReady},
		{gateway.ErrFull, node.ErrNotReady},
		{gateway.ErrCut, node.ErrNotReady},
		{queue.ErrUnknown, node.ErrUnknown},
		{queue.ErrLimit, node.ErrEvent},
		{events.ErrUnknown, node.ErrUnknown},
		{events.ErrContent, node.ErrEvent},
	} {
		if errors.Is(err, as.is) {
			return fmt.Errorf("%w: %w", as.say, err)
		}
	}
	return err
}

// Queues returns the queues of an environment.
func (m *machine) Queues(ctx context.Context, app, env string) ([]node.Queue, error) {
	all, err := m.events.Queues(ctx, app, env)
	out := make([]node.Queue, 0, len(all))
	for _, q := range all {
		if q.Own && q.Visible+q.InFlight+q.Delayed == 0 {
			continue // a person did not name it, and there is nothing to see
		}
		out = append(out, node.Queue{
			Name: q.Name, Visible: int(q.Visible), InFlight: int(q.InFlight), Delayed: int(q.Delayed), Oldest: q.Age, Calls: q.Calls,
			DeadLetter: q.DeadLetter, DeadOf: q.For, MaxReceive: q.MaxReceive, Visibility: q.Visibility, Retention: q.Retention,
		})
	}
	return out, refusal(err)
}

// Send puts a message into a queue.
func (m *machine) Send(ctx context.Context, q node.QueueName, msg node.Message) (string, error) {
	var attributes map[string]events.Attribute
	for name, value := range msg.Attributes {
		if attributes == nil {
			attributes = map[string]events.Attribute{}
		}
		attributes[name] = events.Attribute{Type: "String", Value: []byte(value)}
	}
	id, err := m.events.Send(ctx, q.App, q.Env, q.Name, events.Message{Body: msg.Body, Attributes: attributes, Delay: msg.Delay, Dedup: msg.Dedup})
	return id, refusal(err)
}

// Purge removes every message of a queue.
func (m *machine) Purge(ctx context.Context, q node.QueueName) (int, error) {
	n, err := m.events.Purge(ctx, q.App, q.Env, q.Name)
	return int(n), refusal(err)
}

// redriven is how many dead letters go back at a time: what fails again in the meantime
// must not go round for ever.
const redriven = 10_000

// Redrive puts dead letters back where they came from.
func (m *machine) Redrive(ctx context.Context, q node.QueueName) (int, error) {
	n, err := m.events.Redrive(ctx, q.App, q.Env, q.Name, redriven)
	return int(n), refusal(err)
}

// Peek returns the first messages of a queue.
func (m *machine) Peek(ctx context.Context, q node.QueueName, limit int) ([]node.Message, error) {
	all, err := m.events.Peek(ctx, q.App, q.Env, q.Name, limit)
	out := make([]node.Message, 0, len(all))
	for _, msg := range all {
		out = append(out, node.Message{ID: msg.ID, Body: msg.Body, Attributes: msg.Attributes, Sent: msg.Sent, Received: msg.Received, From: msg.Source})
	}
	return out, refusal(err)
}

// variables are what processes of an app's environment send events with, where it has
// functions.
func (m *machine) variables(app, env string) map[string]string {
	m.mu.Lock()
	calls := m.calls[[2]string{app, env}]
	m.mu.Unlock()
	if !calls {
		return nil
	}
	return m.events.Variables(app, env, m.gateway.OwnAddr())
}

// ages tells the gateway how long events have waited, for the windows of what they call.
func (m *machine) ages(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	waited := map[rollout.Key]bool{}
	for {
		now := m.events.Ages(ctx)
		for k, age := range now {
			m.gateway.SetQueueAge(k, age)
			waited[k] = true
		}
		for k := range waited {
			if _, waits := now[k]; !waits {
				m.gateway.SetQueueAge(k, 0)
				delete(waited, k)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// applyEvents gives w to the events. What is wrong with one queue keeps nothing else from
// being as it should.
func (m *machine) applyEvents(w world.Wanted) {
	calls := map[[2]string]bool{}
	for _, wl := range w.Workloads {
		if wl.Triggers != nil {
			calls[[2]string{wl.Key.App, wl.Key.Env}] = true
		}
	}
	m.mu.Lock()
	m.calls = calls
	m.mu.Unlock()
	if err := m.events.Apply(w); err != nil {
		m.log.Error("events", slog.Any("error", err))
	}
}
