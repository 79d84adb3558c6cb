package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"titrate/internal/rollout"
)

// Store is the controller's store in memory. It keeps every promise of the real
// one, and fails as it is told to. It is used by one goroutine.
type Store struct {
	// Fate decides what becomes of a change; nil: all is stored.
	Fate func(rollout.Change) Fate
	// Watch is told of each change right before it is applied; nil: nobody is.
	Watch func(rollout.Change)
	// Alter may change what is stored behind everybody's back: a bug, on purpose.
	Alter func(*rollout.Change)
	// AnyToken takes changes under any lease: another bug.
	AnyToken bool

	token       uint64
	releases    map[string]map[rollout.Release]rollout.ReleaseRecord
	newest      map[string]rollout.Release
	versions    map[rollout.Key][]*rollout.VersionRecord // by number
	workloads   map[rollout.Key]*rollout.WorkloadRecord
	accessories map[rollout.Key]rollout.AccessoryRecord
	keys        []rollout.Key // of workloads, in the order in which they came
	promotions  map[rollout.Key][]rollout.Promotion
	rollouts    map[int64]*rollout.Record
	live        []int64 // that have not ended, oldest first
	history     map[int64][]rollout.Look
	baselines   []rollout.BaselineRecord
	commands    []rollout.Asked
	pushes      []rollout.Push
	last        struct{ rollout, command, push int64 }
	watched     time.Time
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		releases: map[string]map[rollout.Release]rollout.ReleaseRecord{}, newest: map[string]rollout.Release{},
		versions: map[rollout.Key][]*rollout.VersionRecord{}, workloads: map[rollout.Key]*rollout.WorkloadRecord{}, accessories: map[rollout.Key]rollout.AccessoryRecord{},
		promotions: map[rollout.Key][]rollout.Promotion{}, rollouts: map[int64]*rollout.Record{}, history: map[int64][]rollout.Look{},
	}
}

// Token returns the newest lease.
func (s *Store) Token() uint64 { return s.token }

// Lease makes the caller the one writer.
func (s *Store) Lease(context.Context) (uint64, error) {
	s.token++
	return s.token, nil
}

// Commit stores c, all or nothing.
func (s *Store) Commit(_ context.Context, c rollout.Change) error {
	fate := Done
	if s.Fate != nil {
		fate = s.Fate(c)
	}
	if fate == Refused {
		return fmt.Errorf("the store: %w", ErrFate)
	}
	if s.Alter != nil {
		s.Alter(&c)
	}
	if c.Token != s.token && !s.AnyToken {
		return fmt.Errorf("%w: this writer has %d, the newest is %d", rollout.ErrFenced, c.Token, s.token)
	}
	for _, look := range c.Looks {
		if r := s.rollouts[look.Rollout]; r == nil || r.Revision != look.Sequence {
			return fmt.Errorf("rollout %d at revision %d: %w", look.Rollout, look.Sequence, rollout.ErrConflict)
		}
	}
	if err := s.taken(c); err != nil {
		return err
	}
	if s.Watch != nil {
		s.Watch(c)
	}
	s.apply(c)
	if fate == Unanswered {
		return fmt.Errorf("the store's answer: %w", ErrFate)
	}
	return nil
}

// taken refuses numbers that were given before, as a unique index does.
func (s *Store) taken(c rollout.Change) error {
	for _, r := range c.Opened {
		if s.rollouts[r.Plan.Rollout] != nil {
			return fmt.Errorf("there is a rollout %d already", r.Plan.Rollout)
		}
	}
	for _, r := range c.Releases {
		if _, there := s.releases[r.App][r.Number]; there {
			return fmt.Errorf("there is a release %s already", r.Number)
		}
	}
	for _, v := range c.Versions {
		if s.version(v.Key, v.Number) != nil {
			return fmt.Errorf("there is a %s of %s already", v.Number, v.Key)
		}
	}
	return nil
}

func (s *Store) apply(c rollout.Change) {
	s.applyCatalog(c)
	if c.Watched.After(s.watched) {
		s.watched = c.Watched
	}
	for _, r := range c.Opened {
		s.rollouts[r.Plan.Rollout] = &r
		s.live = append(s.live, r.Plan.Rollout)
		s.last.rollout = max(s.last.rollout, r.Plan.Rollout)
	}
	for _, look := range c.Looks {
		r := s.rollouts[look.Rollout]
		r.State, r.Revision = look.After, look.Sequence+1
		s.history[look.Rollout] = append(s.history[look.Rollout], look)
		if look.After.Phase == rollout.Ended {
			s.live = slices.DeleteFunc(s.live, func(id int64) bool { return id == look.Rollout })
		}
	}
	s.baselines = append(s.baselines, c.Baselines...)
	for _, p := range c.Promotions {
		if w := s.workloads[p.Key]; w != nil {
			w.Stable = p.Version
		}
		s.promotions[p.Key] = append(s.promotions[p.Key], p)
	}
	for _, r := range c.Refusals {
		if v := s.version(r.Key, r.Version); v != nil {
			v.Refused, v.Ended = r.Why, r.Ended
		}
	}
	for _, a := range c.Commands {
		s.commands = append(s.commands, a)
		s.last.command = max(s.last.command, a.Command.ID)
	}
}

func (s *Store) applyCatalog(c rollout.Change) {
	for _, p := range c.Pushes {
		s.pushes = slices.DeleteFunc(s.pushes, func(o rollout.Push) bool { return o.ID == p.ID })
		s.pushes = append(s.pushes, p)
		s.last.push = max(s.last.push, p.ID)
	}
	for _, r := range c.Releases {
		if s.releases[r.App] == nil {
			s.releases[r.App] = map[rollout.Release]rollout.ReleaseRecord{}
		}
		s.releases[r.App][r.Number] = r
		s.newest[r.App] = max(s.newest[r.App], r.Number)
	}
	for _, v := range c.Versions {
		s.versions[v.Key] = append(s.versions[v.Key], &v)
	}
	for _, w := range c.Workloads {
		if s.workloads[w.Key] == nil {
			s.keys = append(s.keys, w.Key)
		}
		s.workloads[w.Key] = &w
	}
	for _, a := range c.Accessories {
		s.accessories[a.Key] = a
	}
	for _, k := range c.Dropped {
		delete(s.accessories, k)
	}
	for _, k := range c.Removed {
		delete(s.workloads, k)
		s.keys = slices.DeleteFunc(s.keys, func(o rollout.Key) bool { return o == k })
	}
}

func (s *Store) version(k rollout.Key, n rollout.Version) *rollout.VersionRecord {
	for _, v := range s.versions[k] {
		if v.Number == n {
			return v
		}
	}
	return nil
}

// Load returns all that is alive, as a store on a disk would: nothing of it is
// shared with what was committed.
func (s *Store) Load(context.Context) (rollout.Catalog, error) {
	c := rollout.Catalog{Releases: s.newest, Rollout: s.last.rollout, Command: s.last.command, Push: s.last.push, Watched: s.watched}
	kept := map[*rollout.VersionRecord]bool{}
	keep := func(k rollout.Key, n rollout.Version) {
		if v := s.version(k, n); v != nil {
			kept[v] = true
		}
	}
	for _, k := range s.keys {
		w := s.workloads[k]
		c.Workloads = append(c.Workloads, *w)
		keep(k, w.Stable)
		keep(k, w.Newest)
		promotions := s.promotions[k]
		promotions = promotions[max(0, len(promotions)-rollout.KeptPromotions):]
		c.Promotions = append(c.Promotions, promotions...)
		for _, p := range promotions {
			keep(k, p.Version)
			keep(k, p.From)
		}
	}
	for _, a := range s.accessories {
		c.Accessories = append(c.Accessories, a)
	}
	for _, id := range s.live {
		r := s.rollouts[id]
		c.Live = append(c.Live, *r)
		for i, m := range r.Plan.Members {
			keep(r.Plan.Key(i), m.Candidate)
			if i < len(r.State.Stable) {
				keep(r.Plan.Key(i), r.State.Stable[i])
			}
		}
	}
	for _, k := range s.keys {
		for _, v := range s.versions[k] {
			if kept[v] || v.Refused != "" {
				c.Versions = append(c.Versions, *v)
			}
		}
	}
	for _, b := range s.baselines {
		if s.rollouts[b.Rollout].State.Phase != rollout.Ended {
			c.Baselines = append(c.Baselines, b)
		}
	}
	for _, a := range s.commands {
		if r := s.rollouts[a.Rollout]; r.State.Phase != rollout.Ended && a.Command.ID > r.State.Command {
			c.Commands = append(c.Commands, a)
		}
	}
	for _, p := range s.pushes {
		if !p.Stage.Over() {
			c.Pushes = append(c.Pushes, p)
		}
	}
	return copied(c)
}

func copied(c rollout.Catalog) (out rollout.Catalog, err error) {
	data, err := json.Marshal(c)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(data, &out)
}

// Rollout returns one rollout, or wraps rollout.ErrUnknown.
func (s *Store) Rollout(_ context.Context, id int64) (rollout.Record, error) {
	if r := s.rollouts[id]; r != nil {
		return *r, nil
	}
	return rollout.Record{}, fmt.Errorf("rollout %d: %w", id, rollout.ErrUnknown)
}

// History returns a rollout's decisions, oldest first.
func (s *Store) History(_ context.Context, id int64) ([]rollout.Look, error) {
	return slices.Clone(s.history[id]), nil
}

// Release returns one release, or wraps rollout.ErrUnknown.
func (s *Store) Release(_ context.Context, app string, n rollout.Release) (rollout.ReleaseRecord, error) {
	if r, ok := s.releases[app][n]; ok {
		return r, nil
	}
	return rollout.ReleaseRecord{}, fmt.Errorf("release %s of %s: %w", n, app, rollout.ErrUnknown)
}

// Live returns the ids of the rollouts that have not ended, oldest first. It is
// valid until the next commit.
func (s *Store) Live() []int64 { return s.live }

// Record returns a rollout as it is stored, or nil. It is not to be changed.
func (s *Store) Record(id int64) *rollout.Record { return s.rollouts[id] }

// Last returns the highest rollout id given.
func (s *Store) Last() int64 { return s.last.rollout }

// Stable returns the stable version of a workload.
func (s *Store) Stable(k rollout.Key) rollout.Version {
	if w := s.workloads[k]; w != nil {
		return w.Stable
	}
	return 0
}

// Keys returns the workloads, in the order in which they came.
func (s *Store) Keys() []rollout.Key { return s.keys }
