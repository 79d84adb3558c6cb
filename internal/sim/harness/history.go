package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"titrate/internal/controller"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/sim"
	"titrate/internal/world"
)

// epoch is when every history begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// history is one seeded run of real controllers in a simulated world. It is used
// by one goroutine.
type history struct {
	seed     uint64
	scenario string
	rand     *rand.Rand
	volumes  *rand.Rand // of its own: what a seed says of everything else stays
	rare     *rand.Rand // of functions: the same
	clock    *sim.Clock
	world    *sim.World
	store    *sim.Store
	natures  map[string]nature  // by artifact
	loads    map[string]float64 // by service
	app      *app
	trace    io.Writer // nil: nothing is told
	sabotage sabotage

	newest *controller.Controller // the one in charge; nil: it is down
	older  *controller.Controller // it has lost the lease and does not know
	acting *controller.Controller // whose call is under way
	back   time.Time              // when a controller is started again
	until  time.Time              // how long older goes on
	rates  rates
	only   *rates // the faults that are made, if not drawn
	armed  *crash
	struck bool // armed has struck

	mail   mail
	checks checks

	looks    int64
	pushes   int
	crashes  int
	counts   [faults]int64
	checked  [invariants]int64
	outcomes map[rollout.Outcome]int64
	promoted *promotions // of the steady scenario
	steadily *Steady
}

// sabotage is what tests put between a controller and the world, to see that the
// invariants find it.
type sabotage struct {
	bugs     sim.Bugs
	anyToken bool                              // the store takes any writer
	alter    func(*rollout.Change)             // what is stored
	next     func(rollout.State) rollout.State // what the core decided
	distort  func(*world.Seen)                 // what is observed
	table    func(*world.Wanted)               // what the router is asked for
	fleets   func(*world.Wanted)               // what the target is asked for
}

// stored is what the store makes of a change.
func (s sabotage) stored() func(*rollout.Change) {
	if s.next == nil {
		return s.alter
	}
	return func(c *rollout.Change) {
		if s.alter != nil {
			s.alter(c)
		}
		c.Looks = slices.Clone(c.Looks)
		for i := range c.Looks {
			c.Looks[i].After = s.next(c.Looks[i].After)
		}
	}
}

func newHistory(seed uint64, scenario string, trace io.Writer, s sabotage) *history {
	h := &history{
		seed: seed, scenario: scenario, trace: trace, sabotage: s,
		rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), volumes: rand.New(rand.NewPCG(seed, 0xa0761d6478bd642f)), rare: rand.New(rand.NewPCG(seed, 0xe7037ed1a0b428db)), clock: sim.NewClock(epoch), store: sim.NewStore(),
		natures: map[string]nature{}, loads: map[string]float64{}, outcomes: map[rollout.Outcome]int64{},
	}
	h.world = sim.NewWorld(h.clock, rand.New(rand.NewPCG(seed, 0xd1b54a32d192ed03)))
	h.world.Bugs = s.bugs
	h.world.Bugs.Fleets, h.world.Bugs.Table = s.fleets, s.table
	h.world.Nature = h.nature
	h.world.Load = func(k rollout.Key) float64 { return h.loads[k.Workload] }
	h.world.Fate = h.worldFate
	h.world.Ack = h.ack
	h.store.Fate = h.storeFate
	h.store.Watch = h.commit
	h.store.Alter, h.store.AnyToken = s.stored(), s.anyToken
	h.checks = newChecks()
	return h
}

// play plays a history with everything that can happen to it, and returns the
// violation that ended it, or nil.
func (h *history) play() (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *ViolationError:
			err = v
		default:
			panic(fmt.Sprintf("%v\n  replay  %s", v, replayCommand(h.scenario, h.seed)))
		}
	}()
	if h.scenario == SteadyPushes {
		h.steady(day, steadyEvery)
		return nil
	}
	h.rates = h.newRates()
	if h.only != nil {
		h.rates = *h.only
	}
	h.app = h.newApp()
	for _, s := range h.app.services {
		h.loads[s.name] = s.load
	}
	h.start()
	h.push(false)
	ticks := 240 + h.rand.IntN(480)
	for i := range ticks {
		h.disturb()
		h.tick(h.step())
		if i > ticks/2 && h.pushes < 2 {
			h.push(false)
		}
	}
	if h.crashes == 0 {
		h.stop(CrashIdle)
	}
	for h.pushes < 2 {
		h.tick(time.Second)
		h.push(false)
	}
	h.settle()
	return nil
}

// step is how long until the next look: mostly a second.
func (h *history) step() time.Duration {
	if h.rand.IntN(8) == 0 {
		return time.Duration(50+h.rand.IntN(2000)) * time.Millisecond
	}
	return time.Second
}

// tick lets time pass, shows the controllers what there is to be seen, and lets
// them look.
func (h *history) tick(d time.Duration) {
	h.world.Pass(d)
	if h.newest == nil && !h.clock.Now().Before(h.back) {
		h.start()
	}
	if c := h.newest; c != nil {
		h.show(c)
		h.look(c)
	}
	h.haunt()
	h.checkWorld()
}

// look lets a controller look, decide, store and act.
func (h *history) look(c *controller.Controller) {
	h.looks += int64(len(h.store.Live()))
	h.expect(h.call(c, func(ctx context.Context) error {
		_, err := c.Step(ctx, h.clock.Now())
		return err
	}))
}

// call calls a controller, and stops it where a crash was meant to be.
func (h *history) call(c *controller.Controller, f func(context.Context) error) error {
	h.acting = c
	err := f(context.Background())
	h.acting = nil
	if h.struck {
		h.struck = false
		h.stop(h.armed.fault)
		return errCrashed
	}
	return err
}

var errCrashed = errors.New("the controller crashed")

// expect takes the errors that were made, and refuses all others: a controller
// in charge is never fenced.
func (h *history) expect(err error) {
	var p *controller.Problem
	ok := err == nil || errors.Is(err, errCrashed) || errors.Is(err, sim.ErrFate) || errors.As(err, &p) ||
		errors.Is(err, rollout.ErrConflict) && h.counts[StoreUnanswered] > 0
	h.holds(noSurprise, ok, "%v", err)
}

// start starts a controller on what is stored.
func (h *history) start() {
	c := controller.New(controller.Config{
		Store: h.store, Target: h.world, Router: h.world, Meter: h.world, Now: h.clock.Now,
	})
	h.newest = c
	h.mail.forget()
	h.tracef("a controller starts, with lease %d", h.store.Token()+1)
	h.expect(h.call(c, c.Start))
}

// stop kills the controller in charge.
func (h *history) stop(f Fault) {
	h.count(f)
	h.crashes++
	h.newest, h.armed = nil, nil
	h.back = h.clock.Now().Add(time.Duration(h.rand.Int64N(int64(15 * time.Second))))
	h.tracef("%s", f)
}

// push delivers what the app is now.
func (h *history) push(urgent bool) {
	c := h.newest
	if c == nil {
		return
	}
	text := h.app.manifest()
	parsed, problems := manifest.Parse([]byte(text), "titrate.yaml")
	if err := problems.Err(); err != nil {
		panic(fmt.Sprintf("the imagined manifest is wrong: %v\n%s", err, text))
	}
	h.app.functions(parsed)
	h.app.commits++
	d := controller.Delivery{
		App: *parsed, Manifest: []byte(text), Commit: fmt.Sprintf("c%d", h.app.commits), Message: "a change", Author: "ana",
		Branch: "main", Default: true, Urgent: urgent, By: "ana", Artifact: map[string]rollout.Artifact{},
	}
	for _, s := range h.app.services {
		d.Artifact[s.name] = rollout.Artifact{Digest: digest(s, s.artifact), Command: []string{"./" + s.name}}
	}
	if len(h.store.Live()) > 0 {
		h.count(PushMidRollout)
	}
	h.pushes++
	h.tracef("push %s, overlap %s, urgent %t", d.Commit, h.app.overlap, urgent)
	h.expect(h.call(c, func(ctx context.Context) error {
		_, err := c.Deliver(ctx, d)
		return err
	}))
}

func (h *history) count(f Fault) { h.counts[f]++ }

func (h *history) chance(p float64) bool { return p > 0 && h.rand.Float64() < p }

// tracef tells what happens, for a person who plays the history again.
func (h *history) tracef(format string, args ...any) {
	if h.trace != nil {
		fmt.Fprintf(h.trace, "%12s  "+format+"\n", append([]any{h.clock.Now().Sub(epoch).Round(time.Millisecond)}, args...)...)
	}
}
