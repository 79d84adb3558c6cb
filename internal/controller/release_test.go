package controller_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func effects(d controller.Delivered) map[string]controller.EffectKind {
	all := map[string]controller.EffectKind{}
	for _, e := range d.Workloads {
		all[e.Key.Workload] = e.What
	}
	return all
}

func TestR1_onlyWhatChangedMoves(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	if e := effects(d); e["orders"] != controller.Opens || e["payments"] != controller.Unchanged || len(d.Rollouts) != 1 || d.Release != 2 {
		t.Fatalf("%+v", d)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
	if s := p.hands.split("orders"); s != "v2 100 %" {
		t.Error(s)
	}
	if s := p.hands.split("payments"); s != "v1 100 %" {
		t.Error(s)
	}
	again := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	if len(again.Rollouts) != 0 || again.Release != 2 {
		t.Errorf("the same push again: %+v", again)
	}
}

func TestR1_aChangedAddressIsANewVersion(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	artifacts := map[string]string{"orders": "o1", "payments": "p1"}
	with := func(value string) string {
		return strings.Replace(cofe, "route: /orders", "route: /orders, env: { PAY: "+value+" }", 1)
	}
	for _, id := range p.deliver(with("http://elsewhere"), artifacts).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	d := p.deliver(with("{ service: payments, path: /v1 }"), artifacts)
	if len(d.Rollouts) != 1 || len(d.Workloads) != 2 || !slices.Equal(d.Workloads[0].Changed, []string{"env PAY"}) {
		t.Fatalf("%+v", d)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
	want := map[string]rollout.Address{"PAY": {Service: "payments", As: rollout.AddressURL, Path: "/v1"}}
	if f := p.hands.fleets("orders")[2]; !maps.Equal(f.Addresses, want) || len(f.Env) != 0 {
		t.Errorf("it is given %v and %v", f.Addresses, f.Env)
	}
	if again := p.deliver(with("{ service: payments, as: url, path: /v1 }"), artifacts); len(again.Rollouts) != 0 {
		t.Errorf("the same in other words: %+v", again)
	}
}

func TestR1_aChangedSecretIsANewVersionOfTheCurrentRelease(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := strings.Replace(cofe, "route: /orders", "route: /orders, secrets: [KEY]", 1)
	_, err := p.Deliver(t.Context(), delivery(t, text, map[string]string{"orders": "o1", "payments": "p1"}))
	wantKind(t, err, controller.Invalid)
	p.vault["KEY"] = "one"
	for _, id := range p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	if same, err := p.Refresh(t.Context(), "cofe", "production", "ana"); err != nil || len(same.Rollouts) != 0 {
		t.Fatalf("nothing changed: %+v, %v", same, err)
	}
	p.vault["KEY"] = "two"
	d, err := p.Refresh(t.Context(), "cofe", "production", "ana")
	if err != nil || len(d.Rollouts) != 1 || d.Release != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	p.until("both versions run", func() bool { return len(p.hands.fleets("orders")) == 2 })
	f := p.hands.fleets("orders")
	if f[1].Secrets["KEY"] != "one" || f[2].Secrets["KEY"] != "two" {
		t.Errorf("each version keeps the value it was made with: %v, %v", f[1].Secrets, f[2].Secrets)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
}

func TestR1_aNewServiceDoesNotMoveTheOthers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe+"  rewards: { build: rewards, route: /rewards }\n", map[string]string{"orders": "o1", "payments": "p1", "rewards": "r1"})
	if e := effects(d); e["orders"] != controller.Unchanged || e["payments"] != controller.Unchanged || e["rewards"] != controller.Opens {
		t.Errorf("%+v", d.Workloads)
	}
}

func TestR3_rejectRefusesWhileARolloutIsInProgress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := cofe + "environments:\n  production: { overlap: reject }\n"
	for _, id := range p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	p.deliver(text, map[string]string{"orders": "o2", "payments": "p1"})
	_, err := p.Deliver(t.Context(), delivery(t, text, map[string]string{"orders": "o3", "payments": "p1"}))
	wantKind(t, err, controller.Rejected)
	if all, err := p.store.Releases(t.Context(), "cofe", 0, 10); err != nil || len(all) != 2 {
		t.Errorf("a rejected delivery left something: %d releases, %v", len(all), err)
	}
	d := delivery(t, text, map[string]string{"orders": "o1", "payments": "p2"})
	// orders is in progress, but only payments would move… and orders back.
	if _, err := p.Deliver(t.Context(), d); err == nil {
		t.Error("a change of a workload in progress was taken")
	}
}

func TestR3_ofThoseThatWaitOnlyTheNewestIsKept(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	var ids []int64
	for _, o := range []string{"o2", "o3", "o4"} {
		d := p.deliver(cofe, map[string]string{"orders": o, "payments": "p1"})
		ids = append(ids, d.Rollouts...)
		p.tick()
	}
	p.ended(ids[0], rollout.Promoted)
	p.ended(ids[1], rollout.Superseded)
	p.ended(ids[2], rollout.Promoted)
	if s := p.hands.split("orders"); s != "v4 100 %" {
		t.Error(s)
	}
}

func TestR4_aNewManifestDoesNotChangeARolloutInProgress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.tick()
	p.deliver(strings.Replace(cofe, "Linear20PercentEvery10Seconds", "AllAtOnce", 1), map[string]string{"orders": "o2", "payments": "p1"})
	if r := p.rollout(d.Rollouts[0]); len(r.Plan.Steps) != 5 {
		t.Errorf("%+v", r.Plan.Steps)
	}
}

func TestR9_aRefusedVersionIsNotTriedAgainUntilRetried(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.failing["orders v2"] = 0.3
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.ended(d.Rollouts[0], rollout.RolledBack)
	s := p.status("orders")
	if s.Health.State != controller.Healthy || s.Outcome.Outcome != rollout.RolledBack || s.Sync.State != controller.Late || s.Sync.Why != "r2 rolled back, r1 kept" {
		t.Errorf("%+v", s)
	}
	again := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	if e := effects(again); e["orders"] != controller.Behind || len(again.Rollouts) != 0 {
		t.Fatalf("%+v", again)
	}
	p.hands.failing["orders v2"] = 0
	r, err := p.Command(t.Context(), d.Rollouts[0], rollout.Command{Verb: rollout.Retry, By: "ana"})
	if err != nil || r.Plan.Attempt != 2 || r.Retries != d.Rollouts[0] {
		t.Fatalf("%+v, %v", r, err)
	}
	p.ended(r.Plan.Rollout, rollout.Promoted)
	if s := p.status("orders"); s.Stable != 2 || s.Sync.State != controller.AsAsked {
		t.Errorf("%+v", s)
	}
	_, err = p.Command(t.Context(), d.Rollouts[0], rollout.Command{Verb: rollout.Retry})
	wantKind(t, err, controller.Conflict)
}

func TestR5_aRetryKeepsTheInstancesThatCarryTheTrafficNow(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.failing["orders v2"] = 0.3
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.ended(d.Rollouts[0], rollout.RolledBack)
	p.deliver(strings.Replace(cofe, "scale: 2", "scale: 8", 1), map[string]string{"orders": "o1", "payments": "p1"})
	p.hands.failing["orders v2"] = 0
	r, err := p.Command(t.Context(), d.Rollouts[0], rollout.Command{Verb: rollout.Retry, By: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	p.until("all traffic has moved", func() bool {
		if n := p.hands.fleets("orders")[1].Count; n != 8 && len(p.hands.fleets("orders")) > 1 {
			t.Fatalf("stable has %d instances with %s", n, p.hands.split("orders"))
		}
		return p.hands.split("orders") == "v2 100 %"
	})
	if n := p.hands.fleets("orders")[2].Count; n != 8 {
		t.Errorf("all traffic is on %d instances", n)
	}
	p.ended(r.Plan.Rollout, rollout.Promoted)
}

// What was wrong was the plan: the mended one is pushed, and the version is tried by it.
func TestR4_aRetryGoesByThePlanOfTheManifestNow(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.failing["orders v2"] = 0.3
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.ended(d.Rollouts[0], rollout.RolledBack)
	mended := strings.Replace(cofe, "Linear20PercentEvery10Seconds", "Linear50PercentEvery10Seconds", 1)
	if again := p.deliver(mended, map[string]string{"orders": "o2", "payments": "p1"}); effects(again)["orders"] != controller.Behind {
		t.Fatalf("%+v", again)
	}
	r, err := p.Command(t.Context(), d.Rollouts[0], rollout.Command{Verb: rollout.Retry, By: "ana", Step: 1})
	if err != nil || len(r.Plan.Steps) != 2 || r.Plan.From != 1 || r.Plan.Attempt != 2 || r.Plan.Members[0].Candidate != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	_, err = p.Command(t.Context(), d.Rollouts[0], rollout.Command{Verb: rollout.Retry, By: "ana"})
	wantKind(t, err, controller.Conflict)
}

func TestR9_goingBackToTheStableCodeIsNoRollout(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.broken["orders v2"] = "it exits with 1"
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.ended(d.Rollouts[0], rollout.Failed)
	back := p.deliver(cofe, map[string]string{"orders": "o1", "payments": "p1"})
	if e := effects(back); e["orders"] != controller.Unchanged || len(back.Rollouts) != 0 {
		t.Errorf("%+v", back)
	}
}

func TestR23_togetherIsOneRolloutOfWhatChanged(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := cofe + "together: [orders, payments]\n"
	d := p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"})
	if len(d.Rollouts) != 1 {
		t.Fatalf("%+v", d)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
	both := p.deliver(text, map[string]string{"orders": "o2", "payments": "p2"})
	if len(both.Rollouts) != 1 || len(p.rollout(both.Rollouts[0]).Plan.Members) != 2 {
		t.Fatalf("%+v", both)
	}
	p.hands.failing["payments v2"] = 0.5
	p.ended(both.Rollouts[0], rollout.RolledBack)
	if a, b := p.hands.split("orders"), p.hands.split("payments"); a != "v1 100 %" || b != "v1 100 %" {
		t.Errorf("orders %s, payments %s", a, b)
	}
	one := p.deliver(text, map[string]string{"orders": "o3", "payments": "p1"})
	if len(one.Rollouts) != 1 || len(p.rollout(one.Rollouts[0]).Plan.Members) != 1 {
		t.Fatalf("%+v", one)
	}
}

func TestR23_whatSupersedesAGroupMovesAllOfIt(t *testing.T) {
	t.Parallel()
	for _, urgent := range []bool{false, true} {
		p := newPlace(t)
		text := cofe + "together: [orders, payments]\n"
		if !urgent {
			text += "environments: { production: { overlap: supersede } }\n"
		}
		p.ended(p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts[0], rollout.Promoted)
		first := p.deliver(text, map[string]string{"orders": "o2", "payments": "p2"}).Rollouts[0]
		for range 15 {
			p.tick()
		}
		d := delivery(t, text, map[string]string{"orders": "o3", "payments": "p2"})
		d.Urgent = urgent
		second, err := p.Deliver(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if e := effects(second); e["payments"] != controller.Opens || len(second.Rollouts) != 1 {
			t.Errorf("urgent %v: %+v", urgent, second)
		}
		p.ended(second.Rollouts[0], rollout.Promoted)
		p.ended(first, rollout.Superseded)
		if o, pay := p.hands.split("orders"), p.hands.split("payments"); o != "v3 100 %" || pay != "v2 100 %" {
			t.Errorf("urgent %v: orders %s, payments %s", urgent, o, pay)
		}
	}
}

func TestR23_whatSupersedesForASecretMovesAllOfTheGroup(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.vault["KEY"] = "one"
	text := strings.Replace(cofe, "route: /orders", "route: /orders, secrets: [KEY]", 1) +
		"together: [orders, payments]\nenvironments: { production: { overlap: supersede } }\n"
	p.ended(p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts[0], rollout.Promoted)
	first := p.deliver(text, map[string]string{"orders": "o2", "payments": "p2"}).Rollouts[0]
	p.tick()
	p.vault["KEY"] = "two"
	second, err := p.Refresh(t.Context(), "cofe", "production", "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.ended(second.Rollouts[0], rollout.Promoted)
	p.ended(first, rollout.Superseded)
	if o, pay := p.hands.split("orders"), p.hands.split("payments"); o != "v3 100 %" || pay != "v2 100 %" {
		t.Errorf("orders %s, payments %s", o, pay)
	}
}

func TestR23_onlyTheMemberAtFaultIsRefusedAndTheGroupWaitsForIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := cofe + "together: [orders, payments]\n"
	p.ended(p.deliver(text, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts[0], rollout.Promoted)
	p.hands.failing["payments v2"] = 0.5
	bad := map[string]string{"orders": "o2", "payments": "p2"}
	p.ended(p.deliver(text, bad).Rollouts[0], rollout.RolledBack)

	again := p.deliver(text, bad)
	if got := effects(again); len(again.Rollouts) != 0 || got["orders"] != controller.Behind || got["payments"] != controller.Behind {
		t.Fatalf("the same push moved something: %+v", again)
	}
	if s := p.status("orders"); s.Sync.State != controller.Late {
		t.Errorf("orders is %+v, not behind", s.Sync)
	}
	mended := p.deliver(text, map[string]string{"orders": "o2", "payments": "p3"})
	if len(mended.Rollouts) != 1 || len(p.rollout(mended.Rollouts[0]).Plan.Members) != 2 {
		t.Fatalf("with payments mended both move: %+v", mended)
	}
	p.ended(mended.Rollouts[0], rollout.Promoted)
	if a, b := p.hands.split("orders"), p.hands.split("payments"); a != "v2 100 %" || b != "v3 100 %" {
		t.Errorf("orders %s, payments %s", a, b)
	}
}

func TestR28_aWorkloadNamedNoMoreRunsOnUntilRemoved(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	without := strings.Replace(cofe, "  payments: { build: payments, route: /payments }\n", "", 1)
	diff, err := p.Diff(t.Context(), delivery(t, without, map[string]string{"orders": "o1"}))
	if err != nil || effects(diff)["payments"] != controller.Orphaned {
		t.Fatalf("%+v, %v", diff, err)
	}
	key := rollout.Key{App: "cofe", Env: "production", Workload: "payments"}
	wantKind(t, p.Remove(t.Context(), key, "ana"), controller.Conflict)
	p.deliver(without, map[string]string{"orders": "o1"})
	p.tick()
	if s := p.hands.split("payments"); s != "v1 100 %" {
		t.Errorf("traffic was dropped: %q", s)
	}
	if s := p.status("payments"); s.Sync.State != controller.Unasked || s.Orphaned != 2 {
		t.Errorf("%+v", s)
	}
	if err := p.Remove(t.Context(), key, "ana"); err != nil {
		t.Fatal(err)
	}
	p.tick()
	if len(p.hands.fleets("payments")) != 0 {
		t.Error("it still runs")
	}
	d := p.deliver(cofe, map[string]string{"orders": "o1", "payments": "p2"})
	if v, err := p.store.Version(t.Context(), key, 2); err != nil || v.Number != 2 || len(d.Rollouts) != 1 {
		t.Errorf("its numbers begin anew: %+v, %v, %+v", v, err, d)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
}

func TestR28_aRenamedWorkloadKeepsItsPlaceUntilTheNewOneTakesTraffic(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	renamed := strings.Replace(cofe, "  payments: { build: payments,", "  till: { build: payments,", 1)
	p.hands.broken["till v1"] = "exit 1"
	d := p.deliver(renamed, map[string]string{"orders": "o1", "till": "p1"})
	p.tick()
	if !p.hands.answers("payments") {
		t.Error("the old name has lost its place to one that takes no traffic")
	}
	p.ended(d.Rollouts[0], rollout.Failed)
	if !p.hands.answers("payments") {
		t.Error("the old name has lost its place to one that failed")
	}
	d = p.deliver(renamed, map[string]string{"orders": "o1", "till": "p2"})
	p.ended(d.Rollouts[0], rollout.Promoted)
	if p.hands.answers("payments") || !p.hands.answers("till") {
		t.Error("the new name did not get the place of the old one")
	}
}

func TestR28_noAppTakesThePlaceOfAnother(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	thief := "titrate: 1\napp: apple\nservices:\n  web: { build: ., host: cofe.localhost, route: /orders }\n"
	for _, route := range []string{"/orders", "/orders/open", "/"} {
		_, err := p.Deliver(t.Context(), delivery(t, strings.Replace(thief, "/orders", route, 1), map[string]string{"web": "w1"}))
		wantKind(t, err, controller.Conflict)
	}
	for _, place := range []string{
		"host: '*.localhost', route: /orders", "host: cofe.localhost, routes: { path: /orders/open, methods: PATCH }",
		"host: '*.localhost', routes: [{ path: /x }, { path: /, exact: true, redirect: { host: apple.localhost } }]",
	} {
		_, err := p.Deliver(t.Context(), delivery(t, strings.Replace(thief, "host: cofe.localhost, route: /orders", place, 1), map[string]string{"web": "w1"}))
		wantKind(t, err, controller.Conflict)
	}
	for _, route := range []string{"/apples", "/ordersheet"} {
		p.deliver(strings.Replace(thief, "/orders", route, 1), map[string]string{"web": "w1"})
	}
}

func TestRoutesAreForTheGatewayWithThePush(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	text := "titrate: 1\napp: apple\nservices:\n  web: { build: ., host: '*.apple.localhost', route: /, routes: { path: /old, redirect: { prefix: /new } }, match: { header: x-beta } SHUT }\n"
	d := p.deliver(strings.Replace(text, "SHUT", "", 1), map[string]string{"web": "w1"})
	p.ended(d.Rollouts[0], rollout.Promoted)
	web := func() (out world.Workload) {
		for _, w := range p.Wanted().Workloads {
			if w.Key.App == "apple" {
				out = w
			}
		}
		return out
	}
	if w := web(); len(w.Paths) != 1 || w.Paths[0].Redirect == nil || len(w.Match) != 1 || w.Stable != 1 || w.Maintenance != nil || w.Hosts[0] != "*.apple.localhost" {
		t.Errorf("the gateway is told: %+v", w)
	}
	if d = p.deliver(strings.Replace(text, "SHUT", ", maintenance: true", 1), map[string]string{"web": "w1"}); len(d.Rollouts) > 0 {
		t.Error("maintenance is a rollout")
	}
	if web().Maintenance == nil {
		t.Error("maintenance did not arrive")
	}
}

// branches is an app with two environments, each with a branch of its own.
const branches = `titrate: 1
app: cofe
services:
  orders: { build: orders, route: /orders }
environments:
`

func TestR28_anotherBranchDoesNotTakeTheHostOfProduction(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"it does not know production": "  dev: { deploy: feature }\n",
		"it has moved production":     "  dev: { deploy: feature, host: cofe.localhost }\n  production: { deploy: main, host: new.localhost }\n",
	} {
		p := newPlace(t)
		main := branches + "  dev: { deploy: feature }\n  production: { deploy: main }\n"
		p.ended(p.deliver(main, map[string]string{"orders": "o1"}).Rollouts[0], rollout.Promoted)
		d := delivery(t, branches+text, map[string]string{"orders": "o2"})
		d.Branch, d.Default = "feature", false
		_, err := p.Deliver(t.Context(), d)
		wantKind(t, err, controller.Conflict)

		text = strings.Replace(text, "deploy: feature", "deploy: feature, services: { orders: { host: own.localhost } }", 1)
		d = delivery(t, branches+text, map[string]string{"orders": "o2"})
		d.Branch, d.Default = "feature", false
		if _, err := p.Deliver(t.Context(), d); err != nil {
			t.Fatal(name, err)
		}
		p.settle()
		for _, s := range p.Status("cofe", "production") {
			if s.Orphaned != 0 || len(s.Hosts) != 1 || s.Hosts[0] != "cofe.localhost" || s.Stable != 1 {
				t.Errorf("%s: production is %+v", name, s)
			}
		}
		if !p.hands.answers("orders") {
			t.Errorf("%s: production answers no more", name)
		}
	}
}

func TestR28_anEnvironmentNamedNoMoreKeepsItsPlaceUntilRemoved(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ended(p.deliver(branches+"  production: {}\n", map[string]string{"orders": "o1"}).Rollouts[0], rollout.Promoted)
	_, err := p.Deliver(t.Context(), delivery(t, branches+"  live: {}\n", map[string]string{"orders": "o1"}))
	wantKind(t, err, controller.Conflict) // its name gives live the host of production
	d := p.deliver(branches+"  live: { host: live.localhost }\n", map[string]string{"orders": "o1"})
	p.ended(d.Rollouts[0], rollout.Promoted)
	was := rollout.Key{App: "cofe", Env: "production", Workload: "orders"}
	if s := p.Status("cofe", "production")[0]; s.Orphaned != 2 || s.Stable != 1 || s.Hosts[0] != "cofe.localhost" {
		t.Errorf("%+v", s)
	}
	if err := p.Remove(t.Context(), was, "ana"); err != nil {
		t.Fatal(err)
	}
	p.deliver(branches+"  live: {}\n", map[string]string{"orders": "o1"})
	if s := p.Status("cofe", "live")[0]; s.Hosts[0] != "cofe.localhost" {
		t.Errorf("%+v", s)
	}
}

func TestDiff_ofANewServiceNeedsNoArtifact(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	d, err := p.Diff(t.Context(), delivery(t, cofe+"  rewards: { build: rewards, route: /rewards }\n", nil))
	if e := effects(d); err != nil || e["rewards"] != controller.Opens || e["orders"] != controller.Unchanged {
		t.Errorf("%+v, %v", d.Workloads, err)
	}
}

func TestDeliver_toAManualEnvironmentCarriesTheSameRelease(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := cofe + "environments:\n  uat: { deploy: main }\n  production: { deploy: manual }\n"
	d := delivery(t, text, map[string]string{"orders": "o1", "payments": "p1"})
	first, err := p.Deliver(t.Context(), d)
	if err != nil || len(first.Envs) != 1 || first.Envs[0] != "uat" {
		t.Fatalf("%+v, %v", first, err)
	}
	p.settle()
	d.Envs = []string{"production"}
	second, err := p.Deliver(t.Context(), d)
	if err != nil || second.Release != first.Release || len(second.Rollouts) != 2 {
		t.Fatalf("%+v, %v", second, err)
	}
	d.Envs = []string{"elsewhere"}
	_, err = p.Deliver(t.Context(), d)
	wantKind(t, err, controller.NotFound)
}

func TestR14_aVersionThatNeverAnswersIsToldAsThat(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	p.hands.silent = map[string]bool{"orders v2": true}
	d := p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	p.ended(d.Rollouts[0], rollout.Failed)
	if why := p.rollout(d.Rollouts[0]).State.Why; !strings.Contains(why, "was not ready in") || !strings.Contains(why, "no answer in 3s") {
		t.Errorf("%q", why)
	}
}

func TestR9_aRevertedCommitIsNoMoreBehind(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	bad := map[string]string{"orders": "o2", "payments": "p1"}
	id := p.deliver(cofe, bad).Rollouts[0]
	p.tick()
	if _, err := p.Command(t.Context(), id, rollout.Command{Verb: rollout.Abort, By: "ana"}); err != nil {
		t.Fatal(err)
	}
	p.ended(id, rollout.Aborted)
	for _, c := range []struct {
		artifacts map[string]string
		want      controller.SyncState
	}{
		{bad, controller.Late},
		{map[string]string{"orders": "o1", "payments": "p1"}, controller.AsAsked},
		{bad, controller.Late},
	} {
		p.deliver(cofe, c.artifacts)
		p.tick()
		if got := p.status("orders").Sync; got.State != c.want {
			t.Errorf("with %v asked for it is %+v, want %s", c.artifacts, got, c.want)
		}
	}
}
