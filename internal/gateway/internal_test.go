package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"titrate/internal/rollout"
)

func TestInternalAddressesReachTheirWorkloadAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	var told http.Header
	b := newBackend(t, "a", func(w http.ResponseWriter, req *http.Request) {
		told = req.Header.Clone()
		fmt.Fprint(w, "ledger ", req.URL.Path)
	})
	ledger := rollout.Key{App: "cofe", Env: "production", Workload: "ledger"}
	mailer := rollout.Key{App: "cofe", Env: "production", Workload: "mailer"}
	r.SetInstances(ledger, 3, []Endpoint{b.Endpoint})
	url := r.InternalURL(ledger) // known before the table
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full}, func(tb *Table) {
		tb.Workloads = append(tb.Workloads,
			Workload{Key: ledger, Versions: []Version{{Version: 3}}, Split: shares(0, 0, rollout.Full)[2:]},
			Workload{Key: mailer, Worker: true, Versions: []Version{{Version: 1}}, Split: shares(rollout.Full)})
	})
	if url == "" || url != r.InternalURL(ledger) || url == r.InternalURL(orders) {
		t.Fatalf("addresses %s, %s and %s", url, r.InternalURL(ledger), r.InternalURL(orders))
	}
	status, v, body := r.do(t, http.MethodGet, url+"/entries", nil, "X-Forwarded-For", "9.9.9.9", "Host", "anything")
	if status != 200 || v != "v3" || body != "ledger /entries" {
		t.Errorf("%d %s %s", status, v, body)
	}
	if got := told.Get("X-Forwarded-For"); !strings.HasPrefix(got, "9.9.9.9, 127.") {
		t.Errorf("the chain of callers is %q", got)
	}
	if w := r.sum(3); w.Requests != 1 {
		t.Errorf("internal calls are not counted: %+v", w)
	}
	at := strings.TrimPrefix(url, "http://")
	for _, host := range []string{at, strings.Split(at, ":")[0], "ledger", "ledger.production.cofe.internal"} {
		if _, v, body := r.get(t, "/entries", "Host", host); v == "v3" {
			t.Errorf("reached from outside by Host %s: %s", host, body)
		}
	}
	if status, _, _ := r.do(t, http.MethodGet, r.InternalURL(mailer), nil); status != http.StatusNotFound {
		t.Errorf("a worker answers calls: %d", status)
	}
	port := at[strings.IndexByte(at, ':'):]
	if status, _, _ := r.do(t, http.MethodGet, "http://127.0.0.1"+port, nil, "Host", at); status != http.StatusNotFound {
		t.Errorf("an address without workload: %d", status)
	}
}

func TestInternalListenerHasADoorOfItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Own: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, "own ", req.URL.Path) })})
	b := newBackend(t, "a", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "orders") })
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	if status, _, body := r.do(t, http.MethodPost, "http://"+r.OwnAddr()+"/a/b", nil); status != 200 || body != "own /a/b" {
		t.Errorf("%d %s", status, body)
	}
	if _, _, body := r.do(t, http.MethodGet, r.InternalURL(orders), nil); body != "orders" {
		t.Errorf("a workload's address answers %q", body)
	}
	// The public listener may be at 127.0.0.1 as well: it has no such door.
	if _, _, body := r.get(t, "/a/b", "Host", r.OwnAddr()); strings.HasPrefix(body, "own") {
		t.Errorf("it is open to outsiders: %s", body)
	}
	if w := r.sum(1); w.Requests != 2 { // of the workload, by its address and by its route
		t.Errorf("%d requests were counted, of 2", w.Requests)
	}
}

func TestInternalListenerRefusesOutsiders(t *testing.T) {
	t.Parallel()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Config{})
	tried := false
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.IsLoopback() || ip.IP.To4() == nil {
			continue
		}
		tried = true
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(ip.IP.String(), fmt.Sprint(r.cfg.InternalPort)))
		if err != nil {
			continue // not even the connection
		}
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s got %d bytes of an answer", ip, n)
		}
		c.Close()
	}
	if !tried {
		t.Skip("this machine has no address beside loopback")
	}
}

func TestInternalAddressesAreStableAndApart(t *testing.T) {
	t.Parallel()
	var a, b addresses
	seen := map[netip.Addr]rollout.Key{}
	for i := range 20_000 {
		k := rollout.Key{App: "app", Env: "production", Workload: fmt.Sprint("w", i)}
		at := a.of(k)
		if other, taken := seen[at]; taken {
			t.Fatalf("%s and %s share %s", k, other, at)
		}
		seen[at] = k
		if !inRange(at) {
			t.Fatalf("%s is out of range", at)
		}
		if a.of(k) != at {
			t.Fatalf("%s moved", k)
		}
	}
	k := rollout.Key{App: "cofe", Env: "production", Workload: "orders"}
	if at := b.of(k); at != hashAddress(k) || at.String() != "127.204.69.157" {
		t.Errorf("the address of %s has become %s: processes that run were given the old one", k, at)
	}
}

func TestInternalURLWithoutAListenerIsEmpty(t *testing.T) {
	t.Parallel()
	g, err := New(Config{Epoch: "e"})
	if err != nil {
		t.Fatal(err)
	}
	if u := g.InternalURL(orders); u != "" {
		t.Error(u)
	}
}
