package local

import (
	"context"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/procfs"
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
}

// sample tells once a second what each version used.
func (s *Supervisor) sample(ctx context.Context) {
	m := meter{cpu: map[int]map[int]uint64{}, restarts: map[fleetID]int{}}
	first := true
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		sessions, restarts, containers := s.sessions()
		for shim, pid := range within(containers) {
			sessions[pid] = sessions[shim]
		}
		if samples := m.take(sessions, restarts, usages(sessions)); !first {
			s.cfg.OnSample(samples)
		}
		first = false
	}
}

// sessions lists the sessions of living instances, and each fleet's restarts ever;
// and, by session, the folders of those whose processes are in a container.
func (s *Supervisor) sessions() (map[int]fleetID, map[fleetID]int, map[int]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sessions, restarts, containers := map[int]fleetID{}, map[fleetID]int{}, map[int]string{}
	for id, f := range s.fleets {
		restarts[id] = f.rec.Restarts
		for _, in := range f.instances {
			if in.rec.PID != 0 {
				sessions[in.rec.PID] = id
				if img := in.rec.Fleet.Image; img != nil && img.Engine {
					containers[in.rec.PID] = s.layout.runDir(in.rec.Key, in.rec.ID)
				}
			}
		}
	}
	return sessions, restarts, containers
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

// usages looks at every process once.
func usages(sessions map[int]fleetID) map[int]usage {
	out := map[int]usage{}
	if len(sessions) == 0 {
		return out
	}
	page := uint64(os.Getpagesize())
	for _, pid := range pids() {
		sid, err := unix.Getsid(pid)
		if _, ours := sessions[sid]; err != nil || !ours {
			continue
		}
		st, err := procfs.Stat(pid)
		if err != nil {
			continue
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
	return out
}
