package gateway

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// trial makes v1 stable beside a candidate v2.
func trial(t *Table) { t.Workloads[0].Stable = 1 }

// fronts are headers that leave a request to the loops, and such as move it to net/http.
func fronts() map[string][]string {
	return map[string][]string{"loops": nil, "net/http": {HeaderVersion, "v2"}}
}

// of returns what was observed of a version.
func (r *rig) of(t *testing.T, v rollout.Version) Observed {
	t.Helper()
	s, _ := r.Share(orders)
	for _, o := range s.Versions {
		if o.Version == v {
			return o
		}
	}
	t.Fatalf("%s is not observed", v)
	return Observed{}
}

// onTrial is a rig with a stable v1 and a candidate v2.
func onTrial(t *testing.T, weight rollout.Weight, candidate http.HandlerFunc, change ...func(*Table)) (r *rig, stable *backend) {
	t.Helper()
	return onTrialWith(t, Config{}, weight, candidate, change...)
}

func onTrialWith(t *testing.T, c Config, weight rollout.Weight, candidate http.HandlerFunc, change ...func(*Table)) (r *rig, stable *backend) {
	t.Helper()
	r = newRig(t, c)
	stable = newBackend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Titrate-Shielded", "forged")
		w.Write(append([]byte("stable "), body...))
	})
	r.SetInstances(orders, 1, []Endpoint{stable.Endpoint})
	r.SetInstances(orders, 2, []Endpoint{newBackend(t, "b", candidate).Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full - weight, 2: weight}, append([]func(*Table){trial}, change...)...)
	return r, stable
}

func fails(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", status) }
}

func TestR25_nobodySeesACandidateThatFailsEveryGet(t *testing.T) {
	t.Parallel()
	for name, headers := range fronts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Uint64
			// A slow clock: on a slow machine, too, all of it is within the budget's ten seconds.
			began := time.Now()
			slow := func() time.Time { return began.Add(time.Since(began) / 50) }
			r, _ := onTrialWith(t, Config{Clock: slow}, 0, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			for range 200 { // the budget is a share of these
				if status, _, body := r.get(t, "/"); status != 200 {
					t.Fatalf("stable says %d %s", status, body)
				}
			}
			r.split(t, map[rollout.Version]rollout.Weight{1: 9000, 2: 1000}, trial)
			var clients sync.WaitGroup
			var shielded atomic.Uint64
			const requests = 800
			for range 5 {
				clients.Go(func() {
					for range requests / 5 {
						req := r.plainGet()
						for i := 0; i < len(headers); i += 2 {
							req.Header.Set(headers[i], headers[i+1])
						}
						res, err := r.client.Do(req)
						if err != nil {
							t.Error(err)
							return
						}
						body, err := io.ReadAll(res.Body)
						res.Body.Close()
						if err != nil || res.StatusCode != 200 || string(body) != "stable " || res.Header.Get(HeaderVersion) != "v1" {
							t.Errorf("a client sees %d %q by %s: %v", res.StatusCode, body, res.Header.Get(HeaderVersion), err)
						}
						switch res.Header.Get(HeaderShielded) {
						case "1":
							shielded.Add(1)
						case "":
						default:
							t.Errorf("a version says %s", res.Header[HeaderShielded])
						}
					}
				})
			}
			clients.Wait()
			o, n := r.of(t, 2), asked.Load()
			if n == 0 || o.Shielded != n || shielded.Load() != n || o.Drawn != n || o.Served.Sum() != 0 {
				t.Errorf("of %d failures clients were told of %d, and this was counted: %+v", n, shielded.Load(), o)
			}
			if w := r.sum(2); w.Requests != n || w.Failed != n || w.Status[5] != n {
				t.Errorf("the candidate's account of %d failures: %d requests, %d failed, %d with 5xx", n, w.Requests, w.Failed, w.Status[5])
			}
			if w := r.sum(1); w.Requests != 200+requests-n || w.Failed != 0 {
				t.Errorf("stable's windows hold %d requests, %d were its own", w.Requests, 200+requests-n)
			}
			eventually(t, "all is given back", func() bool { return r.Open(orders, 1)+r.Open(orders, 2) == 0 && r.inFlight.Load() == 0 })
		})
	}
}

func TestR25_whateverBreaksBeforeTheHeadIsShielded(t *testing.T) {
	t.Parallel()
	broken := func(w http.ResponseWriter, _ *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	garbage := func(w http.ResponseWriter, _ *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(c, "HTTP/1.1 nonsense\r\n\r\n")
		c.Close()
	}
	early := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusBadGateway)
	}
	long := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusGatewayTimeout)
		w.Write(bytes.Repeat([]byte("x"), 100_000))
	}
	for name, candidate := range map[string]http.HandlerFunc{"reset": broken, "no HTTP": garbage, "after a 103": early, "a long answer": long} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, headers := range fronts() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					r, _ := onTrial(t, rollout.Full, candidate)
					for _, method := range []string{"GET", "PUT", "DELETE", "POST"} {
						headers := append([]string{"Idempotency-Key", "k"}, headers...)
						status, v, body := r.do(t, method, r.url("/"), strings.NewReader("an order"), headers...)
						if status != 200 || v != "v1" || body != "stable an order" {
							t.Errorf("%s: a client sees %d %q by %s", method, status, body, v)
						}
					}
					if o, w := r.of(t, 2), r.sum(2); o.Shielded != 4 || o.Served.Sum() != 0 || w.Failed != 4 {
						t.Errorf("counted are %+v, and %d failed", o, w.Failed)
					}
				})
			}
		})
	}
	t.Run("no answer", func(t *testing.T) {
		t.Parallel()
		for name, headers := range fronts() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r, _ := onTrialWith(t, Config{ResponseTimeout: time.Second}, rollout.Full, func(_ http.ResponseWriter, r *http.Request) {
					<-r.Context().Done()
				})
				if status, v, body := r.get(t, "/", headers...); status != 200 || v != "v1" {
					t.Errorf("a client sees %d %q by %s", status, body, v)
				}
				if o, w := r.of(t, 2), r.sum(2); o.Shielded != 1 || w.Status[5] != 1 {
					t.Errorf("counted are %+v, and %d times 5xx", o, w.Status[5])
				}
			})
		}
	})
	t.Run("cannot be connected to", func(t *testing.T) {
		t.Parallel()
		for name, headers := range fronts() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r, _ := onTrial(t, rollout.Full, nil)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				l.Close()
				r.SetInstances(orders, 2, []Endpoint{{ID: "c", Addr: l.Addr().String()}})
				if status, v, body := r.get(t, "/", headers...); status != 200 || v != "v1" {
					t.Errorf("a client sees %d %q by %s", status, body, v)
				}
				if o := r.of(t, 2); o.Shielded != 1 {
					t.Errorf("counted are %+v", o)
				}
			})
		}
	})
}

func TestR25_whatCannotBeShieldedIsServedAndSaysWhy(t *testing.T) {
	t.Parallel()
	halfway := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		candidate http.HandlerFunc
		method    string
		body      int
		want      Unshielded
	}{
		"method":       {fails(503), "POST", 5, Unshielded{Method: 1}},
		"body":         {fails(503), "PUT", 100_000, Unshielded{Body: 1}},
		"status":       {fails(500), "GET", 0, Unshielded{Status: 1}},
		"head is sent": {halfway, "PUT", 5, Unshielded{Sent: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, headers := range fronts() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					r, stable := onTrial(t, rollout.Full, c.candidate)
					before := stable.hits.Load()
					req, err := http.NewRequestWithContext(t.Context(), c.method, r.url("/"), bytes.NewReader(make([]byte, c.body)))
					if err != nil {
						t.Fatal(err)
					}
					for i := 0; i < len(headers); i += 2 {
						req.Header.Set(headers[i], headers[i+1])
					}
					res, err := r.client.Do(req)
					if err == nil { // it may break off before its head has left
						io.Copy(io.Discard, res.Body)
						res.Body.Close()
						if res.Header.Get(HeaderVersion) != "v2" || res.Header.Get(HeaderShielded) != "" {
							t.Errorf("a client sees %d by %s", res.StatusCode, res.Header.Get(HeaderVersion))
						}
					}
					if stable.hits.Load() != before {
						t.Error("stable was asked")
					}
					eventually(t, "it is counted", func() bool { return r.of(t, 2).Served.Sum() > 0 })
					if o, w := r.of(t, 2), r.sum(2); o.Served != c.want || o.Shielded != 0 || w.Failed != 1 {
						t.Errorf("counted are %+v, and %d failed", o, w.Failed)
					}
				})
			}
		})
	}
}

func TestR25_aServiceMayHaveItsFiveHundredsShielded(t *testing.T) {
	t.Parallel()
	for name, headers := range fronts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := onTrial(t, rollout.Full, fails(500), func(t *Table) { t.Workloads[0].Shield500 = true })
			if status, v, _ := r.get(t, "/", headers...); status != 200 || v != "v1" {
				t.Errorf("a client sees %d by %s", status, v)
			}
		})
	}
}

func TestR25_whatStableFailsIsItsOwn(t *testing.T) {
	t.Parallel()
	for name, headers := range fronts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			r.SetInstances(orders, 1, []Endpoint{newBackend(t, "a", fails(502)).Endpoint})
			r.SetInstances(orders, 2, []Endpoint{newBackend(t, "b", fails(503)).Endpoint})
			r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, trial)
			if status, v, _ := r.get(t, "/", headers...); status != 502 || v != "v1" {
				t.Errorf("a client sees %d by %s", status, v)
			}
			if w := r.sum(1); w.Requests != 0 {
				t.Errorf("stable's windows hold %d requests", w.Requests)
			}
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 2: 0}, trial)
			if status, v, _ := r.get(t, "/", headers...); status != 502 || v != "v1" {
				t.Errorf("a client of stable sees %d by %s", status, v)
			}
			if o := r.of(t, 1); o.Shielded != 0 || o.Served.Sum() != 0 {
				t.Errorf("stable has no shield: %+v", o)
			}
		})
	}
}

func TestR25_theShieldHasABudget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ asked, want int }{{0, 10}, {40, 10}, {100, 20}, {1000, 200}} {
		t.Run(strconv.Itoa(c.asked), func(t *testing.T) {
			t.Parallel()
			var b budget
			now := time.Unix(1000, 0)
			b.sample(now, 0)
			took := 0
			for range 2 * (c.want + 1) {
				if b.take(now.Add(9*time.Second), uint64(c.asked)) {
					took++
				}
			}
			if took != c.want {
				t.Errorf("of %d requests %d were shielded, want %d", c.asked, took, c.want)
			}
			b.sample(now.Add(18*time.Second), uint64(c.asked))
			if b.take(now.Add(18*time.Second), uint64(c.asked)) {
				t.Error("nine seconds later there is a new budget")
			}
			if !b.take(now.Add(19*time.Second), uint64(c.asked)) {
				t.Error("ten seconds later there is no new budget")
			}
		})
	}
}

func TestR25_aSpentBudgetServesTheFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Clock: func() time.Time { return time.Unix(1000, 0) }})
	r.SetInstances(orders, 1, []Endpoint{newBackend(t, "a", says("stable")).Endpoint})
	r.SetInstances(orders, 2, []Endpoint{newBackend(t, "b", fails(503)).Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, trial)
	for n := range 20 {
		want := 200
		if n >= shieldLeast {
			want = 503
		}
		if status, _, _ := r.get(t, "/"); status != want {
			t.Errorf("request %d: %d, want %d", n, status, want)
		}
	}
	if o := r.of(t, 2); o.Shielded != 10 || o.Served != (Unshielded{Budget: 10}) {
		t.Errorf("counted are %+v", o)
	}
}
