package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"titrate/internal/rollout"
)

var start = time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)

func openStore(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Folder == "" {
		o.Folder = t.TempDir()
	}
	if o.Reserve == 0 {
		o.Reserve = 1 << 16
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func lease(t *testing.T, s *Store) uint64 {
	t.Helper()
	token, err := s.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func commit(t *testing.T, s *Store, c rollout.Change) {
	t.Helper()
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

var orders = rollout.Key{App: "cofe", Env: "production", Workload: "orders"}

// opening is a change that opens rollout id of version n.
func opening(token uint64, id int64, n rollout.Version) rollout.Change {
	plan := rollout.Plan{
		Rollout: id, App: orders.App, Env: orders.Env, Release: rollout.Release(n), Kind: rollout.Forward, Attempt: 1,
		Overlap: rollout.OverlapNext, Steps: []rollout.Step{{Weight: rollout.Full}},
		Members: []rollout.Member{{Workload: orders.Workload, Candidate: n, Instances: 2}},
	}
	return rollout.Change{
		Token: token, At: start,
		Releases:  []rollout.ReleaseRecord{{App: orders.App, Number: rollout.Release(n), Commit: "c0ffee", At: start, Manifest: []byte("titrate: 1\n"), Artifacts: map[string]rollout.Artifact{"orders": {Digest: "ab"}}}},
		Versions:  []rollout.VersionRecord{{Key: orders, Number: n, Release: rollout.Release(n), Digest: "d", Made: start}},
		Workloads: []rollout.WorkloadRecord{{Key: orders, Release: rollout.Release(n), Newest: n, Settings: rollout.Settings{Instances: 2}}},
		Opened:    []rollout.Record{{Plan: plan, State: rollout.New(plan, start), Revision: 1, Opened: start, By: "ana"}},
		Events:    []rollout.Event{{At: start, Kind: rollout.EventOpened, App: orders.App, Env: orders.Env, Rollout: id, Data: []byte(`{"why":"x"}`)}},
	}
}

// moving is a change that moves a rollout at a revision into a phase.
func moving(token uint64, before rollout.Record, phase rollout.Phase) rollout.Change {
	after := before.State
	after.Phase, after.Why, after.Since = phase, "because", start.Add(time.Minute)
	return rollout.Change{Token: token, At: start, Looks: []rollout.Look{{
		Rollout: before.Plan.Rollout, Sequence: before.Revision, Core: rollout.CoreVersion, At: start.Add(time.Minute), Before: before.State, After: after,
	}}}
}

func TestCommit_keepsWhatWasStored(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	token := lease(t, s)
	c := opening(token, 1, 1)
	heard := s.Heard()
	commit(t, s, c)
	<-heard

	got, err := s.Rollout(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c.Opened[0], got); d != "" {
		t.Error("rollout:", d)
	}
	release, err := s.Release(t.Context(), "cofe", 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c.Releases[0], release); d != "" {
		t.Error("release:", d)
	}
	events, err := s.Events(t.Context(), 0, "cofe", 10)
	if err != nil || len(events) != 1 || events[0].ID != 1 || string(events[0].Data) != `{"why":"x"}` {
		t.Errorf("events: %+v, %v", events, err)
	}
	look := moving(token, got, rollout.Starting)
	commit(t, s, look)
	history, err := s.History(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(look.Looks, history); d != "" {
		t.Error("history:", d)
	}
	if _, err := s.Rollout(t.Context(), 99); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("an unknown rollout: %v", err)
	}
}

func TestCommit_refusesAChangeOfWhatHasChanged(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	token := lease(t, s)
	commit(t, s, opening(token, 1, 1))
	r, err := s.Rollout(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, moving(token, r, rollout.Starting))
	stale := moving(token, r, rollout.Shifting)
	stale.Promotions = []rollout.Promotion{{Key: orders, Version: 1, Rollout: 1, At: start}}
	if err := s.Commit(t.Context(), stale); !errors.Is(err, rollout.ErrConflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	got, err := s.Rollout(t.Context(), 1)
	if err != nil || got.State.Phase != rollout.Starting || got.Revision != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if p, err := s.Promotions(t.Context(), orders, 9); err != nil || len(p) != 0 {
		t.Errorf("half of a refused change was stored: %v, %v", p, err)
	}
}

func TestR18_anOlderLeaseIsFenced(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	// Two lock files stand for a file system whose locks do not hold.
	a := openStore(t, Options{Folder: folder, Lock: filepath.Join(folder, "lock-a")})
	first := lease(t, a)
	commit(t, a, opening(first, 1, 1))
	b := openStore(t, Options{Folder: folder, Lock: filepath.Join(folder, "lock-b")})
	second := lease(t, b)
	if second <= first {
		t.Fatalf("token %d after %d", second, first)
	}
	r, err := a.Rollout(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(t.Context(), moving(first, r, rollout.Starting)); !errors.Is(err, rollout.ErrFenced) {
		t.Fatalf("got %v, want fenced", err)
	}
	commit(t, b, moving(second, r, rollout.Starting))
}

func TestOpen_aSecondProcessIsToldOfTheFirst(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	a := openStore(t, Options{Folder: folder})
	_, err := Open(t.Context(), Options{Folder: folder})
	var f *FaultError
	if !errors.As(err, &f) || f.Code != CodeLocked {
		t.Fatalf("got %v", err)
	}
	t.Log(err, "|", f.Hint)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, Options{Folder: folder}) // at once
}

func TestOpen_waitsForTheLockAsLongAsAsked(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	a := openStore(t, Options{Folder: folder})
	opened := make(chan error, 1)
	go func() {
		b, err := Open(context.WithoutCancel(t.Context()), Options{Folder: folder, Wait: time.Minute})
		if err == nil {
			err = b.Close()
		}
		opened <- err
	}()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
}

func TestOpen_neverReplacesADamagedDatabase(t *testing.T) {
	t.Parallel()
	damage := map[string]struct {
		do   func(path string) error
		code string
	}{
		"emptied":   {func(p string) error { return os.Truncate(p, 0) }, CodeCorrupt},
		"cut short": {func(p string) error { return os.Truncate(p, 8192) }, CodeCorrupt},
		"no header": {func(p string) error { return overwrite(p, 0, 100) }, CodeCorrupt},
		"scribbled": {func(p string) error { return overwrite(p, 4096, 8000) }, CodeCorrupt},
		"gone":      {os.Remove, CodeMissing},
	}
	for name, d := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			s := openStore(t, Options{Folder: folder})
			commit(t, s, opening(lease(t, s), 1, 1))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "titrate.db")
			if err := d.do(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			_, err := Open(t.Context(), Options{Folder: folder})
			var f *FaultError
			if !errors.As(err, &f) || f.Code != d.code || f.Hint == "" {
				t.Fatalf("got %v", err)
			}
			t.Log(err, "|", f.Hint)
			after, _ := os.ReadFile(path)
			if string(before) != string(after) {
				t.Error("the damaged file was changed")
			}
		})
	}
}

func overwrite(path string, offset int64, n int) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	junk := make([]byte, n)
	for i := range junk {
		junk[i] = byte(i*7 + 3)
	}
	_, err = f.WriteAt(junk, offset)
	return errors.Join(err, f.Close())
}

func TestOpen_refusesANewerFormat(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := openStore(t, Options{Folder: folder})
	if _, err := s.write.ExecContext(t.Context(), `INSERT INTO format (number) VALUES (99)`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Options{Folder: folder})
	var f *FaultError
	if !errors.As(err, &f) || f.Code != CodeNewer {
		t.Fatalf("got %v", err)
	}
}

func TestLoad_returnsWhatIsAliveAndNumbersAreNotGivenAgain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := openStore(t, Options{Folder: folder})
	token := lease(t, s)
	commit(t, s, opening(token, 1, 1))
	commit(t, s, opening(token, 2, 2))
	r, err := s.Rollout(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	end := moving(token, r, rollout.Ended)
	end.Promotions = []rollout.Promotion{{Key: orders, Version: 1, Release: 1, Rollout: 1, At: start}}
	end.Refusals = []rollout.Refusal{{Key: orders, Version: 2, Ended: rollout.Failed, Why: "it exits"}}
	end.Commands = []rollout.Asked{
		{Rollout: 1, At: start, Command: rollout.Command{ID: 1, Verb: rollout.Abort}},
		{Rollout: 2, At: start, Command: rollout.Command{ID: 2, Verb: rollout.PauseVerb, By: "ana"}},
	}
	end.Pushes = []rollout.Push{{ID: 1, App: "cofe", Stage: rollout.PushBuilding, At: start}, {ID: 2, App: "cofe", Stage: rollout.PushFailed, At: start}}
	commit(t, s, end)
	commit(t, s, rollout.Change{Token: token, Removed: []rollout.Key{orders}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	c, err := openStore(t, Options{Folder: folder}).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Live) != 1 || c.Live[0].Plan.Rollout != 2 {
		t.Errorf("live: %+v", c.Live)
	}
	if len(c.Commands) != 1 || c.Commands[0].Command.By != "ana" {
		t.Errorf("commands: %+v", c.Commands)
	}
	if len(c.Pushes) != 1 || c.Pushes[0].ID != 1 {
		t.Errorf("pushes: %+v", c.Pushes)
	}
	if len(c.Workloads) != 0 || len(c.Promotions) != 1 || c.Releases["cofe"] != 2 || c.Rollout != 2 || c.Command != 2 || c.Push != 2 {
		t.Errorf("%+v", c)
	}
	var newest rollout.VersionRecord
	for _, v := range c.Versions {
		if v.Number > newest.Number {
			newest = v
		}
	}
	if newest.Number != 2 || newest.Refused != "it exits" || newest.Ended != rollout.Failed {
		t.Errorf("the newest version of a removed workload: %+v", c.Versions)
	}
}

func TestPrune_keepsWhatIsInProgressAndTheEvidence(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{Retention: Retention{Evidence: 1}})
	token := lease(t, s)
	outcomes := []rollout.Outcome{rollout.Promoted, rollout.RolledBack, rollout.RolledBack, ""}
	for i, outcome := range outcomes {
		id := int64(i + 1)
		commit(t, s, opening(token, id, rollout.Version(id)))
		r, err := s.Rollout(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		c := moving(token, r, rollout.Ended)
		if outcome == "" {
			c = moving(token, r, rollout.Shifting)
		}
		c.Looks[0].After.Outcome = outcome
		commit(t, s, c)
	}
	count := func(id int64) int {
		h, err := s.History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return len(h)
	}
	if err := s.Prune(t.Context(), start.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := []int{count(1), count(2), count(3), count(4)}; !cmp.Equal(got, []int{1, 1, 1, 1}) {
		t.Errorf("after a day: %v", got)
	}
	if err := s.Prune(t.Context(), start.Add(100*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := []int{count(1), count(2), count(3), count(4)}; !cmp.Equal(got, []int{0, 0, 1, 1}) {
		t.Errorf("after 100 days: %v", got)
	}
	if e, err := s.Events(t.Context(), 0, "", 10); err != nil || len(e) != 0 {
		t.Errorf("events after 100 days: %v, %v", e, err)
	}
	if err := s.Prune(t.Context(), start.Add(400*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	all, err := s.Rollouts(t.Context(), Filter{App: "cofe"})
	if err != nil || len(all) != 2 {
		t.Errorf("after 400 days: %d rollouts, %v", len(all), err)
	}
	commit(t, s, rollout.Change{Token: token, Events: []rollout.Event{{Kind: rollout.EventPush}}})
	if last, err := s.LastEvent(t.Context()); err != nil || last != 5 {
		t.Errorf("an event's number was given again: %d, %v", last, err)
	}
}

func TestPrune_goesOnBehindMuchEvidence(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	token := lease(t, s)
	end := func(id int64, workload string, as rollout.Outcome) {
		t.Helper()
		c := opening(token, id, rollout.Version(id))
		k := rollout.Key{App: orders.App, Env: orders.Env, Workload: workload}
		c.Opened[0].Plan.Members[0].Workload, c.Versions[0].Key, c.Workloads[0].Key = workload, k, k
		commit(t, s, c)
		r, err := s.Rollout(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		c = moving(token, r, rollout.Ended)
		c.Looks[0].After.Outcome = as
		commit(t, s, c)
	}
	const evidence = 120 // more than one step of the pruning takes
	for n := range int64(evidence) {
		end(n+1, fmt.Sprint("w", n/20), rollout.RolledBack)
	}
	end(evidence+1, "w0", rollout.Promoted)
	if err := s.Prune(t.Context(), start.Add(100*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[int64]int{1: 1, evidence: 1, evidence + 1: 0} {
		if h, err := s.History(t.Context(), id); err != nil || len(h) != want {
			t.Errorf("rollout %d: %d decisions, %v; want %d", id, len(h), err, want)
		}
	}
}

func TestPrune_keepsNoMoreRowsThanAsked(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{Retention: Retention{EventRows: 3, HistoryRows: 2, Evidence: 1}})
	token := lease(t, s)
	for id := int64(1); id <= 5; id++ {
		commit(t, s, opening(token, id, rollout.Version(id)))
		r, err := s.Rollout(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		c := moving(token, r, rollout.Ended)
		c.Looks[0].After.Outcome = rollout.Promoted
		commit(t, s, c)
	}
	if err := s.Prune(t.Context(), start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Events(t.Context(), 0, "", 10); err != nil || len(e) != 3 || e[0].ID != 3 {
		t.Errorf("events: %v, %v", e, err)
	}
	var rows int
	if err := s.read.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM history`).Scan(&rows); err != nil || rows > 2 {
		t.Errorf("%d rows of history, %v", rows, err)
	}
}

func TestRollouts_filters(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	token := lease(t, s)
	for id := int64(1); id <= 3; id++ {
		commit(t, s, opening(token, id, rollout.Version(id)))
	}
	for _, c := range []struct {
		f    Filter
		want int
	}{
		{Filter{}, 3},
		{Filter{App: "other"}, 0},
		{Filter{App: "cofe", Env: "production", Workload: "orders", Live: true}, 3},
		{Filter{Release: 2}, 1},
		{Filter{Before: 3}, 2},
		{Filter{Limit: 1}, 1},
	} {
		got, err := s.Rollouts(t.Context(), c.f)
		if err != nil || len(got) != c.want {
			t.Errorf("%+v: %d, %v; want %d", c.f, len(got), err, c.want)
		}
	}
}
