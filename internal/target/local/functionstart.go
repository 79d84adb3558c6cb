package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"titrate/internal/cgroup"
	"titrate/internal/target/local/runtimeapi"
	"titrate/internal/world"
)

// initLimit is how long a process may take to ask for work, once its version has been
// shown to start ("Understanding the Lambda execution environment lifecycle").
const initLimit = 10 * time.Second

// environment is one execution environment: a process of a function, and the Runtime API
// that it asks for work. It is lent to one invocation at a time.
//
// It leaves no record on the disk, which a cold start would wait for: a supervisor ends
// what is left of the one before by what all such processes were told.
type environment struct {
	fn    *function
	id    string
	index int
	token string
	dir   string
	spec  world.Fleet
	group cgroup.Group

	api        *runtimeapi.Environment
	server     *runtimeapi.Server
	proc       *process // nil until it has been started
	extensions int      // that were started beside it
	out        *outputs
	over       atomic.Bool   // its process was killed by us, for its memory
	atWork     atomic.Bool   // starting, or lent
	told       chan struct{} // closed when the Runtime API knows how the process ended
	before     atomic.Int64  // lines that it wrote before its call; 0 of the first: its start is part of that
	served     atomic.Bool   // it has had a call

	lines callLines // of the call at work

	// Guarded by Supervisor.mu.
	state world.InstanceState
	since time.Time
	pid   int
	start uint64
}

// startError is why an environment did not come to ask for work.
type startError struct {
	failure *runtimeapi.InvocationError // what a caller is shown
	text    string                      // what people are: with the last lines
}

func (e *startError) Error() string { return e.text }

// start is the pool's way to an instance. It waits until the version's values are known.
func (fn *function) start(ctx context.Context) (*environment, error) {
	select {
	case <-fn.told:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	e := fn.newEnvironment()
	if err := e.launch(ctx); err != nil {
		e.end(0)
		var failure *runtimeapi.InvocationError
		if errors.As(err, &failure) { // an extension's
			return nil, fn.notStarted(ctx, e.didNotStart(failure))
		}
		failure = runtimeapi.NotStarted("Runtime.InvalidEntrypoint", err.Error())
		return nil, fn.notStarted(ctx, &startError{failure, e.id + " could not be started: " + err.Error()})
	}
	if err := e.awaitReady(ctx); err != nil {
		e.end(0)
		return nil, fn.notStarted(ctx, err)
	}
	e.change(world.InstanceReady)
	e.atWork.Store(false)
	fn.nudge()
	return e, nil
}

// notStarted has run look at a failed start.
func (fn *function) notStarted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fn.s.mu.Lock()
	fn.failure = err
	fn.s.mu.Unlock()
	fn.nudge()
	return err
}

// newEnvironment takes a name for one.
func (fn *function) newEnvironment() *environment {
	s, w := fn.s, fn.wish.Load()
	e := &environment{fn: fn, token: s.brood.Name + rand.Text(), spec: w.spec, told: make(chan struct{}), state: world.InstanceStarting, since: s.cfg.Now()}
	e.atWork.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	others := fn.f.environments()
	for slices.ContainsFunc(others, func(o *environment) bool { return o.index == e.index }) {
		e.index++
	}
	e.id = instanceID(fn.f.id.key, fn.f.id.version, e.index)
	k := fn.f.id.key
	e.dir = filepath.Join(s.layout.functions(), s.brood.Name, k.App, k.Env, e.id)
	fn.envs = append(fn.envs, e)
	s.touch()
	return e
}

// launch starts the process behind the walls and with the limits of every workload.
func (e *environment) launch(ctx context.Context) error {
	s, fn := e.fn.s, e.fn
	k, w := fn.f.id.key, fn.wish.Load()
	patience, served := e.limit(lateAnyway)
	if why := s.awaitConnections(ctx, fn.retired, k, e.spec.Accessories, patience, func(string) {}); why != "" && !served {
		return errors.New("was not started in " + patience.String() + ": " + why)
	}
	run, err := s.runtime(ctx, e.spec)
	if err != nil {
		return err
	}
	if e.group, err = s.makeGroup(k.App+"."+k.Env+"."+e.id+"."+s.brood.Name, e.spec); err != nil {
		return err
	}
	if err := mkfifos(e.dir); err != nil {
		return err
	}
	file := s.logFile(k)
	if e.out, err = openOutputs(e.dir, fn.f.redact, func(stream string, lines [][]byte) {
		e.lines.open()
		file.write(e.id, stream, lines)
	}); err != nil {
		return err
	}
	urls, _ := s.connections(k, e.spec.Accessories)
	fn.f.redact.add(urls)
	e.lines.write = func(lines ...string) { file.write(e.id, "titrate", fn.f.redact.lines(lines)) }
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for its Runtime API: %w", err)
	}
	pl := place{id: e.id, token: e.token, key: k, fleet: e.spec, dir: e.dir}
	layers := s.layers(e.spec)
	env := s.environmentOf(pl, w, listener.Addr().String())
	if layers != "" {
		env = withLayers(env, layerPaths(layers, run.Runtime))
	}
	l, err := s.launch(ctx, pl, run.argv(s.clients(), s.artifact(e.spec.Artifact)), env)
	if err != nil {
		listener.Close()
		return err
	}
	l.ReadOnly = append(l.ReadOnly, s.clients())
	l.Group = e.group
	e.api = runtimeapi.New(runtimeapi.Config{Function: w.identity, Clock: s.cfg.Now, NewID: rand.Text})
	e.server = runtimeapi.NewServer(e.api, initLimit)
	if beside := extensionsOf(layers); beside != nil {
		s.serveRuntime(e, listener, family{token: e.token})
		limit, _ := e.limit(initLimit)
		if err := e.startExtensions(l, beside, limit); err != nil {
			return err
		}
	}
	proc, failed, err := s.spawn(l, e.out)
	if err != nil {
		listener.Close()
		return err
	}
	e.proc = proc
	if e.extensions == 0 {
		s.serveRuntime(e, listener, e.family())
	}
	s.calls.Go(proc.watch)
	s.calls.Go(e.await)
	s.mu.Lock()
	e.pid, e.start = proc.pid, proc.start
	s.touch()
	s.mu.Unlock()
	if text := failed(); text != "" {
		s.forgetRuntime(run)
		return errors.New(text)
	}
	return nil
}

// serveRuntime serves the Runtime API to a family, until it is closed.
func (s *Supervisor) serveRuntime(e *environment, on net.Listener, to family) {
	s.calls.Go(func() { _ = e.server.Serve(&kin{Listener: on, of: to}) })
}

// await tells the Runtime API that the process has ended, and of what.
func (e *environment) await() {
	<-e.proc.done
	e.drain()
	s := e.fn.s
	switch p := s.cfg.Groups.Pressure(e.group); {
	case e.over.Load() || p.Killed > 0:
		e.api.Exited(runtimeapi.OutOfMemory(e.spec.Limits.MemoryText()))
	default:
		e.api.Exited(runtimeapi.Ended(e.proc.exit.lambda()))
	}
	close(e.told)
	e.fn.pool.Drop(e)
}

// lambda is how Lambda words the end of a process.
func (e exitStatus) lambda() string {
	switch {
	case !e.known:
		return "exit status unknown"
	case e.signal != "":
		return "signal: " + e.signal
	default:
		return fmt.Sprintf("exit status %d", e.code)
	}
}

// awaitReady returns when the process has asked for work, or why it does not: it said
// so, it ended, or its time is over.
func (e *environment) awaitReady(ctx context.Context) error {
	limit, shown := e.limit(initLimit)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := e.api.Ready(limited.Done())
	if err == nil {
		return nil
	}
	e.drain()
	var f *runtimeapi.InvocationError
	if !errors.As(err, &f) { // its time is over
		text := fmt.Sprintf("Init was not done after %.2f seconds: the function never asked for work. Look at what its handler waits for while it is loaded, or whether the program speaks the Runtime API at all", limit.Seconds())
		if !shown {
			text += "; startTimeout gives it longer"
		}
		f = runtimeapi.NotStarted("Sandbox.Timeout", text)
	}
	return e.didNotStart(f)
}

// didNotStart tells of a failed start with the last lines that were written in it.
func (e *environment) didNotStart(f *runtimeapi.InvocationError) *startError {
	return &startError{f, failureText(e.id+" did not start: "+f.Type+": "+f.Message, e.out.lastWords(10))}
}

// limit is how long something may take: what a fleet gives its instances while the
// version has never been shown, and then at most so long, as somebody waits for it.
func (e *environment) limit(most time.Duration) (limit time.Duration, shown bool) {
	e.fn.s.mu.Lock()
	defer e.fn.s.mu.Unlock()
	limit = startTimeout(e.spec)
	if e.fn.f.rec.Shown == 0 {
		return limit, false
	}
	return min(limit, most), true
}

// family is all that has come of the environment.
func (e *environment) family() family {
	if e.proc == nil {
		return family{token: e.token}
	}
	return family{token: e.token, pid: e.proc.pid, start: e.proc.start}
}

// change gives the environment another state.
func (e *environment) change(state world.InstanceState) {
	s := e.fn.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.state != state {
		e.state, e.since = state, s.cfg.Now()
		s.touch()
	}
}

// drain returns when all that the process has written is in the log, and can be told.
func (e *environment) drain() {
	e.out.drain()
}

// seen tells of the environment. The caller holds mu.
func (e *environment) seen() world.Instance {
	return world.Instance{ID: e.id, Key: e.fn.f.id.key, Version: e.fn.f.id.version, State: e.state, PID: e.pid, Since: e.since}
}
