package gateway

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// attempt puts all workloads of a table into one attempt of a rollout, that may break so
// much.
func attempt(number int, d rollout.Damage) func(*Table) {
	return func(t *Table) {
		for i := range t.Workloads {
			w := &t.Workloads[i]
			w.Stable, w.Rollout, w.Attempt, w.Damage = 1, 7, number, d
		}
	}
}

// second adds a workload that is another member of the rollout.
func second(key rollout.Key) func(*Table) {
	return func(t *Table) {
		w := t.Workloads[0]
		w.Key, w.Routes = key, []string{"/second"}
		t.Workloads = append(t.Workloads, w)
	}
}

// candidateOf returns the share that is served of v2.
func (r *rig) candidateOf(k rollout.Key) rollout.Weight {
	w, _ := r.Served().Of(k, 2)
	return w
}

func TestR26_theGatewayAloneStopsWhatBreaksTooMuch(t *testing.T) {
	t.Parallel()
	for name, headers := range fronts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			payments := rollout.Key{App: "cofe", Env: "production", Workload: "payments"}
			var told atomic.Int64
			r := newRig(t, Config{OnCut: func() { told.Add(1) }})
			for _, k := range []rollout.Key{orders, payments} {
				r.SetInstances(k, 1, []Endpoint{newBackend(t, "a", says("stable")).Endpoint})
				r.SetInstances(k, 2, []Endpoint{newBackend(t, "b", fails(503)).Endpoint})
			}
			limit := rollout.Damage{Requests: 50}
			r.split(t, map[rollout.Version]rollout.Weight{1: 5000, 2: 5000}, second(payments), attempt(1, limit))

			const clients = 8
			var failed, answered atomic.Uint64
			var work sync.WaitGroup
			for range clients {
				work.Go(func() {
					for range 50 {
						req := r.plainPost() // which cannot be shielded
						for i := 0; i < len(headers); i += 2 {
							req.Header.Set(headers[i], headers[i+1])
						}
						res, err := r.client.Do(req)
						if err != nil {
							t.Error(err)
							return
						}
						res.Body.Close()
						if answered.Add(1); res.StatusCode != http.StatusOK {
							failed.Add(1)
						}
					}
				})
			}
			work.Wait()
			if n := failed.Load(); n < 50 || n > 50+clients {
				t.Errorf("clients saw %d failures, of at most 50 and those under way", n)
			}
			if o := r.of(t, 2); o.Asked != 0 || o.Drawn != 0 {
				t.Errorf("after the cut the candidate has %+v", o)
			}
			eventually(t, "the cut is told", func() bool { return told.Load() == 1 })
			if d := r.Damage(); len(d) != 1 || d[0].Rollout != 7 || d[0].Attempt != 1 || d[0].Served != failed.Load() || d[0].Cut.IsZero() {
				t.Errorf("%d failures are reported as %+v", failed.Load(), d)
			}

			// For the whole group, and whatever is written later.
			r.split(t, map[rollout.Version]rollout.Weight{1: 1, 2: 9999}, second(payments), attempt(1, rollout.Damage{}))
			if a, b := r.candidateOf(orders), r.candidateOf(payments); a != 0 || b != 0 {
				t.Errorf("after a later table of the attempt the candidates have %s and %s", a, b)
			}
			for _, path := range []string{"/", "/second"} {
				if status, v, _ := r.do(t, "POST", r.url(path), strings.NewReader("x"), headers...); status != 200 || v != "v1" {
					t.Errorf("%s is answered with %d by %s", path, status, v)
				}
			}

			// Another attempt has its own.
			r.split(t, map[rollout.Version]rollout.Weight{1: 5000, 2: 5000}, second(payments), attempt(2, limit))
			if w := r.candidateOf(orders); w != 5000 {
				t.Errorf("the next attempt has %s", w)
			}
			r.split(t, map[rollout.Version]rollout.Weight{1: 5000, 2: 5000}, second(payments), attempt(1, limit))
			if w := r.candidateOf(orders); w != 0 {
				t.Errorf("the first attempt has %s again", w)
			}
		})
	}
}

func TestR26_theNextProcessKnowsOfTheCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.SetInstances(orders, 1, []Endpoint{newBackend(t, "a", says("stable")).Endpoint})
	r.SetInstances(orders, 2, []Endpoint{newBackend(t, "b", fails(503)).Endpoint})
	all := map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}
	at := time.Unix(1000, 0)
	r.split(t, all, attempt(1, rollout.Damage{Requests: 3}), func(t *Table) {
		t.Damage = []world.Damage{{Rollout: 7, Attempt: 1, Served: 3, Cut: at}, {Rollout: 7, Attempt: 2, Limit: rollout.Damage{Requests: 3}, Served: 2}}
	})
	if status, v, _ := r.do(t, "POST", r.url("/"), nil); status != 200 || v != "v1" {
		t.Errorf("what was cut is answered with %d by %s", status, v)
	}
	if d := r.Damage(); len(d) == 0 || !d[0].Cut.Equal(at) {
		t.Errorf("known is %+v", d)
	}
	r.split(t, all, attempt(2, rollout.Damage{Requests: 3}), func(t *Table) {
		t.Damage = []world.Damage{{Rollout: 7, Attempt: 2, Limit: rollout.Damage{Requests: 3}, Served: 2}}
	})
	if status, v, _ := r.do(t, "POST", r.url("/"), nil); status != 503 || v != "v2" {
		t.Errorf("what is left is answered with %d by %s", status, v)
	}
	if status, v, _ := r.do(t, "POST", r.url("/"), nil); status != 200 || v != "v1" {
		t.Errorf("what is spent is answered with %d by %s", status, v)
	}
}

func TestR26_whatIsShieldedSpendsNothing(t *testing.T) {
	t.Parallel()
	r, _ := onTrial(t, 5000, fails(503), attempt(1, rollout.Damage{Requests: 1}))
	for range 10 { // which the shield's budget always covers
		if status, _, body := r.get(t, "/"); status != 200 {
			t.Errorf("a client sees %d %q", status, body)
		}
	}
	if d := r.Damage(); len(d) != 1 || d[0].Served != 0 || !d[0].Cut.IsZero() {
		t.Errorf("known is %+v", d)
	}
}

func TestR26_aShareIsOfWhatTheCandidatesGot(t *testing.T) {
	t.Parallel()
	d := rollout.Damage{Share: 100} // 1 %
	for _, c := range []struct {
		failures, given uint64
		spent           bool
	}{{9, 9, false}, {10, 10, true}, {10, 1000, true}, {19, 2000, false}, {20, 2000, true}} {
		if got := d.Spent(c.failures, func() uint64 { return c.given }); got != c.spent {
			t.Errorf("%d of %d spends 1 %%: %v", c.failures, c.given, got)
		}
	}
}
