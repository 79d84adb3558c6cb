package gateway

import (
	"net/http"
	"strings"
	"testing"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
)

const someTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// The cases are those of W3C Trace Context, 3.2.2 and 4.3.
func TestTrace_isPassedOnOrMade(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		for _, kind := range []string{"service", "function"} {
			t.Run(front+" "+kind, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, Config{})
				got := make(chan http.Header, 1)
				if kind == "service" {
					r.version(t, 1, func(_ http.ResponseWriter, q *http.Request) { got <- q.Header })
				} else {
					r.SetInstances(orders, 1, []Endpoint{{ID: "f", Callee: &pointed{serveFunc(func(q *http.Request, _ invocation.Call) (*http.Response, invocation.Called) {
						got <- q.Header.Clone()
						return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, invocation.Called{}
					})}}})
				}
				r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
				for _, passed := range []string{someTrace, "cc" + someTrace[2:] + "-what-comes", "00-" + strings.Repeat("0", 31) + "1" + someTrace[35:]} {
					r.do(t, "GET", r.url("/"), nil, append(moves, "Traceparent", passed, "Tracestate", "a=b", "X-Request-Id", "mine")...)
					h := <-got
					if len(h["Traceparent"]) != 1 || h.Get("Traceparent") != passed || h.Get("Tracestate") != "a=b" || h.Get("X-Request-Id") != "mine" {
						t.Errorf("%s arrives as %q with %q by the id %q", passed, h["Traceparent"], h["Tracestate"], h["X-Request-Id"])
					}
				}
				for _, bad := range []string{
					"", "ff" + someTrace[2:], someTrace + "-x", strings.ToUpper(someTrace), "00-" + strings.Repeat("0", 32) + someTrace[35:],
					someTrace[:36] + strings.Repeat("0", 16) + "-01", "00", someTrace[:54],
				} {
					headers := append(moves, "Tracestate", "a=b")
					if bad != "" {
						headers = append(headers, "Traceparent", bad)
					}
					r.do(t, "GET", r.url("/"), nil, headers...)
					h := <-got
					made := h.Get("Traceparent")
					if len(h["Traceparent"]) != 1 || made == bad || !usableTrace([]byte(made)) || !strings.HasSuffix(made, "-00") || h.Get("Tracestate") != "" {
						t.Errorf("%q arrives as %q with %q", bad, h["Traceparent"], h["Tracestate"])
					}
				}
			})
		}
	}
}

func TestTrace_twoOfThemAreNone(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			got := make(chan http.Header, 1)
			r.version(t, 1, func(_ http.ResponseWriter, q *http.Request) { got <- q.Header })
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Traceparent"] = []string{someTrace, someTrace}
			for i := 0; i < len(moves); i += 2 {
				req.Header.Set(moves[i], moves[i+1])
			}
			res, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if h := <-got; len(h["Traceparent"]) != 1 || h.Get("Traceparent") == someTrace {
				t.Errorf("arrives as %q", h["Traceparent"])
			}
		})
	}
}

func FuzzTrace(f *testing.F) {
	f.Add(1, []byte(someTrace))
	f.Add(1, []byte("cc"+someTrace[2:]+"-x"))
	f.Add(2, []byte(someTrace))
	f.Fuzz(func(t *testing.T, seen int, value []byte) {
		var tr trace
		tr.follow(seen, value)
		if !usableTrace(tr.text[:]) && tr.made {
			t.Errorf("made %q", tr.text)
		}
		if !tr.made && !strings.HasPrefix(string(value), string(tr.text[:])) {
			t.Errorf("%q is passed on as %q", value, tr.text)
		}
		if !lowerHex(tr.id()) {
			t.Errorf("the trace is %q", tr.id())
		}
	})
}
