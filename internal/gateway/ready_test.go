package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"titrate/internal/porttest"
	"titrate/internal/rollout"
)

func TestR5_NothingIsDrawnOnAnInstanceThatIsNotReady(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	var stopped [2]atomic.Bool
	var late atomic.Uint64
	var bs [2]*backend
	for i := range bs {
		bs[i] = newBackend(t, fmt.Sprint(i), func(w http.ResponseWriter, _ *http.Request) {
			if stopped[i].Load() {
				late.Add(1)
			}
			fmt.Fprint(w, "ok")
		})
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	both := []Endpoint{bs[0].Endpoint, bs[1].Endpoint}
	r.SetInstances(orders, 1, both)
	l := r.load(t, 8, r.plainGet)
	for n := range 60 {
		i := n % 2
		r.SetInstances(orders, 1, both[1-i:2-i])
		eventually(t, "nothing is open on it", func() bool { return r.OpenAt(both[i].Addr) == 0 })
		stopped[i].Store(true)
		seen := l.count()
		eventually(t, "the other has answered", func() bool { return l.count() > seen+20 })
		stopped[i].Store(false)
		r.SetInstances(orders, 1, both)
	}
	l.end(t)
	if late.Load() > 0 {
		t.Errorf("%d requests came to an instance that was not ready", late.Load())
	}
}

func TestR5_ARequestFailsOverToAnotherInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "good", func(w http.ResponseWriter, req *http.Request) {
		body := new(strings.Builder)
		fmt.Fprint(body, req.Method)
		if req.ContentLength > 0 {
			buf := make([]byte, req.ContentLength)
			n, _ := req.Body.Read(buf)
			body.Write(buf[:n])
		}
		fmt.Fprint(w, body)
	})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	r.SetInstances(orders, 1, []Endpoint{{ID: "dead", Addr: porttest.Addr(t)}, {ID: "dead too", Addr: porttest.Addr(t)}, b.Endpoint})
	for range 50 {
		if status, v, body := r.do(t, http.MethodPost, r.url("/"), strings.NewReader("beans")); status != 200 || v != "v1" || body != "POSTbeans" {
			t.Fatalf("%d %s %s", status, v, body)
		}
	}
	if w := r.sum(1); w.Requests != 50 || w.Failed != 0 {
		t.Errorf("windows hold %+v", w)
	}
	if n := r.Open(orders, 1); n != 0 {
		t.Errorf("%d are still open", n)
	}
}

func TestR5_WithoutAnyInstanceToConnectToTheVersionHasFailed(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	stable := newBackend(t, "stable", says("ok"))
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full})
	r.SetInstances(orders, 1, []Endpoint{stable.Endpoint})
	r.SetInstances(orders, 2, []Endpoint{{ID: "dead", Addr: porttest.Addr(t)}})
	status, v, body := r.get(t, "/", headerRequestID, "id-7")
	if status != http.StatusBadGateway || v != "v2" || !strings.Contains(body, "id-7") {
		t.Errorf("%d %s %s", status, v, body)
	}
	if w := r.sum(2); w.Requests != 1 || w.Failed != 1 || w.Status[5] != 1 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestR5_WhatHasNothingReadyFailsOverToWhatHas(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	stable, parked := newBackend(t, "stable", says("stable")), newBackend(t, "parked", says("parked"))
	r.split(t, map[rollout.Version]rollout.Weight{1: 5000, 2: 5000, 3: 0, 4: -1})
	r.SetInstances(orders, 1, []Endpoint{stable.Endpoint})
	for _, v := range []rollout.Version{3, 4} {
		r.SetInstances(orders, v, []Endpoint{parked.Endpoint})
	}
	for range 40 {
		if status, v, body := r.get(t, "/"); status != 200 || v != "v1" || body != "stable" {
			t.Fatalf("%d %s %s", status, v, body)
		}
	}
	if w := r.sum(1); w.Requests != 40 {
		t.Errorf("windows hold %+v", w)
	}
	s, _ := r.Share(orders)
	if one, two := s.Versions[0], s.Versions[1]; one.Drawn+two.Drawn != 40 || two.FailedOver != two.Drawn || one.FailedOver != 0 {
		t.Errorf("share is %+v", s)
	}
}

func TestR5_WithNothingReadyItIsA503ThatCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	res, err := r.client.Do(r.plainGet())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	if w := r.sum(1); w.Requests != 1 || w.Failed != 1 || w.Status[5] != 1 {
		t.Errorf("windows hold %+v", w)
	}
	s, _ := r.Share(orders)
	if s.Versions[0].Unready != 1 {
		t.Errorf("share is %+v", s)
	}
}

func TestR5_AnotherProcessAtTheSameAddressIsAnotherInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", says("ok"))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	tk, ref := r.admit(arrival{host: "x", path: "/"})
	if ref != nil {
		t.Fatal(ref)
	}
	tk.begin(nil)
	r.SetInstances(orders, 1, []Endpoint{{ID: "b", Addr: b.Addr}})
	if n := r.OpenAt(b.Addr); n != 1 {
		t.Errorf("%d are open at the address, not 1", n)
	}
	if n := r.Open(orders, 1); n != 1 {
		t.Errorf("%d are open on the version, not 1", n)
	}
	tk.finish()
	if n := r.OpenAt(b.Addr); n != 0 {
		t.Errorf("%d are open at the address, not 0", n)
	}
	r.closeWindows(r.cfg.Clock())
	if n := len(r.known(orders, 1).all); n != 1 {
		t.Errorf("%d instances are remembered, not 1", n)
	}
}

func TestAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", says("ok"))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	if r.Asked(b.Addr) {
		t.Error("asked before anybody came")
	}
	tk, ref := r.admit(arrival{host: "x", path: "/"})
	if ref != nil {
		t.Fatal(ref)
	}
	tk.begin(nil)
	for range 2 {
		if !r.Asked(b.Addr) {
			t.Error("not asked while a request is open")
		}
	}
	tk.finish()
	if r.Asked(b.Addr) {
		t.Error("asked after the last word of it")
	}
}

func TestTheLessLoadedInstanceIsPreferred(t *testing.T) {
	t.Parallel()
	f := newFleet(fleetID{orders, 1})
	r := newRig(t, Config{})
	f.setReady([]Endpoint{{ID: "a", Addr: "x:1"}, {ID: "b", Addr: "x:2"}, {ID: "a", Addr: "x:1"}}, r.connect)
	if n := len(*f.ready.Load()); n != 2 {
		t.Fatalf("%d are ready, not 2", n)
	}
	for range 1000 {
		if f.acquire(nil) == nil {
			t.Fatal("none is ready")
		}
	}
	a, b := f.all[0].open.Load(), f.all[1].open.Load()
	if d := a - b; d < -30 || d > 30 {
		t.Errorf("%d on one, %d on the other", a, b)
	}
}
