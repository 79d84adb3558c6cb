package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
)

func TestR25_aFunctionIsShieldedByItsStableVersion(t *testing.T) {
	t.Parallel()
	for name, headers := range fronts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			stable := newFunction(func(_ context.Context, what string, _ invocation.Call) (string, invocation.Called) {
				return "stable " + what, invocation.Called{}
			})
			r.function(1, stable)
			r.function(2, newFunction(func(context.Context, string, invocation.Call) (string, invocation.Called) {
				return "broken", invocation.Called{Failure: invocation.Timeout}
			}))
			r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, trial)
			for _, method := range []string{"GET", "PUT"} {
				body := ""
				if method == "PUT" {
					body = "an order"
				}
				status, v, got := r.do(t, method, r.url("/x"), strings.NewReader(body), headers...)
				if want := map[string]string{"GET": "stable /x", "PUT": "stable an order"}[method]; status != 200 || v != "v1" || got != want {
					t.Errorf("%s: a client sees %d %q by %s", method, status, got, v)
				}
			}
			if status, v, _ := r.do(t, "POST", r.url("/x"), strings.NewReader("an order"), headers...); status != 504 || v != "v2" {
				t.Errorf("POST: a client sees %d by %s", status, v)
			}
			if o, w := r.of(t, 2), r.sum(2); o.Shielded != 2 || o.Served != (Unshielded{Method: 1}) || w.Failed != 3 || w.Timeouts != 3 {
				t.Errorf("counted are %+v, %d failed, %d timeouts", o, w.Failed, w.Timeouts)
			}
			if w := r.sum(1); w.Requests != 0 || stable.real.Load() != 2 {
				t.Errorf("stable's windows hold %d requests, of %d real ones", w.Requests, stable.real.Load())
			}
		})
	}
}

// A version that has just stopped takes no calls: another of stable's stands in then.
func TestR25_stableMayHaveStoppedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, headers := range fronts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			gone := newFunction(func(context.Context, string, invocation.Call) (string, invocation.Called) {
				return "", invocation.Called{Failure: invocation.Stopped}
			})
			r.function(2, newFunction(func(context.Context, string, invocation.Call) (string, invocation.Called) {
				return "broken", invocation.Called{Failure: invocation.Exit}
			}))
			r.function(1, gone)
			r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, trial)
			if status, _, _ := r.get(t, "/", headers...); status != 503 {
				t.Errorf("with nothing left a client sees %d", status)
			}
			r.SetInstances(orders, 1, []Endpoint{{ID: "a", Callee: gone}, {ID: "b", Callee: newFunction(answers("stable"))}})
			for range 4 {
				if status, v, body := r.get(t, "/", headers...); status != 200 || v != "v1" || body != "stable" {
					t.Errorf("a client sees %d %q by %s", status, body, v)
				}
			}
			if w := r.sum(1); w.Requests != 0 {
				t.Errorf("stable's windows hold %d requests", w.Requests)
			}
			eventually(t, "all is given back", func() bool { return r.Open(orders, 1)+r.Open(orders, 2) == 0 && r.inFlight.Load() == 0 })
		})
	}
}

// A candidate that answers before it has read a body leaves it to stable: what has come of
// it, and what still comes.
func TestR25_aBodyThatIsStillComing(t *testing.T) {
	t.Parallel()
	r, _ := onTrial(t, rollout.Full, func(w http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, make([]byte, 5))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	for _, c := range []struct {
		pieces int
		status int
	}{{1, 200}, {20, 200}, {4000, 503}} {
		t.Run(fmt.Sprint(c.pieces), func(t *testing.T) {
			from, to := io.Pipe()
			go func() {
				for range c.pieces {
					if _, err := io.WriteString(to, "0123456789abcdefghijklmnopqrstuvwxyz"); err != nil {
						return
					}
				}
				to.Close()
			}()
			status, v, body := r.do(t, http.MethodPut, r.url("/"), from) // in chunks: net/http
			from.Close()
			switch {
			case status == 200 && v == "v1" && body == "stable "+strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz", c.pieces):
			case status == 503 && v == "v2":
			default:
				t.Errorf("a client sees %d by %s, and %d bytes", status, v, len(body))
			}
			if c.pieces < 4000 && status != c.status {
				t.Errorf("a short body is answered with %d", status)
			}
		})
	}
}
