package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"titrate/internal/rollout"
)

func TestClient_callsAFunction(t *testing.T) {
	t.Parallel()
	c := serve(t, &machine{})
	at := func(name string) rollout.Key { return rollout.Key{App: "shop", Env: "production", Workload: name} }
	large := bytes.Repeat([]byte{'x'}, MaxPayload)
	got, err := c.Invoke(t.Context(), Invocation{Key: at("echo"), Version: 3, Kind: Event, Payload: large})
	if err != nil || got.Version != 3 || !bytes.Equal(got.Payload, large) || got.Tail != "event" {
		t.Errorf("%d bytes of %v, %v", len(got.Payload), got.Version, err)
	}
	for name, want := range map[string]error{"service": ErrNotFunction, "nothing": ErrUnknown} {
		if _, err := c.Invoke(t.Context(), Invocation{Key: at(name)}); !errors.Is(err, want) || !strings.Contains(err.Error(), "shop/production/"+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Invoke(t.Context(), Invocation{Key: at("echo"), Payload: append(large, 'x')}); !errors.Is(err, ErrEvent) {
		t.Errorf("over the limit: %v", err)
	}
}

// A caller who goes away ends the call.
func TestClient_aCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := serve(t, &machine{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Invoke(ctx, Invocation{Key: rollout.Key{Workload: "slow"}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestClient_asksQueues(t *testing.T) {
	t.Parallel()
	c := serve(t, &machine{})
	ctx, q := t.Context(), QueueName{"shop", "production", "orders"}
	if qs, err := c.Queues(ctx, "shop", "uat"); err != nil || len(qs) != 1 || qs[0].Name != "shop-uat" || qs[0].Visible != 2 {
		t.Errorf("%+v, %v", qs, err)
	}
	if id, err := c.Send(ctx, q, Message{Body: []byte("a")}); err != nil || id != "orders a" {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := c.Send(ctx, q, Message{}); !errors.Is(err, ErrEvent) {
		t.Error(err)
	}
	if n, err := c.Purge(ctx, q); err != nil || n != 7 {
		t.Error(n, err)
	}
	if _, err := c.Redrive(ctx, q); !errors.Is(err, ErrNoFunctions) {
		t.Error(err)
	}
	if ms, err := c.Peek(ctx, q, 4); err != nil || len(ms) != 4 {
		t.Error(ms, err)
	}
}

// A node of before answers 404 to what it does not know.
func TestClient_saysThatANodeIsOlder(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	http.NotFound(rec, nil)
	if err := refusedFor(rec.Result()); !errors.Is(err, ErrNoFunctions) || !strings.Contains(err.Error(), "titrate up") {
		t.Error(err)
	}
}

// gathered keeps what is written to it, until it takes no more.
type gathered struct {
	strings.Builder
	most int
}

func (g *gathered) Write(p []byte) (int, error) {
	if g.Len() >= g.most {
		return 0, errors.New("that will do")
	}
	return g.Builder.Write(p)
}

func TestClient_passesAnAnswerOnAsItComes(t *testing.T) {
	t.Parallel()
	c := serve(t, &machine{})
	call := func(name, payload string, most int) (Invoked, *gathered, rollout.Version, error) {
		var by rollout.Version
		g := &gathered{most: most}
		got, err := c.Invoke(t.Context(), Invocation{Key: rollout.Key{Workload: name}, Payload: []byte(payload), To: func(v rollout.Version) io.Writer {
			by = v
			return g
		}})
		return got, g, by, err
	}
	const all = len("one") + 3*maxPiece
	if got, g, by, err := call("pieces", "", all); err != nil || by != 3 || got.Tail != "END" || g.Len() != all || !strings.HasPrefix(g.String(), "onetwotwo") {
		t.Errorf("%+v: %d bytes by %v, %v", got, g.Len(), by, err)
	}
	if _, g, _, err := call("pieces", "broken", all); !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "drained") || g.Len() != all {
		t.Errorf("%d bytes, %v", g.Len(), err)
	}
	if _, _, _, err := call("pieces", "", 1); err == nil || !strings.Contains(err.Error(), "that will do") {
		t.Error(err)
	}
	if got, g, by, err := call("echo", "e", 1); err != nil || string(got.Payload) != "e" || g.Len() != 0 || by != 0 {
		t.Errorf("an answer that was not begun: %+v, %v", got, err)
	}
	if _, _, _, err := call("nothing", "", 1); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func FuzzPieces(f *testing.F) {
	for _, s := range []string{"", "\x00\x00\x00\x01x\x00\x00\x00\x00{}", "\xff\xff\xff\xff", "\x00\x00\x00\x00{\"error\":\"x\",\"kind\":\"event\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		g := &gathered{most: 1 << 30}
		if _, err := readPieces(bytes.NewReader(sent), g); err == nil && !bytes.Contains(sent, []byte("\x00\x00\x00\x00")) {
			t.Error("there is no end, and it was read to it")
		}
		if g.Len() > len(sent) {
			t.Error("more came out than there was")
		}
	})
}

func FuzzCall(f *testing.F) {
	f.Add("/v1/invoke", `{"key":{"app":"a","env":"b","workload":"echo"},"payload":"e30=","kind":"sync"}`)
	f.Add("/v1/invoke/stream", `{"key":{"app":"a","env":"b","workload":"pieces"},"kind":"sync"}`)
	f.Add("/v1/queues/send", `{"app":"a","env":"b","name":"c","message":{"body":"eA=="}}`)
	f.Add("/v1/queues/peek", `{"limit":-1}`)
	h := NewHandler(&machine{}, "secret")
	f.Fuzz(func(t *testing.T, path, body string) {
		if !strings.HasPrefix(path, "/v1/queues/send") && !strings.HasPrefix(path, "/v1/invoke") {
			path = "/v1/queues/purge"
		}
		if strings.Contains(body, "slow") || strings.ContainsAny(path, " \n%?#\x00") {
			return // the machine waits for "slow", and httptest makes no request of the others
		}
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set(protocolHeader, "1")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code >= 500 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	})
}
