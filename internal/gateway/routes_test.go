package gateway

import (
	"strings"
	"testing"

	"titrate/internal/rollout"
)

// compiled makes the routes of workloads written "app/env/name hosts routes",
// lists by comma, "-" for none.
func compiled(t *testing.T, lines ...string) (routes, []string) {
	t.Helper()
	list := func(s string) []string {
		if s == "-" {
			return nil
		}
		return strings.Split(s, ",")
	}
	var ws []Workload
	var lanes []*lane
	for _, l := range lines {
		f := strings.Fields(l)
		k := strings.Split(f[0], "/")
		w := Workload{Key: rollout.Key{App: k[0], Env: k[1], Workload: k[2]}, Hosts: list(f[1]), Routes: list(f[2]), Worker: len(f) > 3}
		ws, lanes = append(ws, w), append(lanes, &lane{key: w.Key})
	}
	if err := (Table{Workloads: ws}).Validate(); err != nil {
		t.Fatal(err)
	}
	return newRoutes(ws, lanes)
}

func (r routes) find(host string, a arrival) *lane {
	l, _ := r.lookup(host, a)
	return l
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	r, lost := compiled(
		t,
		"cofe/prod/store cofe.localhost,Shop.Example -",
		"cofe/prod/orders - /orders",
		"cofe/prod/refunds - /orders/refunds/",
		"cofe/prod/admin cofe.localhost /admin,/orders/admin",
		"cofe/prod/ledger - -",
		"cofe/prod/mailer - /mail worker",
		"blog/prod/web blog.localhost -",
		"blog/prod/api - /api",
		"other/prod/grab - /",
	)
	if len(lost) > 0 {
		t.Errorf("conflicts: %v", lost)
	}
	for _, c := range []struct{ host, path, want string }{
		{"cofe.localhost", "/", "store"},
		{"cofe.localhost", "/beans", "store"},
		{"shop.example", "/beans", "store"},
		{"cofe.localhost", "/orders", "orders"},
		{"cofe.localhost", "/orders/7", "orders"},
		{"cofe.localhost", "/ordersheet", "store"},
		{"cofe.localhost", "/orders/refunds/1", "refunds"},
		{"cofe.localhost", "/orders/refundsx", "orders"},
		{"cofe.localhost", "/orders/admin", "admin"},
		{"cofe.localhost", "/admin/x", "admin"},
		{"cofe.localhost", "/api/x", "store"}, // another app's route does not reach in
		{"blog.localhost", "/api/x", "api"},
		{"blog.localhost", "/orders", "web"},
		{"127.0.0.1", "/orders/7", "orders"},
		{"127.0.0.1", "/api", "api"},
		{"127.0.0.1", "/admin", "grab"}, // bound to a host
		{"127.0.0.1", "/mail", "grab"},  // workers have no routes
		{"127.0.0.1", "", "grab"},
		{"127.0.0.1", "*", ""},
	} {
		got := ""
		if l := r.find(c.host, arrival{path: c.path}); l != nil {
			got = l.key.Workload
		}
		if got != c.want {
			t.Errorf("%s%s goes to %q, not %q", c.host, c.path, got, c.want)
		}
	}
}

func TestR17_aWorkloadWithoutTrafficTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	r, _ := compiled(t, "cofe/prod/api cofe.localhost /api", "cofe/prod/store cofe.localhost /")
	if l := r.find("cofe.localhost", arrival{path: "/api"}); l == nil || l.key.Workload != "api" {
		t.Errorf("with nobody else there it answers, that it is not ready: %v", l)
	}
	r.find("cofe.localhost", arrival{path: "/"}).split = &split{}
	if l := r.find("cofe.localhost", arrival{path: "/api/x"}); l.key.Workload != "store" {
		t.Errorf("/api/x was taken from what served it by %s, which has no version yet", l.key)
	}
	r.hosts["cofe.localhost"].prefixes[0].lane.split = &split{}
	if l := r.find("cofe.localhost", arrival{path: "/api/x"}); l.key.Workload != "api" {
		t.Errorf("/api/x still leads to %s", l.key)
	}
}

func TestRoutesTheFirstClaimWins(t *testing.T) {
	t.Parallel()
	r, lost := compiled(
		t,
		"cofe/prod/a - /x",
		"cofe/uat/b - /x/",
		"cofe/prod/c h /y",
		"cofe/prod/d H /y",
		"cofe/prod/e - /y", // h names it: c's is the better claim, no conflict there
	)
	if got := r.find("any", arrival{path: "/x"}).key.Workload; got != "a" {
		t.Errorf("/x goes to %s", got)
	}
	if got := r.find("h", arrival{path: "/y"}).key.Workload; got != "c" {
		t.Errorf("h/y goes to %s", got)
	}
	want := "route /x/ on any host of cofe/uat/b is taken by cofe/prod/a; route /y/ on h of cofe/prod/d is taken by cofe/prod/c"
	if got := strings.Join(lost, "; "); got != want {
		t.Errorf("lost: %s", got)
	}
}

func TestHostName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"cofe.localhost": "cofe.localhost", "Cofe.LocalHost.:7080": "cofe.localhost", "127.0.0.1:80": "127.0.0.1",
		"[::1]:80": "::1", "[::1]": "::1", "a_b": "a_b",
		"": "", ":80": "", "a:b": "", "a b": "", "a/b": "", "[::1": "", "[x]:1": "", "[::1]x": "", "a:123456": "",
	} {
		got, ok := hostName(in)
		if got != want || ok != (want != "") {
			t.Errorf("hostName(%q) = %q, %t", in, got, ok)
		}
	}
}

func FuzzHostName(f *testing.F) {
	for _, s := range []string{"cofe.localhost:80", "[::1]:1", "v17--orders--production--cofe.localhost", "A.", "::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, ok := hostName(s)
		if ok && (h == "" || strings.ToLower(h) != h || strings.ContainsAny(h, "/@ \x00\r\n")) {
			t.Errorf("%q became %q", s, h)
		}
		k, v, ok := parsePreviewHost(h, "localhost")
		if !ok {
			return
		}
		back, fits := PreviewHost(k, v, "localhost")
		if !fits || back != h {
			t.Errorf("%q is %s %s, which writes %q", h, k, v, back)
		}
	})
}

func TestConflictsAreReported(t *testing.T) {
	t.Parallel()
	g, _ := stopped(t, Config{})
	next := Table{Stamp: g.table.Load().stamp}
	next.Stamp.Revision++
	for _, name := range []string{"a", "b"} {
		next.Workloads = append(next.Workloads, Workload{Key: rollout.Key{App: "cofe", Env: "prod", Workload: name}, Routes: []string{"/"}})
	}
	if err := g.Apply(next); err != nil {
		t.Fatal(err)
	}
	if c := g.Conflicts(); len(c) != 1 || c[0] != "route / on any host of cofe/prod/b is taken by cofe/prod/a" {
		t.Errorf("%q", c)
	}
}
