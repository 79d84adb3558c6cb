package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// arrives is the arrival of a request as net/http has it.
func arrives(t *testing.T, method, target string, headers ...string) (host string, a arrival) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	host, _ = hostName(r.Host)
	return host, (&front{g: &Gateway{}}).arrival(r)
}

func workload(name, host string, paths ...rollout.Route) Workload {
	return Workload{Key: rollout.Key{App: "shop", Env: "production", Workload: name}, Hosts: []string{host}, Paths: paths}
}

func routesFor(t *testing.T, ws ...Workload) (routes, []string) {
	t.Helper()
	if err := (Table{Workloads: ws}).Validate(); err != nil {
		t.Fatal(err)
	}
	lanes := make([]*lane, len(ws))
	for i, w := range ws {
		lanes[i] = &lane{key: w.Key, split: &split{}}
	}
	return newRoutes(ws, lanes)
}

func TestRoutesHaveThePrecedenceOfHTTPRoute(t *testing.T) {
	t.Parallel()
	r, lost := routesFor(
		t,
		workload("prefix", "h.example", rollout.Route{Path: "/a"}),
		workload("longer", "h.example", rollout.Route{Path: "/a/b"}),
		workload("exact", "h.example", rollout.Route{Path: "/a/b", Exact: true}),
		workload("method", "h.example", rollout.Route{Path: "/a", Methods: []string{"POST", "PUT"}}),
		workload("header", "h.example", rollout.Route{Path: "/a", Headers: map[string]string{"X-Kind": "one"}}),
		workload("headers", "h.example", rollout.Route{Path: "/a", Headers: map[string]string{"X-Kind": "one", "X-Size": "2"}}),
		workload("query", "h.example", rollout.Route{Path: "/a", Query: map[string]string{"q": "a b"}}),
		workload("both", "h.example", rollout.Route{Path: "/a", Query: map[string]string{"q": "a b"}, Headers: map[string]string{"x-kind": "one"}}),
		workload("escaped", "h.example", rollout.Route{Path: "/caf%C3%A9", Exact: true}),
	)
	if len(lost) > 0 {
		t.Errorf("conflicts: %q", lost)
	}
	for _, c := range []struct {
		want, method, target string
		headers              []string
	}{
		{"prefix", "GET", "/a", nil},
		{"prefix", "GET", "/a/c", nil},
		{"", "GET", "/ab", nil},
		{"longer", "GET", "/a/b/c", nil},
		{"longer", "POST", "/a/b/c", nil}, // the longer prefix before the method
		{"exact", "POST", "/a/b", nil},
		{"longer", "GET", "/a/b/", nil}, // exact is exact
		{"method", "PUT", "/a/x", nil},
		{"method", "POST", "/a?q=a%20b", []string{"X-Kind", "one", "X-Size", "2"}},
		{"header", "GET", "/a", []string{"X-Kind", "one"}},
		{"prefix", "GET", "/a", []string{"X-Kind", "One"}}, // values know upper and lower case
		{"prefix", "GET", "/a", []string{"X-Kind", "one", "X-Kind", "two"}},
		{"headers", "GET", "/a?q=a+b", []string{"x-kind", "one", "X-Size", "2"}},
		{"query", "GET", "/a?x=1&q=a+b&q=no", nil}, // the first value of the name
		{"query", "GET", "/a?q=a%20b", nil},
		{"prefix", "GET", "/a?q=no&q=a%20b", nil},
		{"both", "GET", "/a?q=a%20b", []string{"X-Kind", "one"}},
		{"escaped", "GET", "/caf%c3%a9", nil},
	} {
		host, a := arrives(t, c.method, "http://h.example"+c.target, c.headers...)
		if got := nameOf(r.find(host, a)); got != c.want {
			t.Errorf("%s %s %q goes to %q, not %q", c.method, c.target, c.headers, got, c.want)
		}
	}
}

func TestWildcardHosts(t *testing.T) {
	t.Parallel()
	other := workload("stranger", "*.shop.example", rollout.Route{Path: "/grab"})
	other.Key.App = "other"
	ws := []Workload{
		workload("any", "*.shop.example"), workload("deep", "*.eu.shop.example", rollout.Route{Path: "/deep"}),
		workload("one", "a.shop.example", rollout.Route{Path: "/one"}), other,
	}
	ws[0].Paths = []rollout.Route{{Path: "/"}}
	r, lost := routesFor(t, ws...)
	if len(lost) > 0 {
		t.Errorf("conflicts: %q", lost)
	}
	for _, c := range []struct{ host, path, want string }{
		{"x.shop.example", "/", "any"},
		{"x.y.shop.example", "/", "any"},
		{"shop.example", "/", ""},
		{"xshop.example", "/", ""},
		{"a.shop.example", "/one", "one"},
		{"a.shop.example", "/two", "any"},  // what the host's own routes leave
		{"a.shop.example", "/grab", "any"}, // but not to another app
		{"x.shop.example", "/grab", "stranger"},
		{"x.eu.shop.example", "/deep", "deep"},
		{"x.eu.shop.example", "/", "any"},
		{"eu.shop.example", "/deep", "any"},
	} {
		if got := nameOf(r.find(c.host, arrival{path: c.path, method: "GET"})); got != c.want {
			t.Errorf("%s%s goes to %q, not %q", c.host, c.path, got, c.want)
		}
	}
}

func TestRoutesThatCanNeverMatchAreReported(t *testing.T) {
	t.Parallel()
	_, lost := routesFor(
		t,
		workload("a", "h.example", rollout.Route{Path: "/x", Methods: []string{"GET"}, Headers: map[string]string{"X-A": "1"}}),
		workload("b", "h.example", rollout.Route{Path: "/x", Methods: []string{"POST", "GET"}, Headers: map[string]string{"x-a": "1"}}),
		workload("c", "h.example", rollout.Route{Path: "/x", Exact: true}),
	)
	if want := "route GET /x/ x-a: 1 on h.example of shop/production/b is taken by shop/production/a"; strings.Join(lost, "; ") != want {
		t.Errorf("lost: %q", lost)
	}
}

func TestPlainRequestsAllocateNothingForRoutes(t *testing.T) {
	// Not parallel: allocations are counted for the whole process.
	r, _ := routesFor(t, workload("plain", "*.h.example", rollout.Route{Path: "/"}), workload("picky", "*.h.example", rollout.Route{Path: "/", Methods: []string{"PUT"}, Headers: map[string]string{"X-A": "1"}}))
	host, a := arrives(t, "GET", "http://x.h.example/a/b?c=d", "X-A", "2")
	if n := testing.AllocsPerRun(100, func() { r.lookup(host, a) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// respond returns what came of a request.
func (r *rig) respond(t *testing.T, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// routed gives the workload routes.
func routed(paths ...rollout.Route) func(*Table) {
	return func(t *Table) { t.Workloads[0].Routes, t.Workloads[0].Paths = nil, paths }
}

func text(s string) *string { return &s }

func TestBothFrontsReadWhatRoutesAskFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	to := func(s string) *rollout.Rewrite { return &rollout.Rewrite{Prefix: text(s)} }
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, routed(
		rollout.Route{Path: "/", Rewrite: to("/plain")},
		rollout.Route{Path: "/", Methods: []string{"DELETE"}, Rewrite: to("/method")},
		rollout.Route{Path: "/", Headers: map[string]string{"X-A": "1"}, Rewrite: to("/header")},
		rollout.Route{Path: "/", Headers: map[string]string{"X-A": "1, 2"}, Rewrite: to("/list")},
		rollout.Route{Path: "/", Query: map[string]string{"q": "é"}, Rewrite: to("/query")},
	))
	for _, more := range fronts() {
		for _, c := range []struct {
			method, target, want string
			headers              []string
		}{
			{"GET", "/?q=e", "/plain", []string{"X-A", "2"}},
			{"DELETE", "/", "/method", nil},
			{"GET", "/", "/header", []string{"x-a", "1"}},
			{"GET", "/", "/list", []string{"X-A", "1", "x-a", "2"}},
			{"GET", "/?a=b&q=%C3%A9", "/query", nil},
		} {
			if _, body := r.respond(t, c.method, c.target, append(c.headers, more...)...); body != c.want+"/" {
				t.Errorf("%s %s %q %q is asked as %q, not %q", c.method, c.target, c.headers, more, body, c.want)
			}
		}
	}
}

func TestRedirectsBelieveTrustedProxiesAboutTheScheme(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string][]netip.Prefix{"trusted": {mustPrefix(t, "127.0.0.0/8")}, "not trusted": nil} {
		r := newRig(t, Config{TrustedProxy: trusted})
		b := newBackend(t, "a", says("served"))
		r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
		r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, routed(rollout.Route{Path: "/", Redirect: &rollout.Redirect{Scheme: "https", Status: 308}}))
		for _, more := range fronts() {
			res, body := r.respond(t, "GET", "/", append(more, "X-Forwarded-Proto", "https", "Host", "h")...)
			if served := body == "served"; served != (trusted != nil) || !served && res.Header.Get("Location") != "https://h/" {
				t.Errorf("%s: %d %q %q", name, res.StatusCode, body, res.Header.Get("Location"))
			}
		}
	}
}

func TestRewrites(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host+" "+r.RequestURI+" "+r.Header.Get("X-Forwarded-Host"))
	})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, routed(
		rollout.Route{Path: "/v1", Rewrite: &rollout.Rewrite{Prefix: text("/"), Host: "inside.example"}},
		rollout.Route{Path: "/old", Rewrite: &rollout.Rewrite{Prefix: text("/new/er")}},
		rollout.Route{Path: "/one", Exact: true, Rewrite: &rollout.Rewrite{Prefix: text("/uno")}},
	))
	for _, more := range fronts() {
		for target, want := range map[string]string{
			"/v1":              "inside.example / h",
			"/v1/a?b=c&d":      "inside.example /a?b=c&d h",
			"/v1/a%2Fb/%20?b=": "inside.example /a%2Fb/%20?b= h",
			"/old/x":           "h /new/er/x h",
			"/old":             "h /new/er h",
			"/one":             "h /uno h",
		} {
			if _, body := r.respond(t, "GET", target, append(more, "Host", "h")...); body != want {
				t.Errorf("%s is asked as %q, not %q", target, body, want)
			}
		}
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{TrustedProxy: nil})
	b := newBackend(t, "a", says("served"))
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, routed(
		rollout.Route{Path: "/", Redirect: &rollout.Redirect{Scheme: "http", Status: 301}}, // already so: it is served
		rollout.Route{Path: "/tls", Redirect: &rollout.Redirect{Scheme: "https", Status: 301}},
		rollout.Route{Path: "/host", Redirect: &rollout.Redirect{Host: "new.example", Status: 308}},
		rollout.Route{Path: "/path", Redirect: &rollout.Redirect{Path: "/there", Status: 302}},
		rollout.Route{Path: "/prefix", Redirect: &rollout.Redirect{Prefix: text("/"), Status: 307}},
	))
	for _, more := range fronts() {
		for target, want := range map[string]string{
			"/x":                  "200 ",
			"/tls/x?y=z":          "301 https://h/tls/x?y=z",
			"/host/%2F":           "308 http://new.example:81/host/%2F",
			"/path/a?b":           "302 http://h:81/there?b",
			"/prefix/a%20b":       "307 http://h:81/a%20b",
			"/prefix//evil.com/x": "307 http://h:81//evil.com/x", // never taken for a host
			"/prefix":             "307 http://h:81/",
		} {
			res, _ := r.respond(t, "GET", target, append(more, "Host", "h:81")...)
			if got := http.StatusText(res.StatusCode); got == "" || res.Header.Get("Location") != want[4:] || want[:3] != res.Status[:3] {
				t.Errorf("%s: %d %q, not %s", target, res.StatusCode, res.Header.Get("Location"), want)
			}
		}
		if n := r.sum(1).Requests; n > 2 {
			t.Errorf("redirects are counted as the version's: %d", n)
		}
	}
}

func TestMaintenanceAnswersWithAPage(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", says("served"))
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	closed := rollout.Maintenance{Page: "<p>Back at nine", RetryAfter: 90 * time.Second}
	route := routed(rollout.Route{Path: "/shut", Maintenance: &closed}, rollout.Route{Path: "/"})
	for _, more := range fronts() {
		r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, route)
		if _, body := r.respond(t, "GET", "/", more...); body != "served" {
			t.Errorf("%q", body)
		}
		res, body := r.respond(t, "GET", "/shut/x", more...)
		if res.StatusCode != 503 || body != closed.Page || res.Header.Get("Retry-After") != "90" || res.Header.Get("Content-Type") != "text/html; charset=utf-8" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %q %v", res.StatusCode, body, res.Header)
		}
		r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, func(t *Table) { t.Workloads[0].Maintenance = &rollout.Maintenance{} })
		res, body = r.respond(t, "GET", "/", more...)
		if res.StatusCode != 503 || !strings.Contains(body, "Under maintenance") || res.Header.Get("Retry-After") != "" {
			t.Errorf("%d %q %v", res.StatusCode, body, res.Header)
		}
	}
	if n := r.sum(1).Requests; n != 2 {
		t.Errorf("%d requests are counted as the version's, not 2", n)
	}
}

func TestRoutesHaveTimeouts(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/never") {
			<-r.Context().Done()
		}
		io.WriteString(w, "served")
	})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, routed(
		rollout.Route{Path: "/never", Timeout: time.Millisecond}, rollout.Route{Path: "/", Timeout: time.Hour},
	))
	for _, more := range fronts() {
		res, body := r.respond(t, "GET", "/never", more...)
		if res.StatusCode != 504 || !strings.Contains(body, "in time") {
			t.Errorf("%d %q", res.StatusCode, body)
		}
		if res, body = r.respond(t, "GET", "/", more...); res.StatusCode != 200 || body != "served" {
			t.Errorf("%d %q", res.StatusCode, body)
		}
	}
	if w := r.sum(1); w.Requests != 4 || w.Failed != 2 {
		t.Errorf("counted: %+v", w)
	}
}

func TestRoutesChangeHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["X-Gone"], h["X-Old"], h["X-More"], h["X-Stays"] = []string{"1", "2"}, []string{"1", "2"}, []string{"1"}, []string{"1"}
	})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, routed(rollout.Route{Path: "/", ResponseHeaders: &rollout.HeaderChange{
		Remove: []string{"x-gone"}, Set: map[string]string{"x-old": "new"}, Add: map[string]string{"X-More": "2"},
	}}))
	for _, more := range fronts() {
		res, _ := r.respond(t, "GET", "/", more...)
		for name, want := range map[string]string{"X-Gone": "", "X-Old": "new", "X-More": "1,2", "X-Stays": "1"} {
			if got := strings.Join(res.Header.Values(name), ","); got != want {
				t.Errorf("%s is %q, not %q", name, got, want)
			}
		}
	}
}

// tries is a split between a stable version 1 and a candidate 2, with match rules.
func tries(rules ...rollout.Match) func(*Table) {
	return func(t *Table) { t.Workloads[0].Stable, t.Workloads[0].Match = 1, rules }
}

func TestR16_aMatchSendsRequestsToTheCandidate(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	for v := range rollout.Version(2) {
		r.SetInstances(orders, v+1, []Endpoint{newBackend(t, "a", says("served")).Endpoint})
	}
	rules := tries(
		rollout.Match{Header: "X-Beta", Value: "1", Share: rollout.Full, Apart: true},
		rollout.Match{Cookie: "beta", Value: "yes", Share: rollout.Full},
		rollout.Match{Header: "X-Old", Share: 0},
	)
	weights := map[rollout.Version]rollout.Weight{1: 9999, 2: 1}
	r.split(t, weights, rules)
	for _, more := range fronts() {
		for range 5 {
			for want, header := range map[string][]string{"v2": {"X-Beta", "1"}, "v2 ": {"Cookie", "a=b; beta=yes"}, "v1": {"X-Old", "any"}} {
				if _, got, _ := r.get(t, "/", append(header, more...)...); got != strings.TrimSpace(want) {
					t.Errorf("%q goes to %s", header, got)
				}
			}
		}
	}
	s, _ := r.Share(orders)
	if s.Requests != 0 || s.Off || s.Versions[0].Matched != 10 || s.Versions[1].Matched != 20 {
		t.Errorf("shares: %+v", s)
	}
	if n := r.sum(2).Requests; n != 10 {
		t.Errorf("%d requests of version 2 are counted: those of X-Beta stand apart", n)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 2: 0}, rules)
	if _, got, _ := r.get(t, "/", "X-Beta", "1"); got != "v1" {
		t.Errorf("without a part of the traffic nobody is sent to the candidate: %s", got)
	}
}

func TestR16_aLargerShareOfACohortTakesNobodyBack(t *testing.T) {
	t.Parallel()
	w := Workload{Key: orders, Stable: 1, Match: []rollout.Match{{Cookie: "user"}}}
	l := &lane{key: orders, stable: 1, split: newSplit([]world.Share{{Version: 1, Weight: 5000}, {Version: 2, Weight: 5000}}, nil, time.Time{})}
	before := map[string]bool{}
	for share := rollout.Weight(0); share <= rollout.Full; share += 500 {
		w.Match[0].Share = share
		l.matches = matchesOf(w, l)
		tried := 0
		for i := range 4000 {
			user := "user" + string(rune('a'+i%26)) + url.QueryEscape(time.Duration(i).String())
			_, a := arrives(t, "GET", "http://h/", "Cookie", "user="+user)
			to := way{lane: l}
			to.aim(a)
			if !to.aimed {
				t.Fatal("the rule was not met")
			}
			if before[user] && to.share != 1 {
				t.Fatalf("%s was taken back at %s", user, share)
			}
			if to.share == 1 {
				before[user] = true
				tried++
			}
		}
		if want := 4000 * int(share) / int(rollout.Full); tried < want-140 || tried > want+140 { // 4.4 σ of one fixed draw
			t.Errorf("%d of 4000 users at %s", tried, share)
		}
	}
}
