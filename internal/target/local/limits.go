package local

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"titrate/internal/cgroup"
	"titrate/internal/target/local/within"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// groupsOf names the folder of this supervisor's control groups.
func groupsOf(boot string) string {
	sum := sha256.Sum256([]byte(boot))
	return "titrate-" + hex.EncodeToString(sum[:6])
}

// groupName is unique among instances and hooks, and says which it is.
func (in *instance) groupName() string {
	k := in.f.id.key
	return k.App + "." + k.Env + "." + in.snapshot().ID
}

func (h *hook) groupName() string {
	k := h.rec.Workload
	return k.App + "." + k.Env + "." + h.id + "." + filepath.Base(h.dir())
}

// ownLimits are those that are this supervisor's to keep: of a container its engine
// keeps them.
func ownLimits(f world.Fleet) world.Limits {
	if engined(f) {
		return world.Limits{}
	}
	return f.Limits
}

// makeGroup makes what keeps the limits of a fleet's process that is to be started, as
// far as this machine can; nil when that is nothing.
func (s *Supervisor) makeGroup(name string, f world.Fleet) (cgroup.Group, error) {
	l := groupLimits(f)
	if l == (cgroup.Limits{}) {
		return nil, nil
	}
	return s.cfg.Groups.Make(name, l)
}

// groupLimits are those of the group of a fleet's process.
func groupLimits(f world.Fleet) cgroup.Limits {
	l := ownLimits(f)
	if f.Image != nil && l.Memory > 0 {
		l.Memory += within.Memory
	}
	if f.Image != nil && l.Processes > 0 {
		l.Processes += within.Processes
	}
	return cgroup.Limits{Memory: l.Memory, CPU: l.CPU, Processes: l.Processes}
}

// restoreLimits gives what is taken back its limits once more: they are lifted while no
// keeper runs, where systemd could not start one otherwise.
func (s *Supervisor) restoreLimits(g cgroup.Group, l cgroup.Limits) {
	if err := s.cfg.Groups.Restore(g, l); err != nil {
		s.cfg.Log.Error("restore the limits of a control group", slog.Any("groups", g), slog.Any("error", err))
	}
}

func (s *Supervisor) removeGroup(g cgroup.Group) {
	if err := s.cfg.Groups.Remove(g); err != nil {
		s.cfg.Log.Error("remove a control group", slog.Any("error", err))
	}
}

// sweepGroups removes the groups of instances and hooks that nobody knows, as one
// that was made just before an earlier supervisor was killed.
func (s *Supervisor) sweepGroups() {
	known := map[string]bool{}
	s.mu.Lock()
	for _, f := range s.fleets {
		for _, in := range f.instances {
			for _, dir := range in.rec.Group {
				known[filepath.Base(dir)] = true
			}
		}
	}
	for _, h := range s.hooks {
		for _, dir := range h.rec.Group {
			known[filepath.Base(dir)] = true
		}
	}
	broods := append(slices.Clone(s.brood.Earlier), s.brood)
	s.mu.Unlock()
	keep := func(name string) bool {
		return known[name] || slices.ContainsFunc(broods, func(b brood) bool { return b.Name != "" && strings.HasSuffix(name, b.Name) })
	}
	if err := s.cfg.Groups.Sweep(keep); err != nil {
		s.cfg.Log.Error("remove the control groups of what is gone", slog.Any("error", err))
	}
}

// cause tells how a process ended, and what its limits have to do with it: a kill
// for memory is no crash. The hint comes after how long it ran.
func (s *Supervisor) cause(g cgroup.Group, l world.Limits, over bool, exit exitStatus) (text, hint string) {
	p := s.cfg.Groups.Pressure(g)
	switch {
	case over || p.Killed > 0:
		return "was killed: it used more than its memory limit of " + l.MemoryText(), ""
	case p.Refused > 0:
		return exit.String(), fmt.Sprintf("; it reached its limit of %d processes", l.Processes)
	default:
		return exit.String(), ""
	}
}

// told adds to what a hook wrote what its limits have to do with its end.
func (h *hook) told(log string, exit exitStatus) string {
	rec := h.snapshot()
	text, hint := h.s.cause(rec.Group, rec.Limits, rec.Over, exit)
	if text == exit.String() && hint == "" {
		return log
	}
	return strings.TrimPrefix(log+"\n", "\n") + "the hook " + text + hint
}

// bound is a process with a limit of memory, and what is to be known of it.
type bound struct {
	group  cgroup.Group
	limits world.Limits
	start  uint64
	note   func() // stores that it is killed for its memory
}

// bounded lists the instances and hooks with a limit of memory by their session.
func (s *Supervisor) bounded() map[int]*bound {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int]*bound{}
	for _, f := range s.fleets {
		for _, in := range f.instances {
			if rec := in.rec; rec.PID != 0 && ownLimits(rec.Fleet).Memory > 0 && !rec.Over {
				out[rec.PID] = &bound{rec.Group, rec.Fleet.Limits, rec.Start, in.overMemory}
			}
		}
		for _, e := range f.environments() {
			e.addBound(out)
		}
	}
	for _, h := range s.hooks {
		if rec := h.rec; h.alive && rec.PID != 0 && rec.Limits.Memory > 0 && !rec.Over {
			out[rec.PID] = &bound{rec.Group, rec.Limits, rec.Start, h.overMemory}
		}
	}
	return out
}

// keepMemory ends whole what the kernel ended in part: version 1 of control groups
// kills one process of a group, and what is left of an instance then is not what
// was started. Where the machine has no groups it is what keeps the limit: by what
// all processes hold in memory, once a second.
func (s *Supervisor) keepMemory(all map[int]*bound, used map[int]usage) {
	for pid, b := range all {
		switch {
		case s.cfg.Groups.Pressure(b.group).Killed > 0:
			b.note()
			s.cfg.Groups.Kill(b.group)
		case (len(b.group) == 0 || !s.cfg.Groups.Memory()) && used[pid].resident > uint64(b.limits.Memory):
			b.note()
			// Its session alone: the token is also the next process's.
			fam := family{pid: pid, start: b.start}
			fam.signal(fam.session(), unix.SIGKILL)
		}
	}
}

func (in *instance) overMemory() {
	in.s.mu.Lock()
	in.rec.Over = true
	in.s.mu.Unlock()
	_ = in.store() // told of by save
}

func (h *hook) overMemory() {
	h.s.mu.Lock()
	h.rec.Over = true
	rec := h.rec
	h.s.mu.Unlock()
	_ = h.s.save(h.file(), rec) // told of by save
}

// Confinement says in a sentence each what this machine cannot keep workloads
// from, and which limits it does not keep.
func (s *Supervisor) Confinement() []string {
	all, g := Confinement(), s.cfg.Groups
	var not []string
	if !g.CPU() {
		not = append(not, "cpu")
	}
	if !g.Processes() {
		not = append(not, "processes")
	}
	var text string
	switch lost := strings.Join(not, " and "); {
	case !g.Memory() && lost != "":
		text = "limits.memory is kept by a look once a second, and " + lost + " not at all"
	case !g.Memory():
		text = "limits.memory is kept by a look once a second"
	case lost != "":
		text = "limits.memory is kept, and " + lost + " not at all"
	default:
		return all
	}
	return append(all, text+": "+g.Why()+". As root, or as a systemd unit with Delegate=yes and DelegateSubgroup=titrate.main, Titrate keeps all limits.")
}
