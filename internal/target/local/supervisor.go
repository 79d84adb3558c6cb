package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"titrate/internal/cgroup"
	"titrate/internal/httpevent/jwt"
	"titrate/internal/rollout"
	"titrate/internal/target/local/runtimes"
	"titrate/internal/world"
)

// ErrStopping is returned by Apply once Stop has been called.
var ErrStopping = errors.New("the supervisor is stopping all workloads")

// Supervisor makes the processes of this machine what the last applied world
// wants. All methods are safe for many goroutines.
type Supervisor struct {
	cfg    Config
	layout layout
	boot   string
	ports  ports
	probe  prober
	wg     sync.WaitGroup // what Run waits for

	calling  context.Context //nolint:containedctx // of functions, which may go on when Run has ended; set by Run
	endCalls func()          // ends calling; set by Run
	calls    sync.WaitGroup  // what ends with it

	sweep chan struct{} // containers may be left in the engine
	kick  chan struct{} // something changed that converge should look at
	hurry chan struct{} // closed: no more patience with what is to end
	halt  chan struct{} // closed by Stop: hooks end
	back  chan struct{} // closed once what an earlier supervisor left has been published

	brood    brood         // of the processes of functions; set by Run
	turns    chan struct{} // of starts that no call waits for
	starts   chan struct{} // of those that one does: the calls at work need processors, too
	finding  sync.Mutex
	runtimes map[string]runtimes.Runtime // that were found, by name; guarded by finding

	networks sync.Mutex // one at a time makes networks in the engine

	publishing sync.Mutex // one OnReady at a time, in the order of what it tells

	mu          sync.Mutex
	running     bool // what an earlier supervisor left has been taken back
	told        bool // a world has been applied
	stopping    bool
	wanted      world.Wanted
	fleets      map[fleetID]*fleet
	published   map[fleetID][]Endpoint // what OnReady has returned for
	dirty       []fleetRecord          // to be stored
	storing     []fleetRecord          // being stored
	hooks       map[string]*hook
	accessories map[rollout.Key]*held
	logs        map[rollout.Key]*logFile
	taken       map[int]bool // ports given to instances
	pasts       map[rollout.Key]*past
	authorizers map[string]*jwt.Authorizer
	changed     chan struct{} // closed, and replaced, when Seen has changed
	noSpace     bool          // the last record could not be stored
}

// New returns a supervisor over the state in cfg.Dir, a folder that is made if it
// is not there, and finds where control groups may be made. Nothing else happens before Run.
func New(cfg Config) (*Supervisor, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("configure the supervisor: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the supervisor's folder: %w", err)
	}
	boot, err := bootOf(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if cfg.Groups == nil {
		cfg.Groups = cgroup.Find(groupsOf(boot), cfg.Unit)
	}
	return &Supervisor{
		cfg: cfg, layout: layout{cfg.Dir}, boot: boot, ports: newPorts(), probe: prober{},
		kick: make(chan struct{}, 1), sweep: make(chan struct{}, 1), hurry: make(chan struct{}), halt: make(chan struct{}), back: make(chan struct{}),
		published: map[fleetID][]Endpoint{},
		fleets:    map[fleetID]*fleet{}, hooks: map[string]*hook{}, accessories: map[rollout.Key]*held{}, logs: map[rollout.Key]*logFile{},
		taken: map[int]bool{}, changed: make(chan struct{}),
		turns: make(chan struct{}, 2*runtime.NumCPU()), starts: make(chan struct{}, max(1, runtime.NumCPU()/2)), runtimes: map[string]runtimes.Runtime{}, pasts: map[rollout.Key]*past{}, authorizers: map[string]*jwt.Authorizer{},
	}, nil
}

// Run takes back what an earlier supervisor left running, then converges on the
// applied worlds until ctx ends. Workloads and hooks live on after it: it only
// lets them go. It is called once.
func (s *Supervisor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.closeLogs()
	defer s.storeFunctions()
	defer s.wg.Wait()
	s.calling, s.endCalls = context.WithCancel(context.WithoutCancel(ctx))
	defer s.leaveFunctions()
	defer cancel()
	if err := s.adoptAccessories(ctx, &spawned{}); err != nil {
		return err
	}
	if err := s.adoptInstances(ctx); err != nil {
		return err
	}
	if err := s.adoptFunctions(ctx); err != nil {
		return err
	}
	s.wg.Go(func() { s.endEarlier(ctx) })
	close(s.back)
	if err := s.adoptHooks(ctx); err != nil {
		return err
	}
	s.sweepGroups()
	s.mu.Lock()
	s.running = true
	if s.told {
		s.settle()
	}
	s.mu.Unlock()
	s.wg.Go(func() { s.sample(ctx) })
	s.wg.Go(func() { s.sweepContainers(ctx) })
	s.wg.Go(func() { s.prune(ctx) })
	s.wg.Go(func() { s.tendFunctions(ctx) })
	s.wg.Go(func() { s.watchFunctions(ctx) })
	for {
		s.converge(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-s.kick:
		}
	}
}

// TakenBack is closed once Run has taken back what an earlier supervisor left, and
// OnReady has been told of every instance of it that may be drawn.
func (s *Supervisor) TakenBack() <-chan struct{} { return s.back }

// Apply makes w the wanted world: whole, so that what it does not name is drained
// and stopped. It returns before that is so; Seen tells how far it is. A smaller
// stamp than the last one is refused with an error that wraps world.ErrStale; an
// equal one changes nothing. Nothing of w is stored: it is the caller's to apply
// the last one again after a restart, and what runs waits for that. The zero world,
// of a caller that has lost the last one, says nothing: what runs goes on.
func (s *Supervisor) Apply(w world.Wanted) error {
	if w.Stamp == (world.Stamp{}) {
		return nil
	}
	if err := check(w); err != nil {
		return fmt.Errorf("apply the wanted world: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping:
		return ErrStopping
	case s.told && w.Stamp == s.wanted.Stamp:
		return nil
	case s.told && w.Stamp.Less(s.wanted.Stamp):
		return fmt.Errorf("apply %d.%d after %d.%d: %w", w.Stamp.Token, w.Stamp.Revision, s.wanted.Stamp.Token, s.wanted.Stamp.Revision, world.ErrStale)
	}
	s.wanted, s.told = w, true
	if s.running {
		s.settle() // so that Seen never tells of the world before as of this one
	}
	s.nudge()
	return nil
}

// nudge makes Run converge once more.
func (s *Supervisor) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Stop ends every workload and hook, draining as their fleets ask, and returns
// when they are gone. When ctx ends first they are killed, and its error is
// returned. Run must be running, and stays so.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.mu.Lock()
	if !s.running {
		s.mu.Unlock()
		return errors.New("stop workloads: the supervisor does not run")
	}
	if !s.stopping {
		s.stopping, s.told = true, true
		s.wanted = world.Wanted{Stamp: s.wanted.Stamp}
		s.settle()
		close(s.halt)
	}
	s.nudge()
	s.mu.Unlock()
	done := ctx.Done()
	for {
		busy, changed := s.busy()
		if !busy {
			s.sweepLast(ctx)
			return ctx.Err()
		}
		select {
		case <-changed:
		case <-done:
			done = nil
			s.mu.Lock()
			if !closed(s.hurry) {
				close(s.hurry)
			}
			s.mu.Unlock()
		}
	}
}

func (s *Supervisor) busy() (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooks {
		if h.alive {
			return true, s.changed
		}
	}
	for _, f := range s.fleets {
		if len(f.instances)+len(f.functions()) > 0 {
			return true, s.changed
		}
	}
	for _, h := range s.accessories {
		if !h.ended {
			return true, s.changed
		}
	}
	return false, s.changed
}

// touch tells those who watch Seen. The caller holds mu.
func (s *Supervisor) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// publish tells the gateway which instances of a fleet may be drawn, if that has
// changed. When it returns, OnReady has returned for the set as it is now.
func (s *Supervisor) publish(id fleetID) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.mu.Lock()
	var ready []Endpoint
	if f := s.fleets[id]; f != nil {
		ready = f.ready()
	}
	same := slices.Equal(ready, s.published[id])
	s.mu.Unlock()
	if same {
		return
	}
	s.cfg.OnReady(id.key, id.version, ready)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.published[id] = ready; len(ready) == 0 {
		delete(s.published, id)
	}
	s.touch()
}

// drawable counts the instances of f that are ready and of which the gateway knows
// it: weight must not come before (R5). The caller holds mu.
func (s *Supervisor) drawable(f *fleet) (n int) {
	if f.fn != nil && len(s.published[f.id]) > 0 && s.published[f.id][0].Callee == f.fn {
		return f.shownReady()
	}
	for _, e := range f.ready() {
		if slices.Contains(s.published[f.id], e) {
			n++
		}
	}
	return n
}

// save stores a record. An error is logged and shown as a full disk; what it was
// about goes on.
func (s *Supervisor) save(path string, record any) error {
	err := store(path, record)
	full := noSpace(err)
	s.mu.Lock()
	if s.noSpace != full {
		s.noSpace = full
		s.touch()
	}
	s.mu.Unlock()
	if err != nil {
		s.cfg.Log.Error("store a record", slog.Any("error", err))
	}
	return err
}

// logFile returns where workload k's lines go.
func (s *Supervisor) logFile(k rollout.Key) *logFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[k]
	if l == nil {
		l = &logFile{dir: logDir(s.cfg.Logs, k), size: s.cfg.LogSize, keep: s.cfg.LogFiles, now: s.cfg.Now, log: s.cfg.Log}
		s.logs[k] = l
	}
	return l
}

func (s *Supervisor) closeLogs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.logs {
		l.close()
	}
}

// closed reports whether a channel that is only ever closed is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// wait returns true after d, false when ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
