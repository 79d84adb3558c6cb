package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"titrate/client"
	"titrate/internal/auth"
	"titrate/internal/controller"
	"titrate/internal/functions"
	"titrate/internal/invocation"
	"titrate/internal/manifest"
	"titrate/internal/node"
	"titrate/internal/rollout"
)

// fakeCalls is what the node's machine of these tests does with calls and queues: it
// remembers the calls, and keeps messages in a list.
type fakeCalls struct {
	mu       sync.Mutex
	calls    []node.Invocation
	answer   func(node.Invocation) (node.Invoked, error)
	messages []node.Message
}

func (m *machine) Invoke(_ context.Context, i node.Invocation) (node.Invoked, error) {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	m.fake.calls = append(m.fake.calls, i)
	if m.fake.answer == nil {
		return node.Invoked{}, node.ErrNoFunctions
	}
	return m.fake.answer(i)
}

func (m *machine) has(q node.QueueName) error {
	if q.Name != "orders" {
		return fmt.Errorf("queue %s: %w", q.Name, node.ErrUnknown)
	}
	return nil
}

func (m *machine) Queues(context.Context, string, string) ([]node.Queue, error) {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	return []node.Queue{{Name: "orders", Visible: len(m.fake.messages), Oldest: 90 * time.Second, Calls: []string{"on-order"}, DeadLetter: "orders-dead", Visibility: 30 * time.Second}}, nil
}

func (m *machine) Send(_ context.Context, q node.QueueName, msg node.Message) (string, error) {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	if len(msg.Body) > 256<<10 {
		return "", fmt.Errorf("%w: too large", node.ErrEvent)
	}
	msg.ID = fmt.Sprint(len(m.fake.messages) + 1)
	m.fake.messages = append(m.fake.messages, msg)
	return msg.ID, m.has(q)
}

func (m *machine) Purge(_ context.Context, q node.QueueName) (int, error) {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	n := len(m.fake.messages)
	m.fake.messages = nil
	return n, m.has(q)
}

func (m *machine) Redrive(_ context.Context, q node.QueueName) (int, error) { return 3, m.has(q) }

func (m *machine) Peek(_ context.Context, q node.QueueName, limit int) ([]node.Message, error) {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	return m.fake.messages[:min(limit, len(m.fake.messages))], m.has(q)
}

// deliver releases shop with its workload web made a function, and waits until its
// rollout has arrived somewhere.
func (i *installation) deliver(t *testing.T, commit string, probe string, wait func(client.Rollout) bool) client.Rollout {
	t.Helper()
	src := []byte(strings.ReplaceAll(strings.Replace(shop, "alarms: { errors: 5xx > 50% for 1s min 1 }", "alarms: {}", 1), "%TEXT%", commit))
	app, problems := manifest.Parse(src, manifest.File)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for e := range app.Environments {
		s := &app.Environments[e].Services[0]
		s.Route, s.Function = "", &manifest.Function{
			Path: "web", Run: rollout.Function{Runtime: "nodejs22", Handler: "index.handler", Timeout: 10 * time.Second, Probe: []byte(probe)}, Scale: rollout.Scale{Max: 10},
			Triggers: rollout.Triggers{Routes: []string{"GET /web/{id}"}, Queues: []rollout.QueueTrigger{{Queue: rollout.Queue{Name: "orders"}, Batch: 10}}},
		}
		s.Limits.Memory = 256 << 20
	}
	got, err := i.controller.Deliver(t.Context(), controller.Delivery{
		App: *app, Manifest: src, Commit: commit, Branch: "main", Default: true, By: "test",
		Artifact: map[string]rollout.Artifact{"web": {Digest: strings.Repeat(commit[:1], 64), Command: []string{"web"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return i.await(t, got.Rollouts[0], wait)
}

func echoes(i node.Invocation) (node.Invoked, error) {
	return node.Invoked{ID: "1", Version: max(i.Version, 1), Status: 200, Payload: i.Payload, Tail: "ok"}, nil
}

func TestAPI_functionsAreListedCalledAndProbed(t *testing.T) {
	t.Parallel()
	i := install(t)
	ctx := t.Context()
	if list, err := i.Functions(ctx, "shop", "production"); err != nil || len(list) != 0 || list == nil {
		t.Errorf("%#v, %v", list, err)
	}
	i.release(t, "svc", over)
	_, err := i.Invoke(ctx, "shop", "production", "web", client.InvokeRequest{})
	problemOf(t, err, http.StatusServiceUnavailable, functions.CodeNotReady)

	i = install(t)
	i.machine.fake.answer = echoes
	i.deliver(t, "a1", "", ended)
	_, err = i.Probe(ctx, "shop", "production", "web", client.ProbeRequest{})
	problemOf(t, err, http.StatusConflict, functions.CodeProbe)
	i.deliver(t, "b2", `{"probe":true}`, approval)

	list, err := i.Functions(ctx, "shop", "production")
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	f := list[0]
	if f.Name != "web" || f.Stable != 1 || f.Candidate != 2 || f.Newest != 2 || f.Timeout != 10 || f.Memory != 256<<20 || f.Max != 10 || f.Runtime != "nodejs22" || len(f.Versions) != 2 ||
		f.Versions[0].Weight != 90 || f.Versions[1].Weight != 10 || f.Versions[1].Role != "candidate" {
		t.Errorf("%+v", f)
	}
	if diff := cmp.Diff([]string{"GET /web/{id}", "queue orders"}, f.Triggers); diff != "" {
		t.Error(diff)
	}

	got, err := i.Invoke(ctx, "shop", "production", "Web/", client.InvokeRequest{Event: json.RawMessage(`{"n":1}`), Version: 2, Tail: true})
	if err != nil || string(got.Answer) != `{"n":1}` || got.Version != 2 || got.Tail != "ok" {
		t.Errorf("%+v, %v", got, err)
	}
	if last := i.machine.fake.calls[len(i.machine.fake.calls)-1]; last.Key.Workload != "web" || last.Kind != node.Sync {
		t.Errorf("%+v", last)
	}
	if got, err = i.Invoke(ctx, "shop", "production", "web", client.InvokeRequest{}); err != nil || string(got.Answer) != "{}" {
		t.Errorf("no event is {}: %+v, %v", got, err)
	}
	_, err = i.Probe(ctx, "shop", "production", "web", client.ProbeRequest{})
	if p := problemOf(t, err, http.StatusConflict, functions.CodeProbe); !strings.Contains(p.Detail, "--version v2") {
		t.Error(p.Detail)
	}
	_, err = i.Invoke(ctx, "shop", "production", "web", client.InvokeRequest{Version: 1, Stable: true})
	problemOf(t, err, http.StatusUnprocessableEntity, "T0803")
}

func TestAPI_aCallSaysWhyItReachedNothing(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", "", ended)
	for _, c := range []struct {
		is     error
		name   string
		v      int
		status int
		code   string
		says   string
	}{
		{node.ErrUnknown, "wed", 0, 404, functions.CodeName, "there is no function wed"},
		{node.ErrUnknown, "web", 7, 404, functions.CodeVersion, "the newest is v1"},
		{node.ErrUnknown, "web", 1, 404, functions.CodeVersion, "does not run"},
		{node.ErrNotReady, "web", 0, 503, functions.CodeNotReady, "could not be called"},
		{node.ErrEvent, "web", 0, 422, functions.CodeEvent, "6 MiB"},
		{errors.New("it is down"), "web", 0, 503, functions.CodeNotReady, "the node cannot be asked"},
		{node.ErrNoFunctions, "web", 0, 503, functions.CodeNotReady, "titrate up"},
	} {
		i.machine.fake.answer = func(node.Invocation) (node.Invoked, error) { return node.Invoked{}, c.is }
		_, err := i.Invoke(t.Context(), "shop", "production", c.name, client.InvokeRequest{Version: c.v})
		if p := problemOf(t, err, c.status, c.code); !strings.Contains(p.Detail, c.says) || !strings.Contains(p.Detail, "help") {
			t.Errorf("%v: %s", c.is, p.Detail)
		}
	}
	i.machine.fake.answer = func(node.Invocation) (node.Invoked, error) {
		return node.Invoked{Version: 1, Status: 200, Failure: invocation.Timeout, Type: "Sandbox.Timeout", Message: "too slow", Payload: []byte("plain \x01")}, nil
	}
	got, err := i.Invoke(t.Context(), "shop", "production", "web", client.InvokeRequest{})
	if err != nil || got.Failure != "timeout" || string(got.Answer) != `"plain \u0001"` {
		t.Errorf("%+v, %v", got, err)
	}
	// Six MiB fit; more do not.
	i.machine.fake.answer = echoes
	large := json.RawMessage(`"` + strings.Repeat("x", node.MaxPayload-2) + `"`)
	if got, err := i.Invoke(t.Context(), "shop", "production", "web", client.InvokeRequest{Event: large}); err != nil || len(got.Answer) != node.MaxPayload {
		t.Errorf("%d bytes, %v", len(got.Answer), err)
	}
	var p *client.Problem
	if _, err := i.Invoke(t.Context(), "shop", "production", "web", client.InvokeRequest{Event: append(large[:len(large)-1], 'x', '"')}); !errors.As(err, &p) || p.Status/100 != 4 {
		t.Error(err)
	}
}

func TestAPI_queues(t *testing.T) {
	t.Parallel()
	i := install(t)
	ctx := t.Context()
	if s, err := i.Send(ctx, "shop", "production", "orders", client.SendRequest{Body: "one", Attributes: map[string]string{"a": "b"}}); err != nil || s.ID != "1" {
		t.Errorf("%+v, %v", s, err)
	}
	qs, err := i.Queues(ctx, "shop", "production")
	if err != nil || len(qs) != 1 || qs[0].Visible != 1 || qs[0].Oldest != 90 || qs[0].Visibility != 30 || qs[0].DeadLetter != "orders-dead" {
		t.Errorf("%+v, %v", qs, err)
	}
	ms, err := i.Messages(ctx, "shop", "production", "orders", 5)
	if err != nil || len(ms) != 1 || ms[0].Body != "one" || ms[0].Attributes["a"] != "b" {
		t.Errorf("%+v, %v", ms, err)
	}
	if m, err := i.Redrive(ctx, "shop", "production", "orders"); err != nil || m.Messages != 3 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := i.Purge(ctx, "shop", "production", "orders"); err != nil || m.Messages != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	_, err = i.Send(ctx, "shop", "production", "nothing", client.SendRequest{Body: "one"})
	if p := problemOf(t, err, http.StatusNotFound, functions.CodeQueue); !strings.Contains(p.Detail, "saw     orders") {
		t.Error(p.Detail)
	}
	_, err = i.Send(ctx, "shop", "production", "orders", client.SendRequest{Body: strings.Repeat("x", 257<<10)})
	problemOf(t, err, http.StatusUnprocessableEntity, functions.CodeEvent)
}

func TestAPI_credentialsAreTheTokensOwn(t *testing.T) {
	t.Parallel()
	i := install(t)
	mine, err := i.Credentials(t.Context())
	if err != nil || mine.Name != auth.Local || mine.Endpoint != "http://127.0.0.1:7070/lambda" {
		t.Fatalf("%+v, %v", mine, err)
	}
	theirs, err := i.roled(t, auth.Viewer).Credentials(t.Context())
	if err != nil || theirs.Name != "a-viewer" || theirs.AccessKeyID == mine.AccessKeyID || theirs.SecretAccessKey == mine.SecretAccessKey {
		t.Errorf("%+v, %v", theirs, err)
	}
}
