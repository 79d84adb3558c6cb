package controller_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

var update = flag.Bool("update", false, "write the histories of the present core anew")

// incident is a rollout with its whole history, as it is stored.
type incident struct {
	Name    string         `json:"name"`
	Record  rollout.Record `json:"record"`
	History []rollout.Look `json:"history"`
}

// TestHistories_ofEveryCoreStillLoad reads histories as older programs stored
// them. What the present core wrote must also be decided the same way again. A
// new core adds a file; the old ones stay.
func TestHistories_ofEveryCoreStillLoad(t *testing.T) {
	t.Parallel()
	present := fmt.Sprintf("testdata/core%d.json", rollout.CoreVersion)
	if *update {
		writeIncidents(t, present)
	}
	files, err := filepath.Glob("testdata/core*.json")
	if err != nil || len(files) < rollout.CoreVersion {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var incidents []incident
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&incidents); err != nil {
			t.Errorf("%s: a field that was stored is known no more: %v", file, err)
		}
		outcomes := map[rollout.Outcome]bool{}
		for _, i := range incidents {
			outcomes[i.Record.State.Outcome] = true
			for _, look := range i.History {
				if err := look.Replay(i.Record.Plan); err != nil && look.Core >= decidesAlike {
					t.Errorf("%s: %s: %v", file, i.Name, err)
				}
			}
		}
		if len(outcomes) < 5 {
			t.Errorf("%s has not every outcome: %v", file, outcomes)
		}
	}
}

// decidesAlike is the oldest core whose looks the present one decides in the same way:
// core 3 only adds what is so of versions that change places (R31), and core 4 what is so
// of a clock that was set back, and core 5 what is so of waves (R23).
const decidesAlike = 2

func writeIncidents(t *testing.T, path string) {
	t.Helper()
	p := newPlace(t)
	p.first()
	p.promote(2)
	p.hands.failing["orders v3"] = 0.3
	p.ended(p.deliver(cofe, map[string]string{"orders": "o3", "payments": "p1"}).Rollouts[0], rollout.RolledBack)
	p.hands.broken["orders v4"] = "it exits with code 1"
	p.ended(p.deliver(cofe, map[string]string{"orders": "o4", "payments": "p1"}).Rollouts[0], rollout.Failed)
	first := p.deliver(cofe, map[string]string{"orders": "o5", "payments": "p1"}).Rollouts[0]
	for range 8 {
		p.tick()
	}
	waiting := p.deliver(cofe, map[string]string{"orders": "o6", "payments": "p1"}).Rollouts[0]
	p.deliver(cofe, map[string]string{"orders": "o7", "payments": "p1"})
	for range 3 {
		p.tick()
	}
	if _, err := p.Command(t.Context(), first, rollout.Command{Verb: rollout.Abort, By: "ana", Reason: "wrong branch"}); err != nil {
		t.Fatal(err)
	}
	p.ended(first, rollout.Aborted)
	p.ended(waiting, rollout.Superseded)
	one := strings.Replace(cofe, "  orders:", "  ledger: { build: ledger, volumes: { data: /data } }\n  orders:", 1)
	built := map[string]string{"orders": "o7", "payments": "p1", "ledger": "l1"}
	for _, id := range p.deliver(one, built).Rollouts {
		p.ended(id, rollout.Promoted)
	}
	built["ledger"] = "l2"
	p.ended(p.deliver(one, built).Rollouts[0], rollout.Promoted)
	p.hands.broken["ledger v3"] = "it exits with code 1"
	built["ledger"] = "l3"
	p.ended(p.deliver(one, built).Rollouts[0], rollout.Failed)
	var incidents []incident
	for id := int64(1); ; id++ {
		r, err := p.store.Rollout(t.Context(), id)
		if err != nil {
			break
		}
		history, err := p.store.History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		incidents = append(incidents, incident{Name: fmt.Sprintf("%s of %s", r.State.Outcome, r.Plan.Release), Record: r, History: history})
	}
	text, err := json.MarshalIndent(incidents, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// behind returns a rollout as it stood one look ago, the first time it is asked.
type behind struct {
	controller.Store
	stale *rollout.Record
}

func (b *behind) Rollout(ctx context.Context, id int64) (rollout.Record, error) {
	if s := b.stale; s != nil {
		b.stale = nil
		return *s, nil
	}
	return b.Store.Rollout(ctx, id)
}

func TestReplay_agreesWhileLooksAreStored(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	id := p.deliver(cofe, map[string]string{"orders": "o1", "payments": "p1"}).Rollouts[0]
	p.ended(id, rollout.Promoted)
	looks, err := p.store.History(t.Context(), id)
	if err != nil || len(looks) == 0 {
		t.Fatal(looks, err)
	}
	stale := p.rollout(id)
	last := looks[len(looks)-1]
	stale.State, stale.Revision = last.Before, last.Sequence
	p.Store = &behind{p.Store, &stale}
	if got, err := p.Replay(t.Context(), id); err != nil || !got.Agrees() {
		t.Errorf("%+v, %v", got, err)
	}
}
