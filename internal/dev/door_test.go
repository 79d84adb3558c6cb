package dev

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/client"
	"titrate/internal/delivery"
	"titrate/internal/events"
	"titrate/internal/gateway"
	"titrate/internal/invocation"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// echo answers with its event, or text that is no JSON where the event is "text".
type echo struct{}

func (echo) Invoke(_ context.Context, event []byte, _ invocation.Call) ([]byte, invocation.Called) {
	if string(event) == `"text"` {
		return []byte("no JSON"), invocation.Called{}
	}
	if string(event) == `"fail"` {
		return nil, invocation.Called{Failure: invocation.Unhandled, Type: "TypeError", Message: "no beans", Tail: "START"}
	}
	return event, invocation.Called{Cold: true}
}

func (echo) Begin(_ *http.Request, _ invocation.Call, then func(*http.Response, invocation.Called)) {
	then(nil, invocation.Called{})
}

func (echo) Serve(*http.Request, invocation.Call) (*http.Response, invocation.Called) {
	return nil, invocation.Called{}
}

// opened is a run with a function mail, of which the loop has begun nothing but the door.
func opened(t *testing.T) *dev {
	t.Helper()
	d := &dev{Config: Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Out: t.Output()}, say: &teller{out: t.Output()}}
	var err error
	if d.events, err = events.Open(t.Context(), events.Config{Dir: d.path("events"), Key: make([]byte, 32), Log: d.Log, Deliver: delivery.By(func() *gateway.Gateway { return d.gateway })}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.events.Close() })
	if d.gateway, err = gateway.New(gateway.Config{Logger: d.Log, Epoch: "dev", InternalPort: 1}); err != nil {
		t.Fatal(err)
	}
	k := rollout.Key{App: "shop", Env: env, Workload: "mail"}
	w := world.Wanted{Stamp: world.Stamp{Token: 1, Revision: 1}, Workloads: []world.Workload{{
		Key: k, Fleets: []world.Fleet{{Version: 1, Count: 1, Function: &rollout.Function{}}}, Split: []world.Share{{Version: 1, Weight: rollout.Full}}, Stable: 1,
		Triggers: &rollout.Triggers{Queues: []rollout.QueueTrigger{{Queue: rollout.Queue{Name: "letters", Visibility: time.Minute, Retention: time.Hour}, Batch: 1}}},
	}}}
	if err := errors.Join(d.gateway.Apply(gateway.TableOf(w)), d.events.Apply(w)); err != nil {
		t.Fatal(err)
	}
	d.callable(w)
	d.gateway.SetInstances(k, 1, []gateway.Endpoint{{ID: "mail-v1", Callee: echo{}}})
	return d
}

// at is the door of a run, as a client.
func (d *dev) at(t *testing.T) *client.Client {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.door(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := FindDoor(context.Background(), d.Dir); err == nil || !strings.HasPrefix(err.Error(), "error[T0594]") {
			t.Errorf("after its end: %v", err)
		}
	})
	for {
		if at, err := FindDoor(t.Context(), d.Dir); err == nil {
			return &client.Client{URL: at.URL, Token: at.Token}
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
}

func TestDoor_callsFunctionsAndFillsQueues(t *testing.T) {
	t.Parallel()
	c := opened(t).at(t)
	ctx := t.Context()
	for event, want := range map[string]string{`{"id":7}`: `{"id":7}`, "": "{}", `"text"`: `"no JSON"`} {
		got, err := c.Invoke(ctx, "shop", Env, "mail", client.InvokeRequest{Event: []byte(event)})
		if err != nil || string(got.Answer) != want || got.Version != 1 || got.Failure != "" || got.Status != 200 {
			t.Errorf("%s: %+v, %v", event, got, err)
		}
	}
	if got, err := c.Invoke(ctx, "shop", Env, "mail", client.InvokeRequest{Event: []byte(`"fail"`)}); err != nil || got.Failure != "unhandled" || got.Type != "TypeError" || got.Tail != "START" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Send(ctx, "shop", Env, "letters", client.SendRequest{Body: "hello"}); err != nil {
		t.Fatal(err)
	}
	if all, err := c.Queues(ctx, "shop", Env); err != nil || len(all) != 1 || all[0].Name != "letters" || all[0].Visible != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := c.Messages(ctx, "shop", Env, "letters", 10); err != nil || len(all) != 1 || all[0].Body != "hello" {
		t.Errorf("%+v, %v", all, err)
	}
	if n, err := c.Purge(ctx, "shop", Env, "letters"); err != nil || n.Messages != 1 {
		t.Errorf("%+v, %v", n, err)
	}
	if got, err := c.Invoke(ctx, "shop", Env, "mail", client.InvokeRequest{Kind: "event"}); err != nil || got.Status != 202 || got.ID == "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDoor_saysWhatIsNotThere(t *testing.T) {
	t.Parallel()
	c := opened(t).at(t)
	ctx := t.Context()
	_, function := c.Invoke(ctx, "shop", Env, "male", client.InvokeRequest{})
	_, version := c.Invoke(ctx, "shop", Env, "mail", client.InvokeRequest{Version: 7})
	_, queue := c.Send(ctx, "shop", Env, "lettres", client.SendRequest{Body: "x"})
	_, large := c.Send(ctx, "shop", Env, "letters", client.SendRequest{Body: strings.Repeat("x", 300<<10)})
	_, stranger := (&client.Client{URL: c.URL, Token: "x"}).Queues(ctx, "shop", Env)
	for name, is := range map[string]struct {
		err        error
		code, want string
	}{
		"function": {function, "T0860", "titrate dev runs no function male\n  saw     mail"},
		"version":  {version, "T0861", "leave --version out"},
		"queue":    {queue, "T0864", "titrate dev has no queue lettres\n  saw     letters"},
		"large":    {large, "T0863", "the limits are 0 and 262144 bytes"},
		"stranger": {stranger, "", "another titrate dev"},
	} {
		var p *client.Problem
		if !errors.As(is.err, &p) || p.Code != is.code || !strings.Contains(p.Detail, is.want) {
			t.Errorf("%s: %v", name, is.err)
		}
	}
	if _, err := FindDoor(ctx, filepath.Join(t.TempDir(), "none")); err == nil || !strings.HasPrefix(err.Error(), "error[T0594]") {
		t.Errorf("%v", err)
	}
}
