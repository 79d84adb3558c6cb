package controller_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/controller"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/store"
	"titrate/internal/world"
)

// hands is a world in which everything that is asked for is there at the next
// look: instances are ready, weights served. What is to go wrong is set in its
// fields.
type hands struct {
	mu       sync.Mutex
	wanted   world.Wanted
	sequence uint64
	cursor   uint64
	asked    int                // times that Ensure was called
	refuse   error              // what Ensure answers
	rps      uint64             // of each workload
	failing  map[string]float64 // by "orders v2": the share of its requests that fail
	slow     map[string]bool    // by "orders v2": once it has all traffic it takes ten times as long
	broken   map[string]string  // by "orders v2": it never gets ready, and why
	falling  map[string]string  // by "orders v2": an instance falls each second and is started again, and how
	silent   map[string]bool    // by "orders v2": it takes connections and answers nothing
	hooks    map[string]rollout.HookResult
	stamps   []world.Stamp
	tasks    map[string]world.TaskSeen // by accessory: how far what was asked of it has come
	cuts     []world.Damage            // R26
	barren   bool                      // no accessory ever comes up
}

func (h *hands) Ensure(_ context.Context, w world.Wanted) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if h.refuse != nil {
		return h.refuse
	}
	if w.Stamp.Less(h.wanted.Stamp) {
		return fmt.Errorf("%d.%d: %w", w.Stamp.Token, w.Stamp.Revision, world.ErrStale)
	}
	if h.wanted.Stamp != w.Stamp {
		h.stamps = append(h.stamps, w.Stamp)
	}
	h.wanted = w
	return nil
}

func (h *hands) Split(_ context.Context, w world.Wanted) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.Stamp.Less(h.wanted.Stamp) {
		return world.ErrStale
	}
	return nil
}

func name(k rollout.Key, v rollout.Version) string { return k.Workload + " " + v.String() }

func (h *hands) seen(now time.Time) (world.Seen, world.Served) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sequence++
	s := world.Seen{Sequence: h.sequence, Epoch: "1", Stamp: h.wanted.Stamp, Served: h.wanted.Stamp, Since: now, Hooks: maps.Clone(h.hooks), Cuts: slices.Clone(h.cuts)}
	served := world.Served{Stamp: h.wanted.Stamp, Since: now, Split: map[string][]world.Share{}}
	for _, w := range h.wanted.Workloads {
		served.Split[w.Key.String()] = w.Split
		for _, f := range w.Fleets {
			seen := world.FleetSeen{Key: w.Key, Version: f.Version, Ready: f.Count}
			if why := h.broken[name(w.Key, f.Version)]; why != "" {
				seen.Ready, seen.Failure = 0, why
			}
			if h.silent[name(w.Key, f.Version)] {
				seen.Ready = 0
				s.Instances = append(s.Instances, world.Instance{Key: w.Key, Version: f.Version, State: world.InstanceStarting, Why: "GET :8080/healthz → no answer in 3s"})
			}
			if how := h.falling[name(w.Key, f.Version)]; how != "" {
				s.Instances = append(s.Instances, world.Instance{ID: "orders-v2-a", Key: w.Key, Version: f.Version, State: world.InstanceReady, Last: how})
			}
			s.Fleets = append(s.Fleets, seen)
		}
	}
	for _, a := range h.wanted.Accessories {
		seen := world.AccessorySeen{Key: a.Key, State: world.AccessoryReady, Since: now, Task: h.tasks[a.Key.Workload]}
		if h.barren {
			seen.State = world.AccessoryBackoff
		}
		s.Accessories = append(s.Accessories, seen)
	}
	return s, served
}

// windows are those of the second that ends now.
func (h *hands) windows(now time.Time) []world.VersionWindow {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []world.VersionWindow
	for _, w := range h.wanted.Workloads {
		for _, s := range w.Split {
			n := h.rps * uint64(s.Weight) / uint64(rollout.Full)
			bad := uint64(float64(n) * h.failing[name(w.Key, s.Version)])
			h.cursor++
			win := world.VersionWindow{Cursor: h.cursor, Epoch: "1", Key: w.Key, Version: s.Version, Window: analysis.Window{
				Start: now.Add(-time.Second), Length: time.Second, Requests: n, Failed: bad,
			}}
			if h.falling[name(w.Key, s.Version)] != "" {
				win.Restarts = 1
			}
			win.Status[2], win.Status[5] = n-bad, bad
			if took := 20 * time.Millisecond; n > 0 {
				if s.Weight == rollout.Full && h.slow[name(w.Key, s.Version)] {
					took *= 10
				}
				win.Latency = analysis.Histogram{Bucket: []uint16{uint16(analysis.Bucket(took))}, Count: []uint64{n}}
			}
			all = append(all, win)
		}
	}
	return all
}

// answers reports whether a workload is reached by a host and route.
func (h *hands) answers(workload string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.wanted.Workloads, func(w world.Workload) bool {
		return w.Key.Workload == workload && len(w.Hosts) > 0 && len(w.Routes) > 0 && !w.Worker
	})
}

// split is what a workload's traffic is asked to be: "v1 90 %, v2 10 %".
func (h *hands) split(workload string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := ""
	for _, w := range h.wanted.Workloads {
		if w.Key.Workload == workload {
			for _, s := range w.Split {
				if out != "" {
					out += ", "
				}
				out += s.Version.String() + " " + s.Weight.String()
			}
		}
	}
	return out
}

// fleets are the instances that a workload is asked to have, by version.
func (h *hands) fleets(workload string) map[rollout.Version]world.Fleet {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[rollout.Version]world.Fleet{}
	for _, w := range h.wanted.Workloads {
		if w.Key.Workload == workload {
			for _, f := range w.Fleets {
				all[f.Version] = f
			}
		}
	}
	return all
}

// place is a controller with a real store in a world of hands, on a clock of its
// own.
type place struct {
	*controller.Controller
	t     *testing.T
	store *store.Store
	hands *hands
	now   time.Time
	vault vault
}

// vault holds values by name; a digest is the value turned around.
type vault map[string]string

func turned(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}

func (v vault) Digests(_ context.Context, _, _ string, names []string) (map[string]string, error) {
	out := map[string]string{}
	var unset []string
	for _, n := range names {
		if v[n] == "" {
			unset = append(unset, n)
		}
		out[n] = turned(v[n])
	}
	if len(unset) > 0 {
		return nil, fmt.Errorf("%v: %w", unset, controller.ErrNoSecret)
	}
	return out, nil
}

func (v vault) Values(_ context.Context, _, _ string, digests map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for n, d := range digests {
		out[n] = turned(d)
	}
	return out, nil
}

func (v vault) Generate(_ context.Context, _, _, name string) (string, error) {
	if v[name] == "" {
		v[name] = "made up for " + name
	}
	return turned(v[name]), nil
}

func newPlace(t *testing.T) *place {
	t.Helper()
	return openPlace(t, t.TempDir(), &hands{rps: 1000, failing: map[string]float64{}, broken: map[string]string{}, hooks: map[string]rollout.HookResult{}},
		time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC))
}

func openPlace(t *testing.T, folder string, h *hands, now time.Time) *place {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Folder: folder, Reserve: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := &place{t: t, store: s, hands: h, now: now, vault: vault{}}
	p.Controller = controller.New(controller.Config{
		Store: s, Target: target{h, p}, Router: target{h, p}, Meter: target{h, p}, Vault: p.vault, Now: func() time.Time { return p.now },
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// target gives the hands the shape of the seams.
type target struct {
	*hands
	p *place
}

func (t target) Seen(context.Context, uint64) (world.Seen, error) {
	s, _ := t.seen(t.p.now)
	return s, nil
}

func (t target) Served(context.Context) (world.Served, error) {
	_, s := t.seen(t.p.now)
	return s, nil
}

func (t target) Windows(context.Context, uint64) ([]world.VersionWindow, error) {
	return t.windows(t.p.now), nil
}

// tick lets a second pass.
func (p *place) tick() {
	p.t.Helper()
	p.now = p.now.Add(time.Second)
	p.Measure(p.hands.windows(p.now))
	p.Observe(p.hands.seen(p.now))
	if _, err := p.Step(p.t.Context(), p.now); err != nil {
		p.t.Fatal(err)
	}
}

// until ticks until done says so, at most an hour.
func (p *place) until(what string, done func() bool) {
	p.t.Helper()
	for range 3600 {
		if done() {
			return
		}
		p.tick()
	}
	for _, r := range p.Live() {
		p.t.Logf("rollout %d: %+v", r.Plan.Rollout, r.State)
	}
	p.t.Fatalf("an hour passed without: %s", what)
}

// settle ticks until no rollout is alive.
func (p *place) settle() {
	p.t.Helper()
	p.until("all rollouts ended", func() bool { return len(p.Live()) == 0 })
}

func (p *place) rollout(id int64) rollout.Record {
	p.t.Helper()
	r, err := p.store.Rollout(p.t.Context(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// ended settles and checks how a rollout ended.
func (p *place) ended(id int64, want rollout.Outcome) rollout.Record {
	p.t.Helper()
	p.settle()
	r := p.rollout(id)
	if r.State.Outcome != want {
		p.t.Fatalf("rollout %d: %s (%s), want %s", id, r.State.Outcome, r.State.Why, want)
	}
	return r
}

const cofe = `titrate: 1
app: cofe
defaults:
  rollout: Linear20PercentEvery10Seconds
  bake: 10s
  drain: 2s
  alarms: { errors: 5xx > 1% for 2s }
services:
  orders: { build: orders, route: /orders, scale: 2 }
  payments: { build: payments, route: /payments }
`

func parse(t *testing.T, text string) manifest.App {
	t.Helper()
	app, problems := manifest.Parse([]byte(text), "titrate.yaml")
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return *app
}

// delivery is a push of a manifest to the default branch, with artifacts written
// "orders=a1".
func delivery(t *testing.T, text string, artifacts map[string]string) controller.Delivery {
	t.Helper()
	d := controller.Delivery{
		App: parse(t, text), Manifest: []byte(text), Commit: fmt.Sprint(artifacts), Message: "a change", Author: "ana", Branch: "main", Default: true,
		By: "ana", Artifact: map[string]rollout.Artifact{},
	}
	for w, a := range artifacts {
		d.Artifact[w] = rollout.Artifact{Digest: a, Command: []string{"./" + w}}
	}
	return d
}

func (p *place) deliver(text string, artifacts map[string]string) controller.Delivered {
	p.t.Helper()
	d, err := p.Deliver(p.t.Context(), delivery(p.t, text, artifacts))
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// first delivers and promotes a first release.
func (p *place) first() {
	p.t.Helper()
	d := p.deliver(cofe, map[string]string{"orders": "o1", "payments": "p1"})
	for _, id := range d.Rollouts {
		p.ended(id, rollout.Promoted)
	}
}

func (p *place) status(workload string) controller.WorkloadStatus {
	p.t.Helper()
	for _, s := range p.Status("cofe", "") {
		if s.Key.Workload == workload {
			return s
		}
	}
	p.t.Fatalf("no status of %s", workload)
	return controller.WorkloadStatus{}
}

func wantKind(t *testing.T, err error, kind controller.ProblemKind) {
	t.Helper()
	var p *controller.Problem
	if !errors.As(err, &p) || p.Kind != kind {
		t.Fatalf("got %v, want a problem of kind %s", err, kind)
	}
	t.Log(p.Message, "|", p.Hint)
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
