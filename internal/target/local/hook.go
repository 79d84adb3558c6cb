package local

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"titrate/internal/cgroup"
	"titrate/internal/rollout"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

const defaultHookTimeout = 5 * time.Minute // R24

// previewVar tells a hook where an instance of the version it runs for answers,
// past the gateway, so that what it sends is drawn from no weight and counted in
// no window. It is absent while none is ready.
const previewVar = "TITRATE_PREVIEW_URL"

// readyAt returns the address of a ready instance of a fleet, and "" when there
// is none.
func (s *Supervisor) readyAt(id fleetID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.fleets[id]; f != nil {
		if ready := f.ready(); len(ready) > 0 {
			return ready[0].Addr
		}
	}
	return ""
}

// hookRecord is what is known of a hook on the disk. It is there before the
// process is: a hook that has one is never started (again).
type hookRecord struct {
	Key      string              `json:"key"`
	Token    string              `json:"token"`
	Workload rollout.Key         `json:"workload"`
	Version  rollout.Version     `json:"version"`
	Kind     rollout.HookKind    `json:"kind"`
	Command  string              `json:"command"`
	Timeout  time.Duration       `json:"timeout"`
	Secrets  []string            `json:"secrets,omitempty"` // names
	Boot     string              `json:"boot"`
	PID      int                 `json:"pid,omitempty"`
	Start    uint64              `json:"start,omitempty"`
	Started  time.Time           `json:"started"`
	Limits   world.Limits        `json:"limits,omitzero"`
	Group    cgroup.Group        `json:"group,omitempty"`
	Bounds   cgroup.Limits       `json:"bounds,omitzero"` // of the group
	Over     bool                `json:"over,omitempty"`  // it was killed by us, for its memory
	Result   *rollout.HookResult `json:"result,omitempty"`
	Finished time.Time           `json:"finished,omitzero"`
}

// hook is a command that runs at most once.
type hook struct {
	s  *Supervisor
	id string // its instance in logs: "orders-v17-preTraffic"

	// Of run alone.
	proc *process
	out  *outputs

	fleet world.Fleet // of a hook to start

	// Guarded by Supervisor.mu.
	rec   hookRecord
	alive bool // run has not returned
	begun bool // run has been called
}

func (s *Supervisor) newHook(rec hookRecord) *hook {
	return &hook{s: s, rec: rec, id: rec.Workload.Workload + "-" + rec.Version.String() + "-" + string(rec.Kind)}
}

// file is the name of the hook's record, and of its folder with another ending.
func (h *hook) file() string {
	sum := sha256.Sum256([]byte(h.rec.Key))
	return filepath.Join(h.s.layout.hooks(), hex.EncodeToString(sum[:16])+".json")
}

func (h *hook) dir() string { return strings.TrimSuffix(h.file(), ".json") }

// result tells how far it is. The caller holds mu.
func (h *hook) result() rollout.HookResult {
	if h.rec.Result != nil {
		return *h.rec.Result
	}
	return rollout.HookResult{Running: true}
}

// wantHook makes a hook known, and alive if it was never started. The caller
// holds mu.
func (s *Supervisor) wantHook(want world.Hook) {
	if s.hooks[want.Key] != nil {
		return
	}
	h := s.newHook(hookRecord{
		Key: want.Key, Token: rand.Text(), Workload: want.Workload, Version: want.Fleet.Version, Kind: want.Kind, Command: want.Command,
		Timeout: want.Timeout, Secrets: slices.Sorted(maps.Keys(want.Fleet.Secrets)), Boot: s.boot, Started: s.cfg.Now(), Limits: ownLimits(want.Fleet),
	})
	if h.rec.Timeout <= 0 {
		h.rec.Timeout = defaultHookTimeout
	}
	s.hooks[want.Key] = h
	var old hookRecord
	switch found, err := load(h.file(), &old); {
	case err != nil:
		// It was started once; how it ended cannot be read.
		s.cfg.Log.Error("the record of a hook is damaged", slog.Any("error", err))
		h.rec.Result = &rollout.HookResult{Lost: true}
	case found:
		h.rec = old
		if old.Result == nil {
			h.rec.Result = &rollout.HookResult{Lost: true} // adoptHooks has left it
		}
	default:
		h.alive, h.fleet = true, want.Fleet
	}
}

// run starts the hook and stays with it. The record comes first; without it on
// the disk (which may be full) the hook waits.
func (h *hook) run(ctx context.Context) {
	defer h.leave()
	for h.s.save(h.file(), h.snapshot()) != nil {
		if closed(h.s.halt) || !wait(ctx, time.Second) {
			return
		}
	}
	if ctx.Err() != nil || closed(h.s.halt) {
		h.s.forget(h.file(), h.dir()) // it was not started: the next supervisor may
		return
	}
	if why := h.s.awaitConnections(ctx, h.s.halt, h.rec.Workload, h.fleet.Accessories, h.snapshot().Timeout/2, func(string) {}); why != "" {
		h.finish(ctx, rollout.HookResult{Exit: 126, Log: "the hook was not started: it " + why})
		return
	}
	if ctx.Err() != nil || closed(h.s.halt) {
		h.s.forget(h.file(), h.dir()) // as above
		return
	}
	if err := h.start(ctx); err != nil {
		h.finish(ctx, rollout.HookResult{Exit: 126, Log: "the hook could not be started: " + err.Error()})
		return
	}
	h.stay(ctx)
}

func (h *hook) start(ctx context.Context) error {
	rec, fleet := h.snapshot(), h.fleet
	fleet.Volumes = sharedOnly(fleet.Volumes)
	pl := place{id: h.id, token: rec.Token, key: rec.Workload, fleet: fleet, dir: h.dir()}
	env := h.s.env(pl)
	if at := h.s.readyAt(fleetID{rec.Workload, rec.Version}); at != "" {
		env = append(env, previewVar+"=http://"+at)
	}
	l, err := h.s.launch(ctx, pl, h.s.entered(pl.fleet.Artifact, "/bin/sh", "-c", rec.Command), env)
	if err != nil {
		return err
	}
	hidden := newRedactor(fleet.Secrets)
	urls, _ := h.s.connections(rec.Workload, fleet.Accessories)
	hidden.add(urls)
	if err := h.openOutputs(hidden); err != nil {
		return err
	}
	if l.Group, err = h.s.makeGroup(h.groupName(), fleet); err != nil {
		return err
	}
	h.s.mu.Lock()
	h.rec.Group, h.rec.Bounds = l.Group, groupLimits(fleet)
	h.s.mu.Unlock()
	proc, failed, err := h.s.spawn(l, h.out)
	if err != nil {
		return err
	}
	h.hold(proc)
	if text := failed(); text != "" {
		<-proc.done
		return errors.New(text)
	}
	h.s.cfg.Log.Info("a hook started", append(h.attrs(), slog.Int("pid", proc.pid))...)
	return nil
}

func (h *hook) openOutputs(r *redactor) error {
	if err := mkfifos(h.dir()); err != nil {
		return err
	}
	file := h.s.logFile(h.rec.Workload)
	out, err := openOutputs(h.dir(), r, func(_ string, lines [][]byte) { file.write(h.id, "hook", lines) })
	h.out = out
	return err
}

// hold makes proc the hook's process and stores which one it is.
func (h *hook) hold(proc *process) {
	h.proc = proc
	h.s.wg.Go(proc.watch)
	h.s.mu.Lock()
	h.rec.PID, h.rec.Start = proc.pid, proc.start
	rec := h.rec
	h.s.touch()
	h.s.mu.Unlock()
	_ = h.s.save(h.file(), rec) // told of by save; the token finds the process too
}

// stay waits for the hook's end, and ends it when its time is over.
func (h *hook) stay(ctx context.Context) {
	rec := h.snapshot()
	fam := family{token: rec.Token, pid: rec.PID, start: rec.Start}
	timeout := time.NewTimer(rec.Timeout - h.s.cfg.Now().Sub(rec.Started))
	defer timeout.Stop()
	select {
	case <-h.proc.done:
		fam.end(ctx, 0, h.s.hurry)
		h.out.drain()
		st := h.proc.exit
		h.finish(ctx, rollout.HookResult{Exit: st.shell(), Lost: !st.known, Log: h.told(h.log(), st)})
	case <-timeout.C:
		fam.end(ctx, 2*time.Second, h.s.hurry)
		if ctx.Err() != nil {
			return
		}
		<-h.proc.done // reaped here: a zombie would stay as long as this program
		h.out.drain()
		h.finish(ctx, rollout.HookResult{TimedOut: true, Log: h.log()})
	case <-h.s.halt:
		fam.end(ctx, 2*time.Second, h.s.hurry)
		if ctx.Err() != nil {
			return
		}
		<-h.proc.done
		h.out.drain()
		// It ran in part, and the next supervisor says so: the signal's exit status
		// would be told as the hook's own. A disk that does not take it is no reason
		// to stay; without a record of an exit the hook is lost as well.
		rec := h.snapshot()
		rec.Result, rec.Finished = &rollout.HookResult{Lost: true, Log: h.log()}, h.s.cfg.Now()
		_ = h.s.save(h.file(), rec)
	case <-ctx.Done():
	}
}

// shell returns the status as a shell would: of a signal, 128 and its number.
func (e exitStatus) shell() int {
	if e.signal == "" {
		return e.code
	}
	for n := range unix.Signal(65) {
		if n.String() == e.signal { // a record has its name only
			return 128 + int(n)
		}
	}
	return 128
}

func (h *hook) log() string { return strings.Join(h.out.lastLines(tailLines), "\n") }

// finish makes a result known and stores it, as soon as the disk takes it.
func (h *hook) finish(ctx context.Context, res rollout.HookResult) {
	h.s.mu.Lock()
	h.rec.Result, h.rec.Finished = &res, h.s.cfg.Now()
	rec := h.rec
	h.s.touch()
	h.s.mu.Unlock()
	h.s.cfg.Log.Info("a hook ended", append(h.attrs(), slog.Int("exit", res.Exit), slog.Bool("timed_out", res.TimedOut), slog.Bool("lost", res.Lost))...)
	for h.s.save(h.file(), rec) != nil && wait(ctx, time.Second) {
	}
}

// leave ends run: the process, if it lives, is let go.
func (h *hook) leave() {
	h.out.close()
	if h.proc != nil {
		h.proc.letGo()
	}
	h.s.mu.Lock()
	h.alive = false
	done := h.rec.Result != nil
	h.s.touch()
	h.s.mu.Unlock()
	if done || closed(h.s.halt) {
		h.s.removeGroup(h.snapshot().Group)
	}
	if done {
		h.s.forgetDir(h.dir())
	}
	h.s.nudge()
}

func (h *hook) snapshot() hookRecord {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return h.rec
}

func (h *hook) attrs() []any {
	return append(fleetID{h.rec.Workload, h.rec.Version}.attrs(), slog.String("hook", string(h.rec.Kind)), slog.String("key", h.rec.Key))
}

// adoptHooks takes back the hooks that were running. One whose process is gone
// has the result that the keeper saw, or is lost: it may have run (R24).
func (s *Supervisor) adoptHooks(ctx context.Context) error {
	paths, err := glob(s.layout.hooks(), "*.json")
	if err != nil {
		return err
	}
	sp := &spawned{}
	for _, path := range paths {
		var rec hookRecord
		if _, err := load(path, &rec); err != nil || rec.Result != nil {
			continue // looked at when it is wanted
		}
		h := s.newHook(rec)
		h.alive, h.begun = true, true
		s.mu.Lock()
		s.hooks[rec.Key] = h
		s.mu.Unlock()
		proc := s.find(rec.Boot, rec.PID, rec.Start, rec.Token, sp)
		s.wg.Go(func() {
			defer h.leave()
			h.resume(ctx, proc)
		})
	}
	return nil
}

func (h *hook) resume(ctx context.Context, proc *process) {
	rec := h.snapshot()
	if proc == nil {
		st := exitStatus{}
		if rec.PID != 0 && rec.Boot == h.s.boot {
			st = awaitExit(h.s.cfg.Exits, rec.PID, rec.Start, 0)
		}
		h.finish(ctx, rollout.HookResult{Exit: st.shell(), Lost: !st.known, Log: h.told(strings.Join(h.logged(ctx), "\n"), st)})
		return
	}
	h.s.restoreLimits(rec.Group, rec.Bounds)
	redact := newRedactor(given(family{token: rec.Token, pid: proc.pid, start: proc.start}, rec.Secrets))
	h.s.mu.Lock()
	redact.add(h.s.secretsOf(fleetID{rec.Workload, rec.Version}))
	h.s.mu.Unlock()
	if err := h.openOutputs(redact); err != nil {
		h.s.cfg.Log.Error("read what a hook writes", append(h.attrs(), slog.Any("error", err))...)
	} else {
		h.out.mu.Lock()
		h.out.tail = append(h.logged(ctx), h.out.tail...)
		h.out.mu.Unlock()
	}
	h.hold(proc)
	h.s.cfg.Log.Info("a hook was taken back", append(h.attrs(), slog.Int("pid", proc.pid))...)
	h.stay(ctx)
}

// logged returns the last lines that an earlier supervisor read of the hook.
func (h *hook) logged(ctx context.Context) []string {
	rec := h.snapshot()
	q := world.LogQuery{App: rec.Workload.App, Env: rec.Workload.Env, Workload: rec.Workload.Workload, Version: rec.Version, Since: rec.Started, Last: 1000}
	var out []string
	for l, err := range ReadLogs(ctx, h.s.cfg.Logs, q) {
		if err == nil && l.Instance == h.id {
			out = append(out, l.Text)
		}
	}
	return out[max(0, len(out)-tailLines):]
}
