package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	mrand "math/rand/v2"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	"titrate/internal/target/local/shim"
	"titrate/internal/world"
)

const (
	defaultStartTimeout = 2 * time.Minute // R14
	workerAlive         = time.Second     // a worker that lives so long is ready
	firstProbe          = 5 * time.Millisecond
	slowestProbe        = time.Second
	probeEvery          = time.Second // of an instance that is asked, is new, or is in doubt
	idleProbeEvery      = 5 * time.Second
	probesToUnready     = 3
)

// awaitAccessories waits for the databases and caches that the version is given. One
// that never served does not start without them; one that did starts late.
func (in *instance) awaitAccessories(ctx context.Context) error {
	in.s.mu.Lock()
	spec, served := in.f.spec, in.rec.WasReady
	in.s.mu.Unlock()
	patience := spec.StartTimeout
	if patience <= 0 {
		patience = defaultStartTimeout
	}
	if served {
		patience = lateAnyway
	}
	why := in.s.awaitConnections(ctx, in.stop, in.f.id.key, spec.Accessories, patience, in.explain)
	if why == "" || served {
		return nil
	}
	return errors.New("was not started in " + patience.String() + ": " + why)
}

// start stores what is about to be, starts the process, and stores what is.
func (in *instance) start(ctx context.Context) error {
	rec, spec, err := in.prepare(ctx)
	if err != nil {
		return err
	}
	pl := place{id: rec.ID, token: rec.Token, key: rec.Key, fleet: spec, dir: in.s.layout.runDir(rec.Key, rec.ID), port: rec.Port}
	if in.out == nil {
		if err := in.openOutputs(pl.dir); err != nil {
			return err
		}
	}
	in.out.forget()
	urls, _ := in.s.connections(rec.Key, spec.Accessories)
	in.f.redact.add(urls)
	l, err := in.s.launch(ctx, pl, spec.Command, in.s.env(pl))
	if err != nil {
		return err
	}
	l.Group, l.locks = rec.Group, in.takeLocks()
	proc, failed, err := in.s.spawn(l, in.out)
	if err != nil {
		return err
	}
	in.proc = proc
	in.s.wg.Go(proc.watch)
	in.s.mu.Lock()
	in.rec.PID, in.rec.Start = proc.pid, proc.start
	in.s.touch()
	in.s.mu.Unlock()
	// Nothing waits for the disk here: until it is stored, the token finds the process.
	in.s.wg.Go(func() { _ = in.store() })
	if text := failed(); text != "" {
		select {
		case <-proc.done:
		case <-ctx.Done():
		}
		return errors.New(text)
	}
	in.became = in.s.cfg.Now()
	in.s.cfg.Log.Info("an instance started", append(in.attrs(), slog.Int("pid", proc.pid))...)
	return nil
}

// prepare takes a port, makes the group that keeps the limits, and stores the
// instance's id and token: a process whose instance is not on the disk must not exist. If the disk is full an instance
// that is there already goes on.
func (in *instance) prepare(ctx context.Context) (instanceRecord, world.Fleet, error) {
	s := in.s
	port, err := s.exchangePort(ctx, in.snapshot().Port)
	if err != nil {
		return instanceRecord{}, world.Fleet{}, err
	}
	s.mu.Lock()
	spec := in.f.spec
	s.mu.Unlock()
	group, err := s.makeGroup(in.groupName(), spec)
	if err != nil {
		return instanceRecord{}, world.Fleet{}, err
	}
	s.mu.Lock()
	known := !in.rec.Spawned.IsZero()
	in.rec.Port, in.rec.Addr = port, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	in.rec.PID, in.rec.Start, in.rec.Boot, in.rec.Spawned = 0, 0, s.boot, s.cfg.Now()
	in.rec.State, in.rec.Since = world.InstanceStarting, s.cfg.Now()
	in.rec.Secrets = slices.Sorted(maps.Keys(spec.Secrets))
	in.rec.Secrets = append(in.rec.Secrets, slices.Sorted(maps.Keys(spec.Accessories))...)
	in.rec.Group, in.rec.Over = group, false
	in.rec.Fleet = spec
	in.rec.Fleet.Env, in.rec.Fleet.Secrets = nil, nil
	rec := in.rec
	s.touch()
	s.mu.Unlock()
	if err := in.store(); err != nil && !known {
		s.mu.Lock()
		in.rec.Spawned = time.Time{} // still not on the disk
		s.mu.Unlock()
		return rec, spec, err
	}
	return rec, spec, nil
}

// exchangePort gives a port back and takes a free one, which is nobody else's from
// then on: two programs that share their ports (SO_REUSEPORT) would not notice.
func (s *Supervisor) exchangePort(ctx context.Context, old int) (int, error) {
	s.mu.Lock()
	delete(s.taken, old)
	taken := maps.Clone(s.taken)
	s.mu.Unlock()
	for {
		port, err := s.ports.free(ctx, taken)
		if err != nil {
			return 0, err
		}
		s.mu.Lock()
		lost := s.taken[port]
		s.taken[port] = true
		s.mu.Unlock()
		if !lost {
			return port, nil
		}
		taken[port] = true
	}
}

func (in *instance) openOutputs(dir string) error {
	if err := mkfifos(dir); err != nil {
		return err
	}
	id, file := in.snapshot().ID, in.s.logFile(in.f.id.key)
	out, err := openOutputs(dir, in.f.redact, func(stream string, lines [][]byte) { file.write(id, stream, lines) })
	if err != nil {
		return err
	}
	in.out = out
	return nil
}

// awaitReady returns when the instance is ready, or when ctx ends, with the zero
// ending; or with late or moved when it will not be.
func (in *instance) awaitReady(ctx context.Context) ending {
	rec := in.snapshot()
	deadline := rec.Fleet.StartTimeout
	if deadline <= 0 {
		deadline = defaultStartTimeout
	}
	if rec.Fleet.Worker {
		since := in.became
		if since.IsZero() { // an earlier supervisor started it
			since = rec.Spawned
		}
		if wait(ctx, workerAlive-in.s.cfg.Now().Sub(since)) {
			in.ready(rec.Addr)
		}
		return ending{}
	}
	addr, tries := rec.Addr, newChecked(rec, rec.Addr)
	look := 100 * time.Millisecond
	for {
		err := in.s.probe.check(ctx, addr, rec.Fleet.Health)
		if ctx.Err() != nil {
			return ending{}
		}
		if err == nil {
			if in.family().owns(portOf(addr)) {
				in.ready(addr)
				return ending{}
			}
			return ending{moved, "another program answers at " + addr}
		}
		tries.add(err)
		age := in.s.cfg.Now().Sub(rec.Spawned)
		if age > look || age > deadline {
			where, text := in.locate(rec)
			if where != "" && where != addr {
				addr, tries = where, newChecked(rec, where)
				continue
			}
			saw := tries.String()
			if errors.Is(err, syscall.ECONNREFUSED) {
				saw += "; " + text
			}
			in.explain(saw)
			if age > deadline {
				return ending{late, fmt.Sprintf("was not ready in %s: %s", deadline, saw)}
			}
			look = age + max(100*time.Millisecond, age/4)
		}
		// The wait adds at most a fiftieth to what the start took.
		wait(ctx, min(slowestProbe, max(firstProbe, age/50)))
	}
}

func (in *instance) ready(addr string) {
	in.moves = 0
	in.s.mu.Lock()
	in.rec.Addr = addr
	took := in.s.cfg.Now().Sub(in.rec.Spawned)
	in.s.mu.Unlock()
	in.change(world.InstanceReady, "")
	in.s.cfg.Log.Info("an instance is ready", append(in.attrs(), slog.String("addr", addr), slog.Duration("took", took))...)
}

// locate finds where the process listens: at the port that it was given, on any
// address, or at the one that the manifest names for a service that ignores $PORT.
func (in *instance) locate(rec instanceRecord) (addr, text string) {
	if rec.Fleet.Image != nil {
		return "", in.listensWithin(rec)
	}
	all, known := in.family().listens()
	if !known {
		return "", "where the process listens cannot be seen"
	}
	for _, port := range []int{rec.Port, rec.Fleet.Port} {
		for _, a := range all {
			if port != 0 && int(a.Port()) == port {
				return reach(a), ""
			}
		}
	}
	return "", shim.Listening(all, nil)
}

// keepWell checks the health of a ready instance until ctx ends: every second, and less
// often while it is steady and nobody asks it anything. The first request brings the
// next check forward.
func (in *instance) keepWell(ctx context.Context) {
	rec := in.snapshot()
	if rec.Fleet.Worker {
		<-ctx.Done()
		return
	}
	tries := newChecked(rec, rec.Addr)
	last := in.s.cfg.Now()
	turn := mrand.N(turns)
	for fails := 0; wait(ctx, untilTurn(time.Now(), turn)); {
		now, known := in.s.cfg.Now(), in.snapshot()
		calm := fails == 0 && known.State == world.InstanceReady && now.Sub(known.Since) > steady
		if asked := in.s.cfg.Asked(rec.Addr); calm && !asked && now.Sub(last) < idleProbeEvery-probeEvery/2 {
			continue
		}
		last = now
		err := in.s.probe.check(ctx, rec.Addr, rec.Fleet.Health)
		state := in.snapshot().State
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			fails = 0
			if state == world.InstanceUnready {
				in.change(world.InstanceReady, "")
				in.s.cfg.Log.Info("an instance is ready again", in.attrs()...)
			}
		default:
			fails++
			tries.add(err)
			if fails >= probesToUnready && state == world.InstanceReady {
				in.change(world.InstanceUnready, tries.String())
				in.s.cfg.Log.Warn("an instance is not ready any more", append(in.attrs(), slog.String("why", tries.String()))...)
			}
		}
	}
}

// turns is how many moments a second has at which instances are checked. Each has one
// of them: what wakes a hundred times a second for a hundred instances is never idle,
// and what checks all at once is a burst.
const turns = 8

// untilTurn returns how long it is until a turn comes round, half a second at least.
func untilTurn(now time.Time, turn int) time.Duration {
	at := now.Truncate(probeEvery).Add(time.Duration(turn) * probeEvery / turns)
	for at.Sub(now) < probeEvery/2 {
		at = at.Add(probeEvery)
	}
	return at.Sub(now)
}

func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}
