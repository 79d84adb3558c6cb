package harness

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/sim"
	"titrate/internal/world"
)

// app is an imagined repository: what its next push would be.
type app struct {
	services []*service
	together [2]int // the services from … up to … move together; equal: none do
	overlap  string
	strategy string
	bake     string
	alarms   string
	extra    string // other keys of defaults
	commits  int
	waves    int
}

type service struct {
	name     string
	scale    int
	worker   bool
	load     float64
	artifact int // the newest one's number
	built    int // artifacts so far
	level    int // of its configuration
	hooks    string
	strategy string // its own, or none
	volume   string // its volumes, or none
	function bool
}

// volumes are what a service may have; to those that are not shared one instance may
// write (R31).
var volumes = []string{"{ data: /data }", "{ data: /data, cache: { path: /cache, shared: true } }", "{ data: { path: /data, shared: true } }", "{ cache: /cache }"}

var strategies = []string{
	"AllAtOnce", "Linear20PercentEvery5Seconds", "Linear10PercentEvery10Seconds", "Linear33.33PercentEvery7Seconds",
	"Canary10Percent20Seconds", "Canary0.01Percent15Seconds", "CodeDeployDefault.LambdaLinear10PercentEvery1Minute", "CodeDeployDefault.ECSCanary10Percent5Minutes",
	"blueGreen", "{ blueGreen: { hold: 5s, approve: true, keep: 20s } }",
	"{ steps: [1% for 10s, 25% for 10s, 50% until approved, 100%] }",
	"{ steps: [{ weight: 5%, hold: 5s }, { weight: 40%, hook: ./check, hold: 3s }, { weight: 100% }] }",
}

var overlaps = []struct {
	name  string
	fault Fault
}{{"next", OverlapNext}, {"supersede", OverlapSupersede}, {"queue", OverlapQueue}, {"reject", OverlapReject}}

var alarms = []string{
	"{ errors: 5xx > 2% for 3s, latency: p99 > 2x stable for 3s }",
	"{ errors: 5xx > 1% for 5s }",
	"{ errors: 5xx > 1% for 3s then pause, latency: p50 > 100ms for 3s }",
	"{ errors: 5xx > 5% for 6s in 2 of 3, latency: p90 > 100ms for 4s then notify }",
	"", // the built-in ones
}

var extras = []string{"", "", "", "noData: pass", "onSourceError: rollback", "rollback: gradual"}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// newApp imagines an app of at least three services.
func (h *history) newApp() *app {
	r := h.rand
	a := &app{}
	for i := range 3 + r.IntN(3) {
		s := &service{name: fmt.Sprintf("s%d", i), scale: 1 + r.IntN(4), load: 400, artifact: 1}
		switch x := r.Float64(); {
		case x < 0.1:
			s.load = 0
			h.count(Idle)
		case x < 0.2:
			s.load = 3
			h.count(Scarce)
		case x < 0.3:
			s.load, s.worker = 0, true
			h.count(Worker)
		}
		a.services = append(a.services, s)
		h.build(s, r.Float64() < 0.9)
	}
	if r.Float64() < 0.4 {
		from := r.IntN(len(a.services) - 1)
		a.together = [2]int{from, from + 2 + r.IntN(len(a.services)-from-1)}
		h.count(Together)
	}
	h.addFunctions(a)
	h.plan(a)
	return a
}

// plan draws how the app's releases move from now on.
func (h *history) plan(a *app) {
	r := h.rand
	o := pick(r, overlaps)
	a.overlap, a.strategy, a.alarms, a.extra = o.name, pick(r, strategies), pick(r, alarms), pick(r, extras)
	h.count(o.fault)
	a.bake = pick(r, []string{"0s", "5s", "20s"})
	for i, s := range a.services {
		s.strategy, s.hooks, s.volume = "", "", ""
		if apart := i < a.together[0] || i >= a.together[1]; apart && h.volumes.Float64() < 0.35 {
			s.volume = pick(h.volumes, volumes)
			h.count(Volume)
		}
		if r.Float64() < 0.3 && (i < a.together[0] || i >= a.together[1]) {
			s.strategy = pick(r, strategies)
		}
		if r.Float64() < 0.4 {
			s.hooks = pick(r, []string{"{ release: ./hook }", "{ preTraffic: ./hook }", "{ postTraffic: ./hook, onRollback: ./hook }", "{ release: ./hook, preTraffic: ./hook, postTraffic: ./hook, onRollback: ./hook }"})
		}
	}
}

// manifest writes the app's titrate.yaml.
func (a *app) manifest() string {
	var b strings.Builder
	fmt.Fprintf(&b, "titrate: 1\napp: shop\ndefaults:\n  rollout: %s\n  bake: %s\n  drain: 3s\n  startTimeout: 20s\n  noDataTimeout: 40s\n  overlap: %s\n", a.strategy, a.bake, a.overlap)
	if a.alarms != "" {
		fmt.Fprintf(&b, "  alarms: %s\n", a.alarms)
	}
	if a.extra != "" {
		fmt.Fprintf(&b, "  %s\n", a.extra)
	}
	b.WriteString("services:\n")
	for _, s := range a.services {
		scale, alone := s.scale, strings.Contains(s.volume, ": /")
		if alone {
			scale = 1
		}
		fmt.Fprintf(&b, "  %s:\n    build: %s\n    scale: %d\n    env: { LEVEL: \"%d\" }\n", s.name, s.name, scale, s.level)
		if s.function {
			b.WriteString("    alarms: { errors: errors > 1% for 5s }\n")
		}
		if s.volume != "" {
			fmt.Fprintf(&b, "    volumes: %s\n", s.volume)
		}
		switch {
		case s.worker:
			b.WriteString("    worker: true\n    alarms: { memory: memory > 90% for 5s missing notBreaching }\n")
		default:
			fmt.Fprintf(&b, "    route: /%s\n", s.name)
		}
		if s.hooks != "" {
			fmt.Fprintf(&b, "    hooks: %s\n", s.hooks)
		}
		if s.strategy != "" && !alone {
			fmt.Fprintf(&b, "    rollout: %s\n", s.strategy)
		}
	}
	if a.together[0] < a.together[1] {
		var names []string
		for _, s := range a.services[a.together[0]:a.together[1]] {
			names = append(names, s.name)
		}
		fmt.Fprintf(&b, "together: [%s]\n", strings.Join(names, ", "))
	}
	return b.String()
}

func digest(s *service, artifact int) string { return fmt.Sprintf("%s-%d", s.name, artifact) }

// build makes the next artifact of a service, and draws its nature.
func (h *history) build(s *service, good bool) {
	s.built++
	s.artifact = s.built
	r := h.rand
	n := nature{Nature: sim.Nature{Start: time.Second + time.Duration(r.Int64N(int64(3*time.Second))), Latency: 20 * time.Millisecond, Errors: 0.0005}, fault: -1}
	if s.function {
		n.Errors = pick(h.rare, []float64{0, 0.0005, 0.002})
	}
	if !good {
		n.fault = pick(r, ills)
		if s.function && h.rare.IntN(3) == 0 {
			n.fault = pick(h.rare, []Fault{BadTimeouts, Throttled})
		}
		switch n.fault {
		case BadErrors:
			n.Errors = 0.05 + 0.9*r.Float64()
		case BadLatency:
			n.Latency = 200 * time.Millisecond
		case NeverReady:
			n.Never = true
		case ExitsAtStart:
			n.Exits = "exited 1: panic: no such table"
		case SlowStart:
			n.Start = 15 * time.Second
		case KeepsCrashing:
			n.Dies = 0.2
		case HookFailed:
			n.Hooks = sim.HookFails
		case HookTimedOut:
			n.Hooks = sim.HookTimesOut
		case HookLost:
			n.Hooks = sim.HookIsLost
		case BadTimeouts:
			n.Timeouts = 0.3 + 0.6*r.Float64()
		case Throttled:
			n.Throttled = 0.3 + 0.6*r.Float64()
		default:
		}
	}
	h.natures[digest(s, s.artifact)] = n
}

// nature is how an artifact behaves, and what that counts as; -1: as nothing.
type nature struct {
	sim.Nature
	fault Fault
}

// ills are what may be wrong with an artifact.
var ills = []Fault{BadErrors, BadErrors, BadErrors, BadErrors, BadLatency, NeverReady, ExitsAtStart, SlowStart, KeepsCrashing, HookFailed, HookTimedOut, HookLost}

// nature tells the world how a version behaves, when it starts and when one of
// its hooks does. It counts then: what is built and never runs proves nothing.
func (h *history) nature(_ rollout.Key, f world.Fleet) sim.Nature {
	n := h.natures[f.Artifact]
	if hook := f.Count == 0; n.fault >= 0 && hook == (n.Hooks != sim.HookPasses) {
		h.count(n.fault)
	}
	return n.Nature
}
