package local

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/procfs"
	"titrate/internal/world"
)

const (
	sampleEvery = time.Second
	ticks       = 100 // USER_HZ: the unit of times in /proc, the same on every machine that Go runs on
)

// usage is what the processes of one session used so far.
type usage struct {
	cpu      map[int]uint64 // ticks by process
	resident uint64         // bytes of all of them now
}

// meter remembers what was used at the last sample.
type meter struct {
	cpu      map[int]map[int]uint64 // ticks, by session and process
	restarts map[fleetID]int
	programs map[int]string // leaders of sessions that are no shims, and so never will be, by their start
}

// sample tells once a second what each version used.
func (s *Supervisor) sample(ctx context.Context) {
	m := meter{cpu: map[int]map[int]uint64{}, restarts: map[fleetID]int{}, programs: map[int]string{}}
	first, now := true, s.cfg.Now()
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		sessions, restarts, limits := s.sessions()
		bounded, before := s.bounded(), now
		all := s.within(sessions)
		now = s.cfg.Now()
		var used map[int]usage
		if len(all)+len(bounded) > 0 {
			used = m.usages(func(sid int) bool { _, ok := all[sid]; return ok || bounded[sid] != nil })
		}
		s.keepMemory(bounded, used)
		if samples := m.take(all, restarts, used); !first {
			limitSamples(samples, sessions, limits, now.Sub(before))
			s.cfg.OnSample(samples)
		}
		first = false
	}
}

// sessions lists the sessions of living instances, each fleet's restarts ever, and
// its limits.
func (s *Supervisor) sessions() (map[int]fleetID, map[fleetID]int, map[fleetID]world.Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sessions, restarts, limits := map[int]fleetID{}, map[fleetID]int{}, map[fleetID]world.Limits{}
	for id, f := range s.fleets {
		restarts[id], limits[id] = f.rec.Restarts, f.spec.Limits
		for _, in := range f.instances {
			if in.rec.PID != 0 {
				sessions[in.rec.PID] = id
			}
		}
		for _, e := range f.environments() {
			if e.pid != 0 {
				sessions[e.pid] = id
			}
		}
	}
	return sessions, restarts, limits
}

// limitSamples adds what the instances that run could have used in a time.
func limitSamples(samples []Sample, sessions map[int]fleetID, limits map[fleetID]world.Limits, took time.Duration) {
	running := map[fleetID]int{}
	for _, id := range sessions {
		running[id]++
	}
	for i := range samples {
		id := fleetID{samples[i].Key, samples[i].Version}
		samples[i].MemoryLimit = uint64(limits[id].Memory)
		samples[i].CPULimit = float64(limits[id].CPU) / 1000 * took.Seconds() * float64(running[id])
	}
}

// take returns what was used since the last call. What a process had used before
// it was first seen counts when its session was known already: it is new then.
func (m *meter) take(sessions map[int]fleetID, restarts map[fleetID]int, used map[int]usage) []Sample {
	samples := map[fleetID]*Sample{}
	for id, n := range restarts {
		sm := &Sample{Key: id.key, Version: id.version}
		if before, ok := m.restarts[id]; ok {
			sm.Restarts = uint64(max(0, n-before))
		}
		samples[id] = sm
	}
	cpu := map[int]map[int]uint64{}
	for sid, id := range sessions {
		sm := samples[id]
		cpu[sid] = used[sid].cpu
		sm.Memory = max(sm.Memory, used[sid].resident)
		before, known := m.cpu[sid]
		for pid, t := range used[sid].cpu {
			if known && t > before[pid] {
				sm.CPU += float64(t-before[pid]) / ticks
			}
		}
	}
	m.cpu, m.restarts = cpu, restarts
	out := make([]Sample, 0, len(samples))
	for _, sm := range samples {
		out = append(out, *sm)
	}
	return out
}

// usages looks at every process once, for the sessions that are ours.
func (m *meter) usages(ours func(sid int) bool) map[int]usage {
	out, leads, programs := map[int]usage{}, map[int]string{}, map[int]string{}
	page := uint64(os.Getpagesize())
	for _, pid := range pids() {
		sid, err := unix.Getsid(pid)
		if err != nil || !ours(sid) {
			continue
		}
		st, err := procfs.Stat(pid)
		if err != nil {
			continue
		}
		if _, known := leads[sid]; !known {
			leads[sid] = ""
			if pid != sid || m.programs[sid] != st[22-3] {
				leads[sid] = leader(sid)
			}
		}
		if pid == sid && leads[sid] == "" {
			programs[sid] = st[22-3]
		}
		switch {
		case leads[sid] == "": // the program itself
		case pid == sid, leads[sid] == shimLeads && st[4-3] == strconv.Itoa(sid):
			continue // the shim, and the first process that it has started
		}
		user, _ := strconv.ParseUint(st[14-3], 10, 64)
		system, _ := strconv.ParseUint(st[15-3], 10, 64)
		pages, _ := strconv.ParseUint(st[24-3], 10, 64)
		u := out[sid]
		if u.cpu == nil {
			u.cpu = map[int]uint64{}
		}
		u.cpu[pid] = user + system
		u.resident += pages * page
		out[sid] = u
	}
	m.programs = programs
	return out
}

const shimLeads = "a shim"

// leader tells what of ours leads a session: a shim, or by the command the first process
// of an engine's container; empty: the program itself does.
func leader(sid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(sid) + "/cmdline")
	args := bytes.Split(b, []byte{0})
	switch {
	case err != nil || len(args) < 2 || string(args[1]) != LaunchCommand:
		return ""
	case len(args) > 2 && string(args[2]) == firstCommand:
		return firstCommand
	default:
		return shimLeads
	}
}
