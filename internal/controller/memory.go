package controller

import (
	"slices"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// memory is the part of the store that decisions need, kept up to date with each
// change that was stored. It does not lock.
type memory struct {
	releases    map[string]rollout.Release
	works       map[rollout.Key]*work
	sorted      []*work // works by key; nil: to be sorted again
	accessories map[rollout.Key]rollout.AccessoryRecord
	live        map[int64]*live
	order       []int64 // of live, ascending
	byKey       map[rollout.Key][]*live
	pushes      []rollout.Push
	news        news

	rollout, command, push int64 // the highest ids given

	watched time.Time // when the world was watched last
	stored  time.Time // of watched: what is stored
}

// work is a workload of an environment.
type work struct {
	rollout.WorkloadRecord
	named    bool // it has a record: false for what is left of a removed workload
	versions map[rollout.Version]*rollout.VersionRecord
	promoted []rollout.Promotion // oldest first
	wanted   *world.Workload     // as derived last; nil: something has changed since
	recent   analysis.Recent     // of the stable version
	traffic  traffic
	lately   lately // of a function
}

// live is a rollout that has not Ended.
type live struct {
	rollout.Record
	commands []rollout.Command // not yet carried out or refused, oldest first
	wish     rollout.Wish      // of the stored state
	members  []*member
	began    world.Stamp // of the first world wanted by this attempt
	asked    world.Stamp // of the first world with the present weight
	wished   world.Stamp // of the first world with the present versions and instances
	last     rollout.Seen
	lastAt   time.Time // of the look that last was seen at

	unwatched time.Time // since when nobody looked, before a look that is still to come; zero: there was no break
}

func newMemory(c rollout.Catalog) *memory {
	m := &memory{
		releases: c.Releases, works: map[rollout.Key]*work{}, live: map[int64]*live{}, byKey: map[rollout.Key][]*live{},
		pushes: c.Pushes, news: news{all: true}, rollout: c.Rollout, command: c.Command, push: c.Push,
	}
	if m.releases == nil {
		m.releases = map[string]rollout.Release{}
	}
	m.accessories = map[rollout.Key]rollout.AccessoryRecord{}
	for _, a := range c.Accessories {
		m.accessories[a.Key] = a
	}
	for _, w := range c.Workloads {
		m.work(w.Key).WorkloadRecord = w
		m.work(w.Key).named = true
	}
	for _, v := range c.Versions {
		m.remember(v)
	}
	for _, p := range c.Promotions {
		w := m.work(p.Key)
		w.promoted = append(w.promoted, p)
	}
	for _, r := range c.Live {
		m.open(r, world.Stamp{})
		m.live[r.Plan.Rollout].unwatched = c.Watched
	}
	m.compareWith(c.Baselines)
	for _, a := range c.Commands {
		if l := m.live[a.Rollout]; l != nil {
			l.commands = append(l.commands, a.Command)
		}
	}
	return m
}

// work returns the workload of a key, made if it is not there.
func (m *memory) work(k rollout.Key) *work {
	w := m.works[k]
	if w == nil {
		w = &work{WorkloadRecord: rollout.WorkloadRecord{Key: k}, versions: map[rollout.Version]*rollout.VersionRecord{}}
		m.works[k], m.sorted = w, nil
	}
	return w
}

// touch has a workload's wanted world derived again.
func (m *memory) touch(k rollout.Key) *work {
	w := m.work(k)
	w.wanted = nil
	return w
}

func (m *memory) remember(v rollout.VersionRecord) {
	w := m.work(v.Key)
	w.versions[v.Number] = &v
	w.Newest = max(w.Newest, v.Number)
}

// running returns the versions that may have instances: the stable ones and those
// of live rollouts.
func (m *memory) running() []rollout.VersionRecord {
	var all []rollout.VersionRecord
	add := func(w *work, n rollout.Version) {
		if v := w.versions[n]; v != nil {
			all = append(all, *v)
		}
	}
	for _, w := range m.works {
		add(w, w.Stable)
	}
	for _, l := range m.live {
		for _, f := range l.members {
			add(m.work(f.key), f.candidate)
			add(m.work(f.key), f.base)
		}
	}
	return all
}

func (m *memory) open(r rollout.Record, stamp world.Stamp) {
	l := &live{Record: r, wish: r.State.Wish(r.Plan), began: stamp, asked: stamp, wished: stamp}
	for i := range r.Plan.Members {
		k := r.Plan.Key(i)
		m.touch(k)
		m.byKey[k] = append(m.byKey[k], l)
		m.noteKey(k)
		l.members = append(l.members, newMember(r.Plan, r.State, i))
	}
	m.live[r.Plan.Rollout] = l
	m.order = append(m.order, r.Plan.Rollout)
}

func (m *memory) end(l *live) {
	id := l.Plan.Rollout
	delete(m.live, id)
	if i, found := slices.BinarySearch(m.order, id); found {
		m.order = slices.Delete(m.order, i, i+1)
	}
	for i := range l.Plan.Members {
		k := l.Plan.Key(i)
		m.noteKey(k)
		m.byKey[k] = slices.DeleteFunc(m.byKey[k], func(o *live) bool { return o == l })
		if len(m.byKey[k]) == 0 {
			delete(m.byKey, k)
		}
	}
}

// apply takes over a change that was stored, and reports whether the wanted world
// differs for it. Stamp is that of the next wanted world.
func (m *memory) apply(c rollout.Change, stamp world.Stamp) bool {
	m.applyPushes(c.Pushes)
	for _, r := range c.Releases {
		m.releases[r.App] = max(m.releases[r.App], r.Number)
	}
	for _, v := range c.Versions {
		m.remember(v)
	}
	if !c.Watched.IsZero() {
		m.stored = c.Watched
	}
	differs := len(c.Workloads)+len(c.Removed)+len(c.Promotions)+len(c.Accessories)+len(c.Dropped) > 0
	for _, a := range c.Accessories {
		m.accessories[a.Key] = a
	}
	for _, k := range c.Dropped {
		delete(m.accessories, k)
	}
	for _, w := range c.Workloads {
		known := m.touch(w.Key)
		known.WorkloadRecord, known.named = w, true
	}
	for _, k := range c.Removed {
		w := m.touch(k)
		w.named, w.WorkloadRecord = false, rollout.WorkloadRecord{Key: k, Newest: w.Newest}
	}
	for _, r := range c.Opened {
		m.rollout = max(m.rollout, r.Plan.Rollout)
		m.open(r, stamp)
	}
	for _, look := range c.Looks {
		if m.move(look, stamp) {
			differs = true
		}
	}
	m.compareWith(c.Baselines)
	for _, p := range c.Promotions {
		w := m.touch(p.Key)
		w.Stable, w.recent = p.Version, analysis.Recent{}
		if l := m.live[p.Rollout]; l != nil {
			// What waited for this promotion begins at once: its baseline is the bake.
			f := l.members[l.index(p.Key.Workload)]
			w.recent, f.recent = f.recent, w.recent
		}
		w.promoted = append(w.promoted, p)
		w.promoted = w.promoted[max(0, len(w.promoted)-rollout.KeptPromotions):]
	}
	for _, r := range c.Refusals {
		if v := m.work(r.Key).versions[r.Version]; v != nil {
			v.Refused, v.Ended = r.Why, r.Ended
		}
	}
	for _, a := range c.Commands {
		m.command = max(m.command, a.Command.ID)
		if l := m.live[a.Rollout]; l != nil {
			l.commands = append(l.commands, a.Command)
			m.news.note(a.Rollout)
		}
	}
	return differs
}

func (m *memory) applyPushes(pushes []rollout.Push) {
	for _, p := range pushes {
		m.push = max(m.push, p.ID)
		m.pushes = slices.DeleteFunc(m.pushes, func(o rollout.Push) bool { return o.ID == p.ID })
		if !p.Stage.Over() {
			m.pushes = append(m.pushes, p)
		}
	}
}

// move takes over one decision and reports whether the wanted world differs for
// it.
func (m *memory) move(look rollout.Look, stamp world.Stamp) bool {
	l := m.live[look.Rollout]
	if l == nil {
		return false
	}
	before := l.State
	l.State, l.Revision, l.unwatched = look.After, look.Sequence+1, time.Time{}
	// A new slice: the look that was stored holds the old one.
	l.commands = slices.DeleteFunc(slices.Clone(l.commands), func(c rollout.Command) bool { return c.ID <= l.State.Command })
	wish := l.State.Wish(l.Plan)
	differs := !sameWish(l.wish, wish)
	if !slices.Equal(l.wish.Members, wish.Members) {
		l.wished = stamp
	}
	l.wish = wish
	if l.State.Attempt != before.Attempt || before.Phase == rollout.Queued {
		l.began, differs = stamp, true
	}
	if l.State.Weight != before.Weight || !slices.Equal(l.State.Shares, before.Shares) {
		l.asked, differs = stamp, true
	}
	for i, f := range l.members {
		f.follow(l.State, i)
		m.touch(f.key)
		m.noteKey(f.key)
	}
	if l.State.Phase == rollout.Ended {
		m.end(l)
		return true
	}
	return differs
}

func sameWish(a, b rollout.Wish) bool {
	return slices.Equal(a.Members, b.Members) &&
		slices.EqualFunc(a.Hooks, b.Hooks, func(x, y rollout.HookRecord) bool { return x.Key == y.Key })
}

// active returns the rollout that moves a workload's traffic now, or nil.
func (m *memory) active(k rollout.Key) *live {
	for _, l := range m.byKey[k] {
		if !l.State.Over() && l.State.Phase != rollout.Queued {
			return l
		}
	}
	return nil
}

// unfinished returns the newest rollout of a workload that has no outcome yet, or
// nil.
func (m *memory) unfinished(k rollout.Key) *live {
	all := m.byKey[k]
	for i := len(all) - 1; i >= 0; i-- {
		if !all[i].State.Over() {
			return all[i]
		}
	}
	return nil
}

// index returns the place of a workload among a rollout's members.
func (l *live) index(workload string) int {
	return slices.IndexFunc(l.Plan.Members, func(m rollout.Member) bool { return m.Workload == workload })
}

// inherit takes over from an older memory what is measured and not stored, and
// which worlds were asked for. What the older one did not know of was not asked
// for yet: stamp is that of the next wanted world.
func (m *memory) inherit(old *memory, stamp world.Stamp) {
	m.watched = old.watched
	for k, w := range m.works {
		if o := old.works[k]; o != nil && o.Stable == w.Stable {
			w.recent, w.traffic, w.lately = o.recent, o.traffic, o.lately
		}
	}
	for id, l := range m.live {
		o := old.live[id]
		if o == nil {
			continue
		}
		for i, f := range o.members {
			f.baseline = l.members[i].baseline
		}
		l.members, l.began, l.asked, l.wished, l.unwatched = o.members, o.began, o.asked, o.wished, o.unwatched
		if !slices.Equal(l.wish.Members, o.wish.Members) {
			l.wished = stamp
		}
		if l.State.Attempt != o.State.Attempt || l.State.Phase != o.State.Phase && o.State.Phase == rollout.Queued {
			l.began = stamp
		}
		if l.State.Weight != o.State.Weight || !slices.Equal(l.State.Shares, o.State.Shares) {
			l.asked = stamp
		}
		for i, f := range l.members {
			f.follow(l.State, i)
		}
	}
}
