package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"titrate/internal/target/local/namespaces"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// spawned finds processes by their tokens. It looks at all once, when first asked.
type spawned struct{ byToken map[string]int }

func (sp *spawned) pid(token string) int {
	if sp.byToken == nil {
		sp.byToken = map[string]int{}
		for _, pid := range pids() {
			if sid, err := unix.Getsid(pid); err != nil || sid != pid {
				continue
			}
			env := environ(pid)
			// What leads a session in a container is not the shim that stands for it.
			if t := env[tokenVar]; t != "" && env[stateVar] != imageState {
				sp.byToken[t] = pid
			}
		}
	}
	return sp.byToken[token]
}

// find returns the process of a record, or nil when none of it lives. A record
// without a number, or with one that is dead, may still have a process: the
// supervisor can have died between starting it and writing that down.
func (s *Supervisor) find(boot string, pid int, start uint64, token string, sp *spawned) *process {
	if boot != s.boot {
		return nil // of before the machine was started
	}
	if pid != 0 {
		if p, err := openProcess(pid, start, s.cfg.Exits); err == nil {
			return p
		}
	}
	if pid = sp.pid(token); pid == 0 {
		return nil
	}
	p, err := openProcess(pid, 0, s.cfg.Exits)
	if err != nil {
		return nil
	}
	return p
}

// adoptInstances takes back the instances on the disk: those whose process lives
// go on as they were, the others are started again once a world is applied.
func (s *Supervisor) adoptInstances(ctx context.Context) error {
	paths, err := glob(s.layout.workloads(), "*/*/*/*.run")
	if err != nil {
		return err
	}
	sp := &spawned{}
	for _, path := range paths {
		var rec instanceRecord
		if _, err := load(path, &rec); err != nil || rec.Token == "" || rec.ID == "" {
			s.discard(ctx, path, err)
			continue
		}
		s.adoptInstance(ctx, rec, sp)
	}
	s.mu.Lock()
	ids := make([]fleetID, 0, len(s.fleets))
	for id := range s.fleets {
		ids = append(ids, id)
	}
	s.touch()
	s.mu.Unlock()
	for _, id := range ids {
		s.publish(id)
	}
	return nil
}

func (s *Supervisor) adoptInstance(ctx context.Context, rec instanceRecord, sp *spawned) {
	s.mu.Lock()
	f := s.fleet(fleetID{rec.Key, rec.Version})
	if !f.told {
		f.spec = rec.Fleet
	}
	in := newInstance(s, f, rec.Index)
	in.rec, in.begun = rec, true
	f.insert(in)
	if rec.State == world.InstanceDraining {
		close(in.stop)
	}
	s.mu.Unlock()
	proc := s.find(rec.Boot, rec.PID, rec.Start, rec.Token, sp)
	if proc != nil {
		s.takeBack(in, proc)
	} else {
		s.missed(in)
	}
	s.wg.Go(func() { in.live(ctx) })
}

// takeBack makes a living process the instance's.
func (s *Supervisor) takeBack(in *instance, proc *process) {
	in.proc = proc
	s.wg.Go(proc.watch)
	s.mu.Lock()
	in.rec.PID, in.rec.Start = proc.pid, proc.start
	if in.rec.State == world.InstanceBackoff {
		in.rec.State = world.InstanceStarting
	}
	s.taken[in.rec.Port] = true
	in.volumes = in.rec.Fleet.Volumes
	rec := in.rec
	s.mu.Unlock()
	s.restoreLimits(rec.Group, groupLimits(rec.Fleet))
	in.f.redact.add(given(in.family(), rec.Secrets))
	if err := in.openOutputs(s.layout.runDir(rec.Key, rec.ID)); err != nil {
		// It runs on; what it writes is not read until it is started again.
		s.cfg.Log.Error("read what an instance writes", append(in.attrs(), slog.Any("error", err))...)
	}
	s.cfg.Log.Info("an instance was taken back", append(in.attrs(), slog.Int("pid", proc.pid), slog.String("state", string(rec.State)))...)
}

// given returns the secrets of those names as a process was given them: while the
// wanted world is not known, these are the values to take out of what it writes. A
// program that shows a title of its own has written it over them. A shim has none:
// the program that it stands for does.
func given(f family, names []string) map[string]string {
	secrets := map[string]string{}
	if len(names) == 0 {
		return secrets
	}
	for _, pid := range append([]int{f.pid}, f.members()...) {
		env := environ(pid)
		for _, name := range names {
			if v := env[name]; v != "" {
				secrets[name] = v
			}
		}
		if len(secrets) == len(names) {
			break
		}
	}
	return secrets
}

// missed takes note of an instance whose process ended while nobody watched. One
// that ended with the machine did not fail.
func (s *Supervisor) missed(in *instance) {
	rec := in.rec
	if rec.Boot != s.boot || rec.State == world.InstanceBackoff || rec.State == world.InstanceDraining || rec.PID == 0 {
		s.mu.Lock()
		in.rec.PID, in.rec.Start, in.rec.Port, in.rec.Addr = 0, 0, 0, ""
		if rec.State != world.InstanceDraining {
			in.rec.State = world.InstanceStarting
		}
		s.mu.Unlock()
		return
	}
	text, hint := s.cause(rec.Group, rec.Fleet.Limits, rec.Over, awaitExit(s.cfg.Exits, rec.PID, rec.Start, 0))
	why := text + " while the supervisor was down" + hint
	if !rec.WasReady {
		s.fail(in.f, rec.ID+" "+why)
	}
	in.countRestart(why)
	in.change(world.InstanceBackoff, why)
}

// discard ends what a record stood for that cannot be read, and removes it: the
// instance is made anew. Its processes are found by what they were told.
func (s *Supervisor) discard(ctx context.Context, path string, err error) {
	s.cfg.Log.Error("the record of an instance is damaged: it is started anew", slog.String("file", path), slog.Any("error", err))
	dir := filepath.Dir(path)
	id := strings.TrimSuffix(filepath.Base(path), ".run")
	for _, pid := range pids() {
		env := environ(pid)
		mine := env["TITRATE_INSTANCE"] == id && env[stateVar] == filepath.Join(dir, "state")
		if !mine && env[tokenVar] != "" { // a shim is told nothing else, and writes where its program does
			out, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/1", pid))
			mine = err == nil && out == filepath.Join(dir, id, streamNames[0])
		}
		if !mine {
			continue
		}
		if p, err := openProcess(pid, 0, ""); err == nil {
			family{token: env[tokenVar], pid: pid, start: p.start}.end(ctx, 0, s.hurry)
			p.letGo()
		}
	}
	s.forget(path, filepath.Join(dir, id))
}

// forget removes a record and then the folder that went with it.
func (s *Supervisor) forget(record, dir string) {
	if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.cfg.Log.Error("remove a record", slog.Any("error", err))
	}
	s.forgetDir(dir)
}

func (s *Supervisor) forgetDir(dir string) {
	if err := namespaces.Remove(dir, insideThis); err != nil {
		s.cfg.Log.Error("remove the folder of a process", slog.Any("error", err))
	}
}
