package controller_test

import (
	"errors"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

const (
	withDatabase = "titrate: 1\napp: cofe\ndefaults: { rollout: AllAtOnce, bake: 0, drain: 0 }\n" +
		"services:\n  orders: { build: orders, secrets: [DATABASE_URL] }\naccessories:\n  db: { use: postgres }\n"
	withoutDatabase = "titrate: 1\napp: cofe\ndefaults: { rollout: AllAtOnce, bake: 0, drain: 0 }\nservices:\n  orders: { build: orders }\n"
)

var database = rollout.Key{App: "cofe", Env: "production", Workload: "db"}

// accessories are those that are asked for.
func (h *hands) accessories() []world.Accessory {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wanted.Accessories
}

// refused checks that err is a problem of a kind that tells what to type.
func refused(t *testing.T, err error, kind controller.ProblemKind, help string) {
	t.Helper()
	var p *controller.Problem
	if !errors.As(err, &p) || p.Kind != kind || !strings.Contains(p.Hint, help) {
		t.Errorf("%+v, want %v with %q", err, kind, help)
	}
}

// TestAccessory_isKeptOverReleases and never part of one: a rollout moves the service
// alone, and the password, once made up, stays.
func TestAccessory_isKeptOverReleases(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	d := p.deliver(withDatabase, map[string]string{"orders": "o1"})
	if len(d.Accessories) != 1 || d.Accessories[0].What != controller.AccessoryStarts {
		t.Errorf("%+v", d.Accessories)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
	first := p.hands.accessories()
	if len(first) != 1 || first[0].Key != database || first[0].Password == "" || first[0].Spec.Keep != 7 {
		t.Fatalf("%+v", first)
	}
	if f := p.hands.fleets("orders")[1]; f.Accessories["DATABASE_URL"] != "db" {
		t.Errorf("the service is not given it: %+v", f)
	}
	d = p.deliver(withDatabase, map[string]string{"orders": "o2"})
	p.ended(d.Rollouts[0], rollout.Promoted)
	if len(d.Accessories) != 0 || len(d.Rollouts) != 1 {
		t.Errorf("%+v", d)
	}
	if again := p.hands.accessories(); len(again) != 1 || again[0].Password != first[0].Password {
		t.Errorf("%+v", again)
	}
}

// TestR28_anAccessoryThatIsNamedNoMoreRunsOn until a person removes it.
func TestR28_anAccessoryThatIsNamedNoMoreRunsOn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ended(p.deliver(withDatabase, map[string]string{"orders": "o1"}).Rollouts[0], rollout.Promoted)
	refused(t, p.RemoveAccessory(t.Context(), database, "ana"), controller.Conflict, "take it out of titrate.yaml")

	d := p.deliver(withoutDatabase, map[string]string{"orders": "o1"})
	if len(d.Accessories) != 1 || d.Accessories[0].What != controller.AccessoryOrphaned || !strings.Contains(d.Accessories[0].Why, "with its data") {
		t.Errorf("%+v", d.Accessories)
	}
	p.settle()
	if all := p.Accessories("cofe", "production"); len(p.hands.accessories()) != 1 || len(all) != 1 || all[0].Orphaned == 0 || all[0].Seen.State != world.AccessoryReady {
		t.Errorf("%+v", all)
	}
	if err := p.RemoveAccessory(t.Context(), database, "ana"); err != nil {
		t.Fatal(err)
	}
	p.tick()
	if got := p.hands.accessories(); len(got) != 0 {
		t.Errorf("removed, and asked for: %+v", got)
	}
	refused(t, p.RemoveAccessory(t.Context(), database, "ana"), controller.NotFound, "titrate accessory ls")
}

// TestAccessory_whatIsSetByHandWins and then no accessory is begun.
func TestAccessory_whatIsSetByHandWins(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.vault["DATABASE_URL"] = "postgres://elsewhere/app"
	d := p.deliver(withDatabase, map[string]string{"orders": "o1"})
	if len(d.Accessories) != 1 || d.Accessories[0].What != controller.AccessoryUnused {
		t.Errorf("%+v", d.Accessories)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
	if got := p.hands.accessories(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestAskAccessory_oneThingAtATime and what is asked for reaches the target once.
func TestAskAccessory_oneThingAtATime(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	text := withDatabase + "  mail: { run: mailpit }\n"
	p.ended(p.deliver(text, map[string]string{"orders": "o1"}).Rollouts[0], rollout.Promoted)
	ask := func(name string) (rollout.AccessoryTask, error) {
		k := database
		k.Workload = name
		return p.AskAccessory(t.Context(), k, rollout.AccessoryTask{Kind: rollout.TaskBackup, By: "ana"})
	}
	_, err := ask("nothing")
	refused(t, err, controller.NotFound, "titrate accessory ls")
	_, err = ask("mail")
	refused(t, err, controller.Invalid, "backup: { command: … }")

	first, err := ask("db")
	if err != nil || first.ID != 1 || !first.At.Equal(p.now) {
		t.Fatalf("%+v, %v", first, err)
	}
	p.tick()
	wanted := func() *rollout.AccessoryTask {
		for _, a := range p.hands.accessories() {
			if a.Key == database {
				return a.Task
			}
		}
		return nil
	}
	if got := wanted(); got == nil || *got != first {
		t.Errorf("asked for %+v, and the target for %+v", first, got)
	}
	for _, seen := range []world.TaskSeen{{}, {ID: 1, State: world.TaskRunning}} {
		p.hands.tasks = map[string]world.TaskSeen{"db": seen}
		p.tick()
		_, err = ask("db")
		refused(t, err, controller.Conflict, "titrate accessory ls")
	}
	p.hands.tasks["db"] = world.TaskSeen{ID: 1, State: world.TaskFailed, Why: "no room"}
	p.tick()
	if second, err := ask("db"); err != nil || second.ID != 2 {
		t.Errorf("%+v, %v", second, err)
	}
}
