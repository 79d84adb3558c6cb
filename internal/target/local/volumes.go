package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"titrate/internal/rollout"

	"golang.org/x/sys/unix"
)

// Volumes lie in the data folder beside the supervisor's own, and are never removed:
//
//	volumes/APP/ENV/WORKLOAD/NAME       the volume
//	volumes/APP/ENV/WORKLOAD/NAME.lock  locked by whatever has it
//
// To one that is not shared one instance at a time writes, whatever is wanted (R31):
// an instance starts when no other has it, and then holds a lock on it. The lock is
// the process's own, given to it as an open file, so it outlives this program, and
// what the process leaves behind holds it too.

// volumeVar names the variable that holds where a process finds a volume.
func volumeVar(name string) string {
	return "TITRATE_VOLUME_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func (s *Supervisor) volume(k rollout.Key, name string) string {
	return filepath.Join(s.cfg.Data, "volumes", k.App, k.Env, k.Workload, name)
}

// makeVolumes returns the folders of a place's volumes, made if they are not there.
func (s *Supervisor) makeVolumes(pl place) ([]string, error) {
	var dirs []string
	for _, name := range slices.Sorted(maps.Keys(pl.fleet.Volumes)) {
		dir := s.volumeOf(pl, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the volume %s: %w", name, err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// sharedOnly are the volumes that a hook is given: of one that is not shared it would
// be a second writer (R31).
func sharedOnly(v rollout.Volumes) rollout.Volumes {
	v = maps.Clone(v)
	maps.DeleteFunc(v, func(_ string, volume rollout.Volume) bool { return !volume.Shared })
	return v
}

// awaitVolumes returns exited when the instance has its volumes and may start.
func (in *instance) awaitVolumes(ctx context.Context) endKind {
	for waited := false; ; waited = true {
		var again <-chan time.Time
		mine, waits, changed := in.claim()
		if waits == "" {
			err := in.lockVolumes(mine)
			if err == nil {
				if waited {
					in.explain("")
				}
				return exited
			}
			in.letGoOfVolumes()
			waits, again = err.Error(), time.After(100*time.Millisecond)
		}
		in.explain(waits)
		select {
		case <-ctx.Done():
			return letGo
		case <-in.stop:
			return stopped
		case <-changed:
		case <-again:
		}
	}
}

// claim makes its volumes the instance's, unless another has one of them that is not
// shared. Then it says what is waited for, and returns a channel that is closed when
// that may have changed.
func (in *instance) claim() (mine rollout.Volumes, waits string, changed <-chan struct{}) {
	s := in.s
	s.mu.Lock()
	defer s.mu.Unlock()
	mine = in.f.spec.Volumes
	for id, f := range s.fleets {
		if id.key != in.f.id.key {
			continue
		}
		for _, other := range f.instances {
			if name := clashing(mine, other.volumes); other != in && name != "" {
				return nil, fmt.Sprintf("waits until %s has let go of the volume %s", other.rec.ID, name), s.changed
			}
		}
	}
	in.volumes = mine
	return mine, "", nil
}

// clashing names a volume that both have and one of them does not share.
func clashing(a, b rollout.Volumes) string {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		one := rollout.Volumes{name: a[name]}
		if one.Clash(b) {
			return name
		}
	}
	return ""
}

// letGoOfVolumes lets others have the instance's volumes: none of its processes lives.
func (in *instance) letGoOfVolumes() {
	for _, f := range in.locks {
		f.Close()
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.locks, in.volumes = nil, nil
}

// lockVolumes opens the locks that the instance's process will hold.
func (in *instance) lockVolumes(volumes rollout.Volumes) error {
	for _, name := range slices.Sorted(maps.Keys(volumes)) {
		path := in.s.volume(in.f.id.key, name) + ".lock"
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("waits for the volume %s: %w", name, err)
		}
		f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("waits for the volume %s: %w", name, err)
		}
		in.locks = append(in.locks, f)
		how := unix.LOCK_EX
		if volumes[name].Shared {
			how = unix.LOCK_SH
		}
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); {
		case errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("waits until a process that is no instance has let go of the volume %s (T0580)", name)
		case err != nil:
			return fmt.Errorf("waits for the volume %s: %w", name, err)
		}
	}
	return nil
}

// takeLocks gives the locks to who starts the process, and closes them here then.
func (in *instance) takeLocks() []*os.File {
	locks := in.locks
	in.locks = nil
	return locks
}
