package sim_test

import (
	"errors"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/sim"
)

func opened(id int64) rollout.Change {
	p := rollout.Plan{Rollout: id, App: "a", Env: "e", Members: []rollout.Member{{Workload: "w", Candidate: 1, Instances: 1}}, Steps: []rollout.Step{{Weight: rollout.Full}}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return rollout.Change{At: now, Opened: []rollout.Record{{Plan: p, State: rollout.New(p, now), Revision: 1, Opened: now}}}
}

func TestR18_aChangeUnderAnOlderLeaseIsRefused(t *testing.T) {
	t.Parallel()
	s := sim.NewStore()
	old, _ := s.Lease(t.Context())
	if _, err := s.Lease(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := opened(1)
	c.Token = old
	if err := s.Commit(t.Context(), c); !errors.Is(err, rollout.ErrFenced) {
		t.Errorf("got %v", err)
	}
	if len(s.Live()) != 0 {
		t.Error("it was stored all the same")
	}
}

func TestStore_decisionsCompareAndSwap(t *testing.T) {
	t.Parallel()
	s := sim.NewStore()
	token, _ := s.Lease(t.Context())
	c := opened(1)
	c.Token = token
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	look := rollout.Change{Token: token, Looks: []rollout.Look{{Rollout: 1, Sequence: 1, Before: s.Record(1).State, After: s.Record(1).State}}}
	if err := s.Commit(t.Context(), look); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), look); !errors.Is(err, rollout.ErrConflict) {
		t.Errorf("stored twice: %v", err)
	}
	if history, _ := s.History(t.Context(), 1); len(history) != 1 || s.Record(1).Revision != 2 {
		t.Errorf("%d looks, revision %d", len(history), s.Record(1).Revision)
	}
}

func TestR19_aFateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	for fate, stored := range map[sim.Fate]int{sim.Refused: 0, sim.Unanswered: 1} {
		s := sim.NewStore()
		s.Fate = func(rollout.Change) sim.Fate { return fate }
		c := opened(1)
		c.Token, _ = s.Lease(t.Context())
		if err := s.Commit(t.Context(), c); !errors.Is(err, sim.ErrFate) {
			t.Errorf("fate %d: %v", fate, err)
		}
		catalog, err := s.Load(t.Context())
		if err != nil || len(catalog.Live) != stored {
			t.Errorf("fate %d: %d rollouts are stored, %v", fate, len(catalog.Live), err)
		}
	}
}
