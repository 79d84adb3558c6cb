package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"titrate/internal/httpevent"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// sites compiles workloads written "name: host; route, …" with routes that are prefixes
// or patterns; "-" is no host. All have traffic.
func sites(tb testing.TB, lines ...string) (routes, []string) {
	tb.Helper()
	var ws []Workload
	var lanes []*lane
	for _, l := range lines {
		name, rest, _ := strings.Cut(l, ": ")
		host, list, _ := strings.Cut(rest, "; ")
		w := Workload{Key: rollout.Key{App: "collect", Env: "prod", Workload: name}}
		if host != "-" {
			w.Hosts = []string{host}
		}
		for _, r := range strings.Split(list, ", ") {
			if strings.HasPrefix(r, "/") {
				w.Routes = append(w.Routes, r)
			} else {
				w.Patterns = append(w.Patterns, r)
			}
		}
		ws, lanes = append(ws, w), append(lanes, &lane{key: w.Key, split: &split{}})
	}
	if err := (Table{Workloads: ws}).Validate(); err != nil {
		tb.Fatal(err)
	}
	return newRoutes(ws, lanes)
}

// arriving is the arrival of a request line, as the front makes it.
func arriving(tb testing.TB, method, target string, headers ...string) arrival {
	tb.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		tb.Fatal(err)
	}
	r := &http.Request{Method: method, URL: u, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return (&front{g: &Gateway{}}).arrival(r)
}

func nameOf(l *lane) string {
	if l == nil {
		return ""
	}
	return l.key.Workload
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	r, lost := sites(
		t,
		"list: -; GET /pickups",
		"create: -; POST /pickups",
		"one: -; GET /pickups/{id}",
		"any: -; ANY /pickups/{pickup}",
		"mine: -; GET /pickups/mine",
		"photo: -; GET /pickups/{id}/photos/{n}, PUT /pickups/{id}/photos/{n}",
		"root: -; GET /",
		"slash: -; GET /slash/",
		"options: -; OPTIONS /own, GET /own",
		"files: -; GET /files/{path+}",
		"drafts: -; ANY /files/drafts/{path+}",
		"deep: -; DELETE /files/{of}/x/{path+}",
		"space: -; GET /a b/{c}",
		"legacy: -; /old, /old/new",
		"full: -; GET /old/{id}",
		"greedy: -; ANY /old2/{all+}",
		"rest: -; $default",
		"shop: shop.example; GET /pickups/{id}, /store",
		"web: web.example; /",
		"api: web.example; GET /api/{id}",
	)
	if len(lost) > 0 {
		t.Errorf("conflicts: %v", lost)
	}
	preflight := func(method string) []string {
		return []string{"Access-Control-Request-Method", method, "Origin", "https://x"}
	}
	for _, c := range []struct {
		method, host, target, want string
		headers                    []string
	}{
		{"GET", "any", "/pickups", "list", nil},
		{"POST", "any", "/pickups", "create", nil},
		{"GET", "any", "/pickups/", "rest", nil}, // a parameter is not empty
		{"GET", "any", "/pickups/7", "one", nil},
		{"GET", "any", "/pickups/7?x=/", "one", nil},
		{"GET", "any", "/pickups/a%2Fb", "one", nil},
		{"GET", "any", "/pickups/mine", "mine", nil},
		{"GET", "any", "/pickups/m%69ne", "mine", nil},
		{"POST", "any", "/pickups/mine", "any", nil}, // the fixed part has no such method: the next candidate
		{"DELETE", "any", "/pickups/7", "any", nil},
		{"HEAD", "any", "/pickups/7", "any", nil},
		{"HEAD", "any", "/pickups", "rest", nil}, // HEAD is not GET
		{"GET", "any", "/pickups/7/photos/1", "photo", nil},
		{"POST", "any", "/pickups/7/photos/1", "rest", nil},
		{"GET", "any", "/", "root", nil},
		{"POST", "any", "/", "rest", nil},
		{"GET", "any", "/slash/", "slash", nil},
		{"GET", "any", "/slash", "rest", nil},
		{"GET", "any", "/files/a/b", "files", nil},
		{"GET", "any", "/files", "rest", nil},
		{"GET", "any", "/files/drafts/a", "drafts", nil},
		{"GET", "any", "/files/drafts", "files", nil},
		{"DELETE", "any", "/files/a/x/b", "deep", nil},
		{"DELETE", "any", "/files/a/y/b", "rest", nil},
		{"GET", "any", "/files/a/x/b", "files", nil},
		{"GET", "any", "/a%20b/c", "space", nil},
		{"GET", "any", "/old/7", "full", nil}, // a full match before a prefix
		{"GET", "any", "/old/new", "full", nil},
		{"POST", "any", "/old/7", "legacy", nil}, // the method does not match: the next candidate
		{"GET", "any", "/old/7/x", "legacy", nil},
		{"GET", "any", "/old2/7/x", "greedy", nil},
		{"OPTIONS", "any", "/pickups", "list", preflight("GET")},
		{"OPTIONS", "any", "/pickups", "create", preflight("POST")},
		{"OPTIONS", "any", "/pickups", "rest", preflight("PUT")},
		{"OPTIONS", "any", "/pickups", "rest", nil},
		{"OPTIONS", "any", "/own", "options", preflight("PUT")},
		{"OPTIONS", "any", "/files/a", "files", preflight("GET")},
		{"GET", "any", "/files/a", "files", preflight("POST")}, // no preflight
		// On a host that is named, routes of the same environment without one count too.
		{"GET", "shop.example", "/pickups/7", "shop", nil},
		{"GET", "shop.example", "/pickups", "list", nil},
		{"GET", "shop.example", "/store/x", "shop", nil},
		{"GET", "web.example", "/api/7", "api", nil},
		{"GET", "web.example", "/api/7/8", "web", nil},
		{"OPTIONS", "web.example", "/api/7", "api", preflight("GET")},
		{"OPTIONS", "web.example", "/api/7", "web", preflight("PUT")},
		{"GET", "web.example", "/files/a", "web", nil}, // a prefix before a greedy one
	} {
		if got := nameOf(r.find(c.host, arriving(t, c.method, c.target, c.headers...))); got != c.want {
			t.Errorf("%s %s%s goes to %q, not %q", c.method, c.host, c.target, got, c.want)
		}
	}
}

func TestWithoutADefaultNobodyTakesWhatNoPatternDoes(t *testing.T) {
	t.Parallel()
	r, _ := sites(t, "a: h; GET /x, GET /x/{id}", "b: h; PUT /y/{all+}")
	for _, c := range []struct{ method, target, wants, want string }{
		{"GET", "/", "", ""},
		{"POST", "/x", "", ""},
		{"HEAD", "/x", "", ""},
		{"OPTIONS", "/x", "", ""},
		{"OPTIONS", "/x", "PUT", "a"}, // its own rules say that PUT may not
		{"OPTIONS", "/x/7", "DELETE", "a"},
		{"OPTIONS", "/y/7", "DELETE", "b"},
		{"OPTIONS", "/y", "PUT", ""},
		{"OPTIONS", "/z", "PUT", ""},
	} {
		if got := nameOf(r.find("h", arriving(t, c.method, c.target, "Access-Control-Request-Method", c.wants))); got != c.want {
			t.Errorf("%s %s for %q goes to %q, not %q", c.method, c.target, c.wants, got, c.want)
		}
	}
	if l := r.find("h", arrival{method: "OPTIONS", path: "*", wants: "PUT"}); l != nil {
		t.Errorf("* goes to %s", l.key)
	}
}

func TestPatternsTheFirstClaimWins(t *testing.T) {
	t.Parallel()
	r, lost := sites(
		t,
		"a: -; GET /x/{id}, GET /x/{same}",
		"b: -; GET /x/{name}, POST /x/{name}",
		"c: h; GET /x/{id}", // names the host: the better claim there, no conflict
		"d: h; GET /x/{id}",
		"e: h; $default",
		"f: h; $default",
		"web: w; /, /files",
		"g: w; GET /files/{f+}",
		"i: w; ANY /{any+}",
		"j: w; $default",
	)
	want := []string{
		"route $default on h of collect/prod/f is taken by collect/prod/e",
		"route $default on w of collect/prod/j is taken by / of collect/prod/web",
		"route ANY /{any+} on w of collect/prod/i is taken by / of collect/prod/web",
		"route GET /files/{f+} on w of collect/prod/g is taken by /files/ of collect/prod/web",
		"route GET /x/{id} on h of collect/prod/d is taken by collect/prod/c",
		"route GET /x/{name} on any host of collect/prod/b is taken by collect/prod/a",
		"route GET /x/{name} on w of collect/prod/b is taken by collect/prod/a",
	}
	if !slices.Equal(lost, want) {
		t.Errorf("lost:\n%s", strings.Join(lost, "\n"))
	}
	for host, want := range map[string]string{"any": "a", "h": "c"} {
		if got := nameOf(r.find(host, arriving(t, "GET", "/x/7"))); got != want {
			t.Errorf("%s/x/7 goes to %s", host, got)
		}
	}
	if got := nameOf(r.find("any", arriving(t, "POST", "/x/7"))); got != "b" {
		t.Errorf("POST /x/7 goes to %s", got)
	}
}

func TestR17_aFunctionWithoutTrafficTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	r, _ := sites(t, "new: h; GET /x/{id}", "any: h; ANY /x/{id}", "old: h; /x", "rest: h; $default")
	find := func() *lane { return r.find("h", arriving(t, "GET", "/x/7")) }
	var order []string
	for l := find(); l.split != nil; l = find() {
		order = append(order, l.key.Workload)
		l.split = nil
	}
	if got := strings.Join(order, " "); got != "new any old rest" {
		t.Errorf("they stand in for one another as %s", got)
	}
	if got := nameOf(find()); got != "new" {
		t.Errorf("with none there, %s answers that it is not ready", got)
	}
}

func TestAPatternThatCannotBeIsRefusedByName(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "/x", "GET", "GET x", "get /x", "GET /{id", "GET /{a+}/b", "GET /a{b}", "GET /{a}/{a}", "PURGE /x"} {
		err := (Table{Workloads: []Workload{{Key: orders, Patterns: []string{p}}}}).Validate()
		if err == nil || !strings.Contains(err.Error(), orders.String()) || !strings.Contains(err.Error(), fmt.Sprintf("%q", p)) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestTableOfAFunction(t *testing.T) {
	t.Parallel()
	w := world.Wanted{Workloads: []world.Workload{
		{Key: orders, Hosts: []string{"h"}, Stable: 7, Triggers: &rollout.Triggers{Routes: []string{"GET /x"}}},
		{Key: orders, Hosts: []string{"h"}, Triggers: &rollout.Triggers{Topics: []string{"mail"}}},
		{Key: orders, Hosts: []string{"h"}},
	}}
	got := TableOf(w).Workloads
	if !slices.Equal(got[0].Patterns, []string{"GET /x"}) || got[0].Stable != 7 || !slices.Equal(got[0].Hosts, []string{"h"}) {
		t.Errorf("a function: %+v", got[0])
	}
	if len(prefixesOf(got[0])) > 0 || len(hostsOf(got[1])) > 0 || len(prefixesOf(got[1])) > 0 {
		t.Errorf("a function takes what it does not name: %+v", got[:2])
	}
	if len(prefixesOf(got[2])) != 1 {
		t.Errorf("a service: %+v", got[2])
	}
}

func TestRequestsOfPatternsReachTheirFunctions(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	other := rollout.Key{App: orders.App, Env: orders.Env, Workload: "quotes"}
	r.function(1, newFunction(answers("orders")))
	r.SetInstances(other, 1, []Endpoint{{ID: "q", Callee: newFunction(answers("quotes"))}})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, func(t *Table) {
		t.Workloads[0].Routes, t.Workloads[0].Patterns = nil, []string{"GET /orders/{id}"}
		q := t.Workloads[0]
		q.Key, q.Patterns = other, []string{"PUT /orders/{id}"}
		t.Workloads = append(t.Workloads, q)
	})
	for method, want := range map[string]string{"GET": "orders", "PUT": "quotes"} {
		if _, _, body := r.do(t, method, r.url("/orders/a%2Fb"), nil); body != want {
			t.Errorf("%s: %s", method, body)
		}
		if _, _, body := r.do(t, "OPTIONS", r.url("/orders/7"), nil, "Access-Control-Request-Method", method, "Origin", "https://x"); body != want {
			t.Errorf("preflight of %s: %s", method, body)
		}
	}
	for _, method := range []string{"HEAD", "DELETE", "OPTIONS"} {
		if status, _, _ := r.do(t, method, r.url("/orders/7"), nil); status != http.StatusNotFound {
			t.Errorf("%s: %d", method, status)
		}
	}
}

// It is not parallel, as allocations are counted for the whole process.
func TestFindingAPatternAllocatesNothing(t *testing.T) {
	r := manyPatterns(t)
	a := arriving(t, "GET", "/area63/pickups/7")
	if got := nameOf(r.find("h", a)); got != "f63" {
		t.Fatalf("it goes to %s", got)
	}
	if n := testing.AllocsPerRun(100, func() { r.find("h", a) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func manyPatterns(tb testing.TB) routes {
	tb.Helper()
	var lines []string
	for i := range 64 {
		lines = append(lines, fmt.Sprintf("f%d: h; GET /area%d/pickups/{id}, POST /area%d/pickups", i, i, i))
	}
	r, _ := sites(tb, lines...)
	return r
}

func BenchmarkFindAmong64Functions(b *testing.B) {
	r := manyPatterns(b)
	a := arriving(b, "GET", "/area63/pickups/7")
	b.ReportAllocs()
	for b.Loop() {
		r.find("h", a)
	}
}

// FuzzPatterns holds the gateway's choice against the router by which the function's
// host finds the parameters of the same request: they may never disagree.
func FuzzPatterns(f *testing.F) {
	for _, s := range []string{
		"GET /a/{b}\nANY /a/c\n$default", "GET /{a}/x\nGET /y/{b+}\nPOST /y/{b}/{c}", "ANY /{p+}\nGET /\nGET /a/", "GET /%41/{x}\nGET /a//b",
	} {
		for _, target := range []string{"/a/c", "/y/x/z", "/", "/a%2Fb/%41", "//", "/a//b?x", "/%zz", "/a/\"%2f"} {
			f.Add(s, "GET", target)
		}
	}
	f.Fuzz(func(t *testing.T, keys, method, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Path != "" && u.Path[0] != '/' {
			return
		}
		var ws []Workload
		var lanes []*lane
		var rs []httpevent.Route
		for i, key := range strings.Split(keys, "\n") {
			next := append(slices.Clone(rs), httpevent.Route{Key: key, Function: fmt.Sprint(i)})
			if _, err := httpevent.NewRouter(next); err != nil {
				if (Table{Workloads: []Workload{{Key: orders, Patterns: []string{key}}}}).Validate() == nil && len(rs) > 0 {
					continue // the same requests as an earlier one
				}
				return
			}
			rs = next
			w := Workload{Key: rollout.Key{App: "a", Env: "e", Workload: fmt.Sprint(i)}, Hosts: []string{"h"}, Patterns: []string{key}}
			ws, lanes = append(ws, w), append(lanes, &lane{key: w.Key, split: &split{}})
		}
		want, err := httpevent.NewRouter(rs)
		if err != nil {
			t.Fatal(err)
		}
		r, lost := newRoutes(ws, lanes)
		m, _ := want.Match(method, u.EscapedPath())
		got := nameOf(r.find("h", (&front{g: &Gateway{}}).arrival(&http.Request{Method: method, URL: u, Header: http.Header{}})))
		if got != m.Function || len(lost) > 0 {
			t.Errorf("%s %q goes to %q, its host says %q; %v", method, target, got, m.Function, lost)
		}
	})
}
