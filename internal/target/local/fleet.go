package local

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// fleetID names a version of a workload.
type fleetID struct {
	key     rollout.Key
	version rollout.Version
}

func (id fleetID) attrs() []any {
	return []any{
		slog.String("app", id.key.App), slog.String("env", id.key.Env),
		slog.String("workload", id.key.Workload), slog.String("version", id.version.String()),
	}
}

// fleet is a version and its instances. Guarded by Supervisor.mu.
type fleet struct {
	id        fleetID
	spec      world.Fleet // as last wanted
	told      bool        // spec is of an applied world; else it is a record's, without values
	rec       fleetRecord
	instances []*instance // by index
	redact    *redactor   // of what they write; safe for many

	fn          *function   // that takes its calls; nil: it is a service, or is to end
	leaving     []*function // that take no more, and have not ended
	account     *account    // of its calls; nil: it is a service
	concurrency int         // that was seen last
}

// ready lists the instances that may be drawn, by index.
func (f *fleet) ready() []Endpoint {
	if f.fn != nil && f.rec.Shown > 0 {
		return []Endpoint{{Instance: f.fn.id, Callee: f.fn}}
	}
	var out []Endpoint
	for _, in := range f.instances {
		if in.rec.State == world.InstanceReady {
			out = append(out, Endpoint{Instance: in.rec.ID, Addr: in.rec.Addr})
		}
	}
	return out
}

// kept lists the instances that have not been asked to end, by index.
func (f *fleet) kept() []*instance {
	var out []*instance
	for _, in := range f.instances {
		if !closed(in.stop) {
			out = append(out, in)
		}
	}
	return out
}

// freeIndex is the smallest that no instance has.
func (f *fleet) freeIndex() int {
	i := 0
	for slices.ContainsFunc(f.instances, func(in *instance) bool { return in.rec.Index == i }) {
		i++
	}
	return i
}

func (f *fleet) insert(in *instance) {
	f.instances = append(f.instances, in)
	slices.SortFunc(f.instances, func(a, b *instance) int { return a.rec.Index - b.rec.Index })
}

// fleet returns the fleet of id, with what is on the disk of it. The caller holds mu.
func (s *Supervisor) fleet(id fleetID) *fleet {
	f := s.fleets[id]
	if f != nil {
		return f
	}
	f = &fleet{id: id, redact: newRedactor(s.secretsOf(id))}
	if _, err := load(s.layout.fleet(id), &f.rec); err != nil {
		// The counts are lost; what runs does not depend on them.
		s.cfg.Log.Error("read the record of a fleet", append(id.attrs(), slog.Any("error", err))...)
		f.rec = fleetRecord{}
	}
	for _, rec := range slices.Concat(s.storing, s.dirty) { // it has just been forgotten
		if rec.Key == id.key && rec.Version == id.version {
			f.rec = rec
		}
	}
	f.rec.Key, f.rec.Version = id.key, id.version
	s.fleets[id] = f
	return f
}

// secretsOf returns the values of a version's secrets, if the wanted world is known
// and names it. The caller holds mu.
func (s *Supervisor) secretsOf(id fleetID) map[string]string {
	for _, w := range s.wanted.Workloads {
		for _, spec := range w.Fleets {
			if w.Key == id.key && spec.Version == id.version {
				return spec.Secrets
			}
		}
	}
	for _, h := range s.wanted.Hooks {
		if h.Workload == id.key && h.Fleet.Version == id.version {
			return h.Fleet.Secrets
		}
	}
	return nil
}

// settle makes what is known of fleets and hooks agree with the wanted world:
// who is to live, who is to end. It starts nothing. The caller holds mu.
func (s *Supervisor) settle() {
	want := map[fleetID]bool{}
	for _, w := range s.wanted.Workloads {
		for _, spec := range w.Fleets {
			f := s.fleet(fleetID{w.Key, spec.Version})
			want[f.id] = true
			if f.want(w, spec) {
				s.dirty = append(s.dirty, f.rec)
			}
			if spec.Function != nil {
				s.wantFunction(f, w)
				continue
			}
			s.retire(f)
			s.scale(f, spec.Count)
		}
	}
	for id, f := range s.fleets {
		if want[id] {
			continue
		}
		f.rec.Failure = ""
		s.scale(f, 0)
		s.retire(f)
		if len(f.instances) == 0 && len(f.leaving) == 0 {
			delete(s.fleets, id)
			f.countInvoked(s.cfg.Now())
			f.rec.Unwanted = s.cfg.Now()
			s.dirty = append(s.dirty, f.rec)
		}
	}
	s.settleAccessories()
	for _, h := range s.wanted.Hooks {
		s.wantHook(h)
	}
	s.touch()
}

// converge begins the lives that the wanted world asks for and that have not
// begun, and stores what changed of fleets.
func (s *Supervisor) converge(ctx context.Context) {
	s.mu.Lock()
	if s.told {
		s.settle()
	}
	for _, f := range s.fleets {
		for _, in := range f.instances {
			if !in.begun {
				in.begun = true
				s.wg.Go(func() { in.live(ctx) })
			}
		}
	}
	s.beginFunctions()
	s.beginAccessories(ctx)
	for _, h := range s.hooks {
		if h.alive && !h.begun {
			h.begun = true
			s.wg.Go(func() { h.run(ctx) })
		}
	}
	s.closeIdleLogs()
	s.mu.Unlock()
	s.storeDirty()
}

// storeDirty stores what changed of fleets. One calls it at a time.
func (s *Supervisor) storeDirty() {
	s.mu.Lock()
	dirty := s.dirty
	s.storing, s.dirty = dirty, nil
	s.mu.Unlock()
	for _, rec := range dirty {
		_ = s.save(s.layout.fleet(fleetID{rec.Key, rec.Version}), rec) // told of by save
	}
	s.mu.Lock()
	s.storing = nil
	s.mu.Unlock()
}

// want takes what is wanted of the fleet now. It reports whether its record changed.
func (f *fleet) want(w world.Workload, spec world.Fleet) bool {
	before := f.rec
	news := !f.told
	f.spec, f.told = spec, true
	if news {
		f.redact.add(spec.Secrets)
	}
	f.rec.Unwanted = time.Time{}
	again := f.rec.Failure != "" && w.Rollout != 0 && (w.Rollout != f.rec.Rollout || w.Attempt != f.rec.Attempt)
	if again || spec.Count == 0 {
		f.rec.Failure = ""
	}
	if w.Rollout != 0 {
		f.rec.Rollout, f.rec.Attempt = w.Rollout, w.Attempt
	}
	if news || again {
		for _, in := range f.instances {
			in.hasten()
		}
	}
	return f.rec != before
}

// scale adds instances, or asks the last ones to end, until count are kept. The
// caller holds mu.
func (s *Supervisor) scale(f *fleet, count int) {
	kept := f.kept()
	for ; len(kept) > count; kept = kept[:len(kept)-1] {
		close(kept[len(kept)-1].stop)
	}
	for range count - len(kept) {
		f.insert(newInstance(s, f, f.freeIndex()))
	}
}

// fail notes that an instance could not be started or ended before it was ready
// for the first time. The first failure stays: it is the cause of what follows.
func (s *Supervisor) fail(f *fleet, text string) {
	s.mu.Lock()
	rec, first := f.rec, f.rec.Failure == ""
	if first {
		f.rec.Failure = text
		rec = f.rec
		s.touch()
	}
	s.mu.Unlock()
	if first {
		_ = s.save(s.layout.fleet(f.id), rec) // told of by save
	}
}

// closeIdleLogs lets go of the logs of workloads that have nothing running. The
// caller holds mu.
func (s *Supervisor) closeIdleLogs() {
	for k, l := range s.logs {
		busy := func(f *fleet) bool { return f.id.key == k }
		hookBusy := func(h *hook) bool { return h.rec.Workload == k && h.alive }
		if s.accessories[k] == nil && !slices.ContainsFunc(slices.Collect(maps.Values(s.fleets)), busy) &&
			!slices.ContainsFunc(slices.Collect(maps.Values(s.hooks)), hookBusy) {
			l.close()
		}
	}
}

func failureText(what string, lines []string) string {
	if len(lines) == 0 {
		return what + "; it wrote nothing"
	}
	text := what + "; its last lines:"
	for _, l := range lines {
		text += fmt.Sprintf("\n  %s", l)
	}
	return text
}
