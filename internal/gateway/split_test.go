package gateway

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

func shares(ws ...rollout.Weight) (out []world.Share) {
	for i, w := range ws {
		out = append(out, world.Share{Version: rollout.Version(i + 1), Weight: w})
	}
	return out
}

func fleetsFor(shares []world.Share) map[rollout.Version]*fleet {
	out := map[rollout.Version]*fleet{}
	for _, s := range shares {
		out[s.Version] = newFleet(fleetID{orders, s.Version})
	}
	return out
}

func TestR15_BucketsHoldExactlyTheWeights(t *testing.T) {
	t.Parallel()
	for _, ws := range [][]rollout.Weight{{10000}, {9999, 1}, {5000, 5000}, {1, 9999}, {3333, 3333, 3334}, {10000, 0}} {
		sh := shares(ws...)
		s := newSplit(sh, fleetsFor(sh), time.Time{})
		got := make([]rollout.Weight, len(ws))
		for _, b := range s.buckets {
			got[b]++
		}
		if !slices.Equal(got, ws) {
			t.Errorf("buckets of %v hold %v", ws, got)
		}
	}
}

func TestR15_RaisingAWeightMovesOnlyWhatItTakes(t *testing.T) {
	t.Parallel()
	var last *split
	for w := rollout.Weight(0); w <= rollout.Full; w += 125 {
		sh := shares(rollout.Full-w, w)
		s := newSplit(sh, fleetsFor(sh), time.Time{})
		moved := 0
		if last != nil {
			for i := range s.buckets {
				if last.buckets[i] == 1 && s.buckets[i] == 0 {
					t.Fatalf("at %s a bucket went back to stable", w)
				}
				if last.buckets[i] != s.buckets[i] {
					moved++
				}
			}
			if moved != 125 {
				t.Fatalf("at %s %d buckets moved, not 125", w, moved)
			}
		}
		last = s
	}
}

func TestR15_BucketsAreSpreadEvenly(t *testing.T) {
	t.Parallel()
	sh := shares(9000, 1000)
	s := newSplit(sh, fleetsFor(sh), time.Time{})
	for i := 0; i < len(s.buckets); i += 100 {
		n := 0
		for _, b := range s.buckets[i : i+100] {
			n += int(b)
		}
		if n < 8 || n > 12 {
			t.Errorf("buckets %d to %d hold %d of 10", i, i+99, n)
		}
	}
}

func TestR15_TheObservedShareStaysInItsBound(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", says("ok"))
	r.split(t, map[rollout.Version]rollout.Weight{1: 9950, 2: 50})
	for v := range rollout.Version(2) {
		r.SetInstances(orders, v+1, []Endpoint{b.Endpoint})
	}
	for n := range 200_000 {
		tk, ref := r.admit(arrival{host: "localhost", path: "/"})
		if ref != nil {
			t.Fatal(ref.reason)
		}
		tk.begin(nil)
		tk.finish()
		if n%1000 == 0 {
			if s, _ := r.Share(orders); s.Off {
				t.Fatalf("after %d draws the split is called off: %+v", n, s)
			}
		}
	}
	s, ok := r.Share(orders)
	if !ok || s.Requests != 200_000 || s.Versions[0].Drawn+s.Versions[1].Drawn != 200_000 || s.Versions[1].Asked != 50 {
		t.Fatalf("share is %+v", s)
	}
	if k := s.Versions[1].Drawn; k < 800 || k > 1200 {
		t.Errorf("0.5 %% of 200,000 were %d", k)
	}
}

func TestR15_AWrongShareIsCalledOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k, n uint64
		w    rollout.Weight
		want bool
	}{
		{1000, 10_000, 1000, false},
		{1090, 10_000, 1000, false},
		{1300, 10_000, 1000, true},
		{700, 10_000, 1000, true},
		{0, 100_000, 1, false}, // ten were due: unlikely (5·10⁻⁵), but not a millionth
		{0, 400_000, 1, true},
		{1, 10, 0, true},
		{0, 10, 0, false},
		{9, 10, rollout.Full, true},
		{10, 10, rollout.Full, false},
		{0, 0, 500, false},
	} {
		if got := off(c.k, c.n, c.w, 2); got != c.want {
			t.Errorf("off(%d of %d at %s) = %t", c.k, c.n, c.w, got)
		}
	}
}

func TestR15_AShareIsCountedSinceTheWeightChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	b := newBackend(t, "a", says("ok"))
	r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	r.SetInstances(orders, 2, []Endpoint{b.Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: 5000, 2: 5000})
	r.get(t, "/")
	r.split(t, map[rollout.Version]rollout.Weight{1: 5000, 2: 5000}) // another table, the same weights
	r.get(t, "/")
	if s, _ := r.Share(orders); s.Requests != 2 {
		t.Errorf("an unchanged weight forgot: %+v", s)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: 4000, 2: 6000})
	if s, _ := r.Share(orders); s.Requests != 0 {
		t.Errorf("a changed weight did not begin anew: %+v", s)
	}
	if _, ok := r.Share(rollout.Key{App: "a", Env: "b", Workload: "c"}); ok {
		t.Error("an unknown workload has a share")
	}
}

func TestR15_TablesThatDoNotSumAreRefused(t *testing.T) {
	t.Parallel()
	valid := func() Table {
		return Table{Workloads: []Workload{{
			Key: orders, Hosts: []string{"cofe.localhost"}, Routes: []string{"/orders"},
			Versions: []Version{{Version: 1}, {Version: 2}}, Split: shares(9000, 1000),
		}}}
	}
	for name, c := range map[string]struct {
		change func(w *Workload)
		want   string
	}{
		"sum":           {func(w *Workload) { w.Split = shares(9000, 999) }, "sum to 99.99 %"},
		"more":          {func(w *Workload) { w.Split = shares(9000, 1001) }, "sum to 100.01 %"},
		"negative":      {func(w *Workload) { w.Split = shares(10001, -1) }, "negative"},
		"twice":         {func(w *Workload) { w.Split[1].Version = 1 }, "two shares"},
		"unknown":       {func(w *Workload) { w.Split[1].Version = 3 }, "not one of its versions"},
		"host":          {func(w *Workload) { w.Hosts = []string{"cofe.localhost:80"} }, "host name"},
		"route":         {func(w *Workload) { w.Routes = []string{"orders"} }, "path prefix"},
		"without names": {func(w *Workload) { w.Key.Env = "" }, "must all have a name"},
	} {
		table := valid()
		c.change(&table.Workloads[0])
		if err := table.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	table := valid()
	if err := table.Validate(); err != nil {
		t.Error(err)
	}
	table.Workloads = append(table.Workloads, table.Workloads[0])
	if err := table.Validate(); err == nil || !strings.Contains(err.Error(), "named twice") {
		t.Error(err)
	}
}

func TestR18_AnOlderTableIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	at := func(token, revision uint64, w rollout.Weight) Table {
		return Table{Stamp: world.Stamp{Token: token, Revision: revision}, Workloads: []Workload{{
			Key: orders, Versions: []Version{{Version: 1}, {Version: 2}}, Split: shares(rollout.Full-w, w),
		}}}
	}
	if err := r.Apply(at(2, 5, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(at(2, 5, 2000)); err != nil {
		t.Fatalf("an equal stamp is not acknowledged: %v", err)
	}
	for _, old := range []Table{at(2, 4, 2000), at(1, 9, 2000)} {
		if err := r.Apply(old); !errors.Is(err, world.ErrStale) {
			t.Errorf("stamp %+v: %v", old.Stamp, err)
		}
	}
	bad := at(2, 6, 3000)
	bad.Workloads[0].Split[0].Weight--
	if err := r.Apply(bad); err == nil {
		t.Error("a table that does not sum was taken")
	}
	s := r.Served()
	if w, ok := s.Of(orders, 2); !ok || w != 1000 || s.Stamp != (world.Stamp{Token: 2, Revision: 5}) || s.Since.IsZero() {
		t.Errorf("served is %+v", s)
	}
	if err := r.Apply(at(3, 1, 4000)); err != nil {
		t.Fatal(err)
	}
	s = r.Served()
	if w, _ := s.Of(orders, 2); w != 4000 {
		t.Errorf("a greater token is not served: %+v", s)
	}
}

func TestTableOfAWorld(t *testing.T) {
	t.Parallel()
	w := world.Wanted{Stamp: world.Stamp{Token: 1}, PreviewKey: previewKey, Workloads: []world.Workload{{
		Key: orders, Hosts: []string{"h"}, Routes: []string{"/r"}, Split: shares(10000), Rollout: 7, Attempt: 2,
		Fleets: []world.Fleet{{Version: 1, Drain: time.Second}, {Version: 2}},
	}}}
	got := TableOf(w).Workloads[0]
	if got.Key != orders || len(got.Versions) != 2 || got.Versions[0].Drain != time.Second || got.Rollout != 7 || len(got.Split) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestWithoutASplitNothingIsServed(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.split(t, map[rollout.Version]rollout.Weight{1: -1})
	if status, _, body := r.get(t, "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, "takes traffic yet") {
		t.Errorf("%d %s", status, body)
	}
}
