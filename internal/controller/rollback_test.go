package controller_test

import (
	"fmt"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

var production = controller.Scope{App: "cofe", Env: "production"}

// promote delivers orders o<n> and lets it be promoted.
func (p *place) promote(n int) {
	p.t.Helper()
	d := p.deliver(cofe, map[string]string{"orders": fmt.Sprintf("o%d", n), "payments": "p1"})
	for _, id := range d.Rollouts {
		p.ended(id, rollout.Promoted)
	}
}

func TestR8_rollbackGoesStraightToTheVersionBefore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.promote(2)
	p.promote(3)
	back, err := p.Rollback(t.Context(), production, controller.Destination{}, "ana")
	if err != nil || len(back.Rollouts) != 1 || len(back.Workloads) != 1 {
		t.Fatalf("only what the newest release moved goes back: %+v, %v", back, err)
	}
	r := p.rollout(back.Rollouts[0])
	if r.Plan.Kind != rollout.Rollback || len(r.Plan.Steps) != 1 || r.By != "ana" {
		t.Errorf("%+v", r)
	}
	p.ended(r.Plan.Rollout, rollout.Promoted)
	if s := p.hands.split("orders"); s != "v2 100 %" {
		t.Error(s)
	}
	if s := p.status("orders"); s.Sync.State != controller.Late || s.Sync.Why != "r3 rolled back, r2 kept" {
		t.Errorf("%+v", s)
	}
	// Once more goes further back, not to what was just left.
	again, err := p.Rollback(t.Context(), production, controller.Destination{}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.ended(again.Rollouts[0], rollout.Promoted)
	if s := p.hands.split("orders"); s != "v1 100 %" {
		t.Error(s)
	}
	// And in either direction when a version is named.
	forth, err := p.Rollback(t.Context(), controller.Scope{App: "cofe", Env: "production", Workload: "orders"}, controller.Destination{Version: 3}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.ended(forth.Rollouts[0], rollout.Promoted)
	if s := p.status("orders"); s.Stable != 3 || s.Sync.State != controller.AsAsked {
		t.Errorf("%+v", s)
	}
}

func TestR8_withoutAVersionItGoesToWhatWasStableBefore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.promote(2)
	p.promote(3)
	orders := controller.Scope{App: "cofe", Env: "production", Workload: "orders"}
	back, err := p.Rollback(t.Context(), orders, controller.Destination{Version: 1}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.ended(back.Rollouts[0], rollout.Promoted)
	_, err = p.Rollback(t.Context(), orders, controller.Destination{}, "ana")
	wantKind(t, err, controller.Conflict) // nothing led to v1: v2 came after it
	p.promote(4)
	if back, err = p.Rollback(t.Context(), orders, controller.Destination{}, "ana"); err != nil {
		t.Fatal(err)
	}
	p.ended(back.Rollouts[0], rollout.Promoted)
	if s := p.hands.split("orders"); s != "v1 100 %" {
		t.Errorf("v1 was stable before v4, it went to %s", s)
	}
}

func TestR8_toAReleaseEveryWorkloadGoesBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	for _, r := range []map[string]string{{"orders": "o1", "payments": "p2"}, {"orders": "o2", "payments": "p2"}} {
		p.ended(p.deliver(cofe, r).Rollouts[0], rollout.Promoted)
	}
	back, err := p.Rollback(t.Context(), production, controller.Destination{Release: 1}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range back.Rollouts {
		p.ended(id, rollout.Promoted)
	}
	if o, pay := p.hands.split("orders"), p.hands.split("payments"); o != "v1 100 %" || pay != "v1 100 %" {
		t.Errorf("orders %s, payments %s", o, pay)
	}
}

func TestR8_anAbortedRollbackCanBeAskedForAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.promote(2)
	for range 2 {
		back, err := p.Rollback(t.Context(), production, controller.Destination{}, "ana")
		if err != nil {
			t.Fatal(err)
		}
		p.tick()
		if _, err := p.Command(t.Context(), back.Rollouts[0], rollout.Command{Verb: rollout.Abort, By: "ana"}); err != nil {
			t.Fatal(err)
		}
		p.ended(back.Rollouts[0], rollout.Aborted)
	}
	back, err := p.Rollback(t.Context(), production, controller.Destination{}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.ended(back.Rollouts[0], rollout.Promoted)
}

func TestR9_anAbortedWayToARefusedVersionLeavesItRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.promote(2)
	back, err := p.Rollback(t.Context(), production, controller.Destination{}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.ended(back.Rollouts[0], rollout.Promoted)
	if back, err = p.Rollback(t.Context(), production, controller.Destination{Release: 2}, "ana"); err != nil {
		t.Fatal(err)
	}
	p.tick()
	if _, err := p.Command(t.Context(), back.Rollouts[0], rollout.Command{Verb: rollout.Abort, By: "ana"}); err != nil {
		t.Fatal(err)
	}
	p.ended(back.Rollouts[0], rollout.Aborted)
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	if effects(d)["orders"] != controller.Behind {
		t.Errorf("an unchanged push tries again what was rolled back from: %+v", d.Workloads)
	}
}

func TestR8_olderThanTheWindowTakesTheSteps(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	for n := 2; n <= 6; n++ {
		p.promote(n)
	}
	back, err := p.Rollback(t.Context(), production, controller.Destination{Release: 1}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	if r := p.rollout(back.Rollouts[0]); len(r.Plan.Steps) != 5 || r.Plan.Kind != rollout.Rollback || r.Plan.Members[0].Candidate != 1 {
		t.Errorf("%+v", r.Plan)
	}
	p.ended(back.Rollouts[0], rollout.Promoted)
}

func TestR8_withARolloutInProgressItIsAnAbort(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	for range 15 {
		p.tick()
	}
	back, err := p.Rollback(t.Context(), production, controller.Destination{}, "ana")
	if err != nil || len(back.Aborted) != 1 || back.Aborted[0] != d.Rollouts[0] {
		t.Fatalf("%+v, %v", back, err)
	}
	p.ended(d.Rollouts[0], rollout.Aborted)
	if s := p.hands.split("orders"); s != "v1 100 %" {
		t.Error(s)
	}
}

func TestR8_saysWhatThereIsNotToGoBackTo(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, err := p.Rollback(t.Context(), production, controller.Destination{}, "ana")
	wantKind(t, err, controller.NotFound)
	p.first()
	_, err = p.Rollback(t.Context(), production, controller.Destination{}, "ana")
	wantKind(t, err, controller.Conflict)
	orders := controller.Scope{App: "cofe", Env: "production", Workload: "orders"}
	_, err = p.Rollback(t.Context(), orders, controller.Destination{Version: 9}, "ana")
	wantKind(t, err, controller.NotFound)
	_, err = p.Rollback(t.Context(), orders, controller.Destination{Version: 1}, "ana")
	wantKind(t, err, controller.Conflict)
	p.promote(2)
	p.Kept = func(digest string) bool { return digest != "o1" }
	_, err = p.Rollback(t.Context(), orders, controller.Destination{}, "ana")
	wantKind(t, err, controller.NotFound)
}

func TestR6_abortOfWhatHasEndedDoesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	if _, err := p.Command(t.Context(), 1, rollout.Command{Verb: rollout.Abort, By: "ana"}); err != nil {
		t.Error(err)
	}
	_, err := p.Command(t.Context(), 1, rollout.Command{Verb: rollout.Promote})
	wantKind(t, err, controller.Conflict)
	_, err = p.Command(t.Context(), 99, rollout.Command{Verb: rollout.Abort})
	wantKind(t, err, controller.NotFound)
}

func TestR7_aRetryMayBeginAtALaterStep(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.failing["orders v2"] = 0.3
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.ended(d.Rollouts[0], rollout.RolledBack)
	p.hands.failing["orders v2"] = 0
	_, err := p.Command(t.Context(), d.Rollouts[0], rollout.Command{Verb: rollout.Retry, Step: 9})
	wantKind(t, err, controller.Invalid)
	r, err := p.Command(t.Context(), d.Rollouts[0], rollout.Command{Verb: rollout.Retry, Step: 2})
	if err != nil {
		t.Fatal(err)
	}
	p.until("it has traffic", func() bool { return p.rollout(r.Plan.Rollout).State.Weight > 0 })
	if s := p.hands.split("orders"); s != "v1 40 %, v2 60 %" {
		t.Error(s)
	}
	p.ended(r.Plan.Rollout, rollout.Promoted)
}

func TestR8_aDestinationThatNeverWasAbortsNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.tick()
	for _, to := range []controller.Destination{{Version: 99}, {Version: 2}} { // 2 is on its way and was never promoted
		_, err := p.Rollback(t.Context(), production, to, "ana")
		wantKind(t, err, controller.NotFound)
	}
	if r := p.rollout(d.Rollouts[0]); r.State.Over() {
		t.Fatalf("it was aborted: %+v", r.State)
	}
	back, err := p.Rollback(t.Context(), production, controller.Destination{Version: 1}, "ana")
	if err != nil || len(back.Aborted) != 1 {
		t.Errorf("%+v, %v", back, err)
	}
}
