package controller_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

// volumed is an app of one service with volumes.
func volumed(volumes, more string) string {
	return "titrate: 1\napp: cofe\ndefaults: { bake: 0, drain: 0, alarms: none }\nservices:\n  orders: { volumes: { " + volumes + " }" + more + " }\n"
}

// TestR1_aChangedVolumeIsANewVersion and digests made before there were volumes stay.
func TestR1_aChangedVolumeIsANewVersion(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for i, step := range []struct{ volumes, changed string }{
		{"", ""},
		{"data: /data", "volume data"},
		{"data: { path: /data, shared: true }, cache: { path: /cache, shared: true }", "volume cache volume data"},
		{"cache: { path: /cache, shared: true }", "volume data"},
	} {
		d := delivery(t, volumed(step.volumes, ""), map[string]string{"orders": strings.Repeat("a", 64)})
		d.Commit = fmt.Sprint(i)
		got, err := p.Deliver(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Rollouts) != 1 || strings.Join(got.Workloads[0].Changed, " ") != step.changed {
			t.Errorf("%d: %+v", i, got)
		}
		p.ended(got.Rollouts[0], rollout.Promoted)
	}
	if b, err := json.Marshal(rollout.VersionConfig{Port: 1}); err != nil || string(b) != `{"port":1}` {
		t.Errorf("%s, %v", b, err)
	}
}

// TestR31_whatIsWantedNeverHasTwoWriters follows every world that is asked for: over a
// release, a scale that was higher when the volume was shared, a release that is taken
// back, and a rollback.
func TestR31_whatIsWantedNeverHasTwoWriters(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	check := func(step string) {
		t.Helper()
		writers := 0
		for _, f := range p.hands.fleets("orders") {
			if f.Volumes.Exclusive() {
				writers += f.Count
			}
		}
		all := p.hands.fleets("orders")
		if writers > 1 || writers == 1 && len(all) > 1 {
			t.Fatalf("%s: %+v", step, all)
		}
		for _, w := range p.hands.wanted.Workloads {
			for _, s := range w.Split {
				if all[s.Version].Count == 0 {
					t.Fatalf("%s: %s has traffic, and nothing of it runs", step, s.Version)
				}
			}
		}
	}
	ends := func(step string, id int64, how rollout.Outcome) {
		t.Helper()
		nothing := false
		for range 200 {
			p.tick()
			check(step)
			nothing = nothing || len(p.hands.fleets("orders")) == 0
			if p.rollout(id).State.Phase == rollout.Ended {
				break
			}
		}
		if s := p.rollout(id).State; s.Outcome != how || !nothing {
			t.Fatalf("%s: %s, %s: %s; a moment without instances: %t", step, s.Phase, s.Outcome, s.Why, nothing)
		}
	}
	p.ended(p.deliver(volumed("data: { path: /data, shared: true }", ", scale: 3, rollout: AllAtOnce"), map[string]string{"orders": "o1"}).Rollouts[0], rollout.Promoted)
	ends("to one writer", p.deliver(volumed("data: /data", ""), map[string]string{"orders": "o2"}).Rollouts[0], rollout.Promoted)
	p.hands.broken["orders v3"] = "it exits with code 1"
	ends("back", p.deliver(volumed("data: /data", ""), map[string]string{"orders": "o3"}).Rollouts[0], rollout.Failed)
	if f := p.hands.fleets("orders"); len(f) != 1 || f[2].Count != 1 {
		t.Fatalf("after the way back: %+v", f)
	}
	ends("to none", p.deliver(volumed("", ", scale: 3"), map[string]string{"orders": "o3"}).Rollouts[0], rollout.Promoted)
	ends("and again", p.deliver(volumed("data: /data", ""), map[string]string{"orders": "o2"}).Rollouts[0], rollout.Promoted)
	ends("to many", p.deliver(volumed("data: { path: /data, shared: true }", ", scale: 2, rollout: Canary10Percent5Minutes"), map[string]string{"orders": "o4"}).Rollouts[0], rollout.Promoted)
	back, err := p.Rollback(t.Context(), controller.Scope{App: "cofe", Env: "production", Workload: "orders"}, controller.Destination{Version: 5}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	ends("rollback", back.Rollouts[0], rollout.Promoted)
	if f := p.hands.fleets("orders"); len(f) != 1 || f[5].Count != 1 {
		t.Errorf("the scale of the newest manifest is not for a version with one writer: %+v", f)
	}
}

// TestR31_whatIsKeptForLaterEndsBeforeTheOnlyWriterStarts keeps a version that shared
// its volume, as blue-green does, while a later one wants it alone.
func TestR31_whatIsKeptForLaterEndsBeforeTheOnlyWriterStarts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	many := func(artifact string) int64 {
		return p.deliver(volumed("data: { path: /data, shared: true }", ", rollout: { blueGreen: { keep: 1h } }"), map[string]string{"orders": artifact}).Rollouts[0]
	}
	p.ended(many("o1"), rollout.Promoted)
	kept := many("o2")
	p.until("it keeps the version before", func() bool { return p.rollout(kept).State.Phase == rollout.Retiring })
	if f := p.hands.fleets("orders"); len(f) != 2 {
		t.Fatalf("%+v", f)
	}
	only := p.deliver(volumed("data: /data", ""), map[string]string{"orders": "o3"}).Rollouts[0]
	p.until("the only writer is promoted", func() bool {
		if f := p.hands.fleets("orders"); f[3].Count > 0 && len(f) > 1 {
			t.Fatalf("beside the only writer: %+v", f)
		}
		return p.rollout(only).State.Phase == rollout.Ended
	})
	if s := p.rollout(kept).State; s.Phase != rollout.Retiring {
		t.Fatalf("it keeps nothing any more: %s", s.Phase)
	}
	if f := p.hands.fleets("orders"); len(f) != 1 || f[3].Count != 1 {
		t.Errorf("%+v", f)
	}
}

// TestR31_whatWasSeenBeforeIsNoGround aborts right after the candidate was let come up:
// that nothing lived was seen before it was asked for, and says nothing of it now.
func TestR31_whatWasSeenBeforeIsNoGround(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ended(p.deliver(volumed("data: /data", ""), map[string]string{"orders": "o1"}).Rollouts[0], rollout.Promoted)
	id := p.deliver(volumed("data: /data", ""), map[string]string{"orders": "o2"}).Rollouts[0]
	p.until("the candidate may come up", func() bool { return p.rollout(id).State.Handed })
	if _, err := p.Command(t.Context(), id, rollout.Command{Verb: rollout.Abort, By: "ana"}); err != nil {
		t.Fatal(err)
	}
	for range 3 { // nothing new is seen
		if _, err := p.Step(t.Context(), p.now); err != nil {
			t.Fatal(err)
		}
	}
	if f, s := p.hands.fleets("orders"), p.rollout(id).State; len(f) != 0 || s.Phase != rollout.Returning {
		t.Errorf("%s, and wants %+v", s.Phase, f)
	}
	p.ended(id, rollout.Aborted)
	if f := p.hands.fleets("orders"); len(f) != 1 || f[1].Count != 1 {
		t.Errorf("%+v", f)
	}
}

// TestR31_aFirstReleaseThatIsSupersededEndsBeforeTheNextStarts: no version is stable, and
// the next shares its volume, but the only writer before it may not have ended.
func TestR31_aFirstReleaseThatIsSupersededEndsBeforeTheNextStarts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.hands.broken["orders v1"] = "not ready yet"
	first := p.deliver(volumed("data: /data", ""), map[string]string{"orders": "o1"}).Rollouts[0]
	p.until("it starts", func() bool { return p.rollout(first).State.Phase == rollout.Starting })
	superseding := strings.Replace(volumed("data: { path: /data, shared: true }", ""), "defaults: {", "defaults: { overlap: supersede,", 1)
	next := p.deliver(superseding, map[string]string{"orders": "o2"}).Rollouts[0]
	p.until("the next has its turn", func() bool { return p.rollout(next).State.Phase != rollout.Queued })
	if s := p.rollout(next).State; !slices.Equal(s.Exclusive, []bool{true}) {
		t.Errorf("%s: it does not wait for %s to end", s.Phase, rollout.Version(1))
	}
	p.ended(next, rollout.Promoted)
}
