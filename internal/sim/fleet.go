package sim

import (
	"fmt"
	"slices"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// fleet is one version of a workload.
type fleet struct {
	version   rollout.Version
	wanted    int
	nature    Nature
	drain     time.Duration
	volumes   rollout.Volumes
	instances []*instance
	ready     int
	restarts  int
	failure   string
	rollout   int64 // with attempt: under which the failure happened
	attempt   int
	readyAt   []time.Time // by n: when n instances were ready last
	restarted uint64      // in the window that is open

	function bool
	invoked  uint64
	called   time.Time // last
}

type instance struct {
	id    string
	state world.InstanceState
	since time.Time
	until time.Time // of starting, backoff and draining
	tries int
	was   bool // ready, once
}

const (
	firstBackoff = time.Second
	mostBackoff  = 10 * time.Second
)

// live moves a fleet's instances on.
func (w *World) live(f *fleet, now time.Time, d time.Duration) {
	for _, in := range f.instances {
		switch in.state {
		case world.InstanceStarting:
			if !now.Before(in.until) {
				w.started(f, in)
			}
		case world.InstanceReady:
			if f.nature.Dies > 0 && w.Rand.Float64() < f.nature.Dies*d.Seconds() {
				w.die(f, in)
			}
		case world.InstanceBackoff:
			if !now.Before(in.until) {
				w.start(f, in)
			}
		case world.InstanceDraining:
			if !now.Before(in.until) {
				in.state = world.InstanceGone
				w.changed = true
			}
		case world.InstanceUnready, world.InstanceGone:
		}
	}
	f.instances = slices.DeleteFunc(f.instances, func(in *instance) bool { return in.state == world.InstanceGone })
	f.count(now)
}

func (f *fleet) count(now time.Time) {
	f.ready = 0
	for _, in := range f.instances {
		if in.state == world.InstanceReady {
			f.ready++
		}
	}
	for len(f.readyAt) <= f.ready {
		f.readyAt = append(f.readyAt, time.Time{})
	}
	for n := range f.ready + 1 {
		f.readyAt[n] = now
	}
}

func (w *World) set(in *instance, s world.InstanceState, lasts time.Duration) {
	now := w.Clock.Now()
	in.state, in.since, in.until = s, now, now.Add(lasts)
	w.changed = true
}

func (w *World) start(f *fleet, in *instance) {
	d := f.nature.Start
	if d > 0 {
		d = d/2 + time.Duration(w.Rand.Int64N(int64(d)*3/2))
	}
	w.set(in, world.InstanceStarting, d)
}

func (w *World) started(f *fleet, in *instance) {
	switch {
	case f.nature.Never:
		in.until = w.Clock.Now().Add(time.Hour)
	case f.nature.Exits != "":
		if !in.was && f.failure == "" {
			f.failure = f.nature.Exits
		}
		w.die(f, in)
	default:
		in.was, in.tries = true, 0
		w.set(in, world.InstanceReady, 0)
	}
}

// die has an instance exit by itself: it is started again, and that is counted.
func (w *World) die(f *fleet, in *instance) {
	f.restarts++
	f.restarted++
	w.set(in, world.InstanceBackoff, min(firstBackoff<<min(in.tries, 8), mostBackoff))
	in.tries++
}

// Kill has a ready instance of a version die, and reports whether there was one.
func (w *World) Kill(k rollout.Key, v rollout.Version) bool {
	f := w.fleet(k, v)
	if f == nil {
		return false
	}
	for _, in := range f.instances {
		if in.state == world.InstanceReady {
			w.die(f, in)
			f.count(w.Clock.Now())
			return true
		}
	}
	return false
}

// Ensure takes a whole world: what it does not name is drained and stopped.
func (w *World) ensure(wanted world.Wanted) {
	if w.Bugs.Fleets != nil {
		wanted.Workloads = slices.Clone(wanted.Workloads)
		w.Bugs.Fleets(&wanted)
	}
	for _, o := range w.works {
		o.namedByTheTarget = false
	}
	for i := range wanted.Workloads {
		wl := &wanted.Workloads[i]
		o := w.work(wl.Key)
		o.namedByTheTarget = true
		for _, f := range o.fleets {
			again := f.failure != "" && wl.Rollout != 0 && (wl.Rollout != f.rollout || wl.Attempt != f.attempt)
			if again {
				f.failure = ""
			}
			f.rollout, f.attempt = wl.Rollout, wl.Attempt
			if !slices.ContainsFunc(wl.Fleets, func(a world.Fleet) bool { return a.Version == f.version }) {
				w.scale(o, f, 0)
			}
		}
		o.rollout, o.attempt, o.worker = wl.Rollout, wl.Attempt, wl.Worker
		for _, asked := range wl.Fleets {
			f := o.fleet(asked.Version)
			if f == nil {
				f = &fleet{version: asked.Version, rollout: wl.Rollout, attempt: wl.Attempt}
				if w.Nature != nil {
					f.nature = w.Nature(wl.Key, asked)
				}
				o.fleets = append(o.fleets, f)
			}
			f.drain, f.volumes, f.function = asked.Drain, asked.Volumes, asked.Function != nil
			w.scale(o, f, asked.Count)
		}
	}
	for _, o := range w.works {
		if !o.namedByTheTarget {
			for _, f := range o.fleets {
				w.scale(o, f, 0)
			}
		}
	}
	w.runHooks(wanted.Hooks)
	w.targetStamp, w.changed = wanted.Stamp, true
}

// scale starts or drains instances until n are meant to run.
func (w *World) scale(o *work, f *fleet, n int) {
	if f.wanted == 0 && n > 0 {
		f.failure = ""
	}
	f.wanted = n
	running := 0
	for _, in := range f.instances {
		if in.state != world.InstanceDraining {
			running++
		}
	}
	for ; running < n; running++ {
		o.nextInstance++
		in := &instance{id: fmt.Sprintf("%s-%d-%d", o.key.Workload, f.version, o.nextInstance)}
		f.instances = append(f.instances, in)
		w.start(f, in)
	}
	for i := len(f.instances) - 1; i >= 0 && running > n; i-- {
		in := f.instances[i]
		if in.state == world.InstanceDraining {
			continue
		}
		running--
		lasts := time.Duration(0)
		if f.drain > 0 && in.state == world.InstanceReady {
			lasts = time.Duration(w.Rand.Int64N(int64(f.drain)))
		}
		w.set(in, world.InstanceDraining, lasts)
	}
	f.count(w.Clock.Now())
}

func (o *work) fleet(v rollout.Version) *fleet {
	for _, f := range o.fleets {
		if f.version == v {
			return f
		}
	}
	return nil
}

func (w *World) fleet(k rollout.Key, v rollout.Version) *fleet {
	o := w.byKey[k]
	if o == nil {
		return nil
	}
	return o.fleet(v)
}
