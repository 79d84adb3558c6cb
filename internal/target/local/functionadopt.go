package local

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"titrate/internal/procfs"

	"golang.org/x/sys/unix"
)

// adoptFunctions ends what earlier supervisors left of functions, whose processes have
// nobody to ask for work any more, and lets the gateway know at once of the versions that
// had been shown: the first call starts an instance.
func (s *Supervisor) adoptFunctions(ctx context.Context) error {
	if err := s.newBrood(ctx); err != nil {
		// What is left of them then dies with its first question, not before.
		s.cfg.Log.Warn("processes of functions will not be found after a restart", slog.Any("error", err))
	}
	paths, err := glob(s.layout.workloads(), "*/*/*/*.fleet")
	if err != nil {
		return err
	}
	for _, path := range paths {
		var rec fleetRecord
		if _, err := load(path, &rec); err != nil || rec.Shown == 0 || !rec.Unwanted.IsZero() {
			continue // fleet tells of a record that is damaged
		}
		s.mu.Lock()
		f := s.fleet(fleetID{rec.Key, rec.Version})
		if f.fn == nil {
			f.fn = s.newFunction(f)
			f.fn.adopted = true
		}
		s.mu.Unlock()
		s.publish(f.id)
	}
	s.mu.Lock()
	s.beginFunctions()
	s.touch()
	s.mu.Unlock()
	return nil
}

// brood is the processes of functions that one supervisor has started.
type brood struct {
	Name  string `json:"name"` // what their tokens begin with
	Boot  string `json:"boot"` // of the machine and the folder: what a copy of the folder names is not its own
	PID   int    `json:"pid"`  // of the supervisor's process, which gives them work
	Start uint64 `json:"start"`
	// Earlier are those of supervisors before, which may still have something of theirs drawn.
	Earlier []brood `json:"earlier,omitempty"`
}

// alone reports whether nobody gives a brood work any more.
func (b brood) alone(me brood) bool {
	if b.Boot != me.Boot || b.PID == me.PID && b.Start == me.Start {
		return true
	}
	start, err := procfs.StartTime(b.PID)
	return err != nil || start != b.Start
}

// newBrood ends the broods that are alone, and begins one.
func (s *Supervisor) newBrood(ctx context.Context) error {
	path := s.layout.brood()
	var last brood
	if _, err := load(path, &last); err != nil {
		s.cfg.Log.Error("read what processes of functions are called", slog.Any("error", err))
		last = brood{}
	}
	me := brood{Name: "fn-" + rand.Text() + "-", Boot: s.boot, PID: os.Getpid()}
	me.Start, _ = procfs.StartTime(me.PID) // 0 is nobody's
	earlier := last.Earlier
	last.Earlier = nil
	for _, b := range append(earlier, last) {
		if b.Name == "" || b.Boot != me.Boot {
			continue
		}
		if b.alone(me) {
			s.endBrood(ctx, b.Name)
		}
		// Also of those: a process that was just about to become its program has no name at
		// that moment. endEarlier looks once more.
		me.Earlier = append(me.Earlier, b)
	}
	s.mu.Lock()
	s.brood = me
	s.mu.Unlock()
	s.forgetFolders()
	return s.save(path, me)
}

// forgetFolders removes those of broods that nobody has.
func (s *Supervisor) forgetFolders() {
	s.mu.Lock()
	me := s.brood
	s.mu.Unlock()
	folders, err := filepath.Glob(filepath.Join(s.layout.functions(), "*"))
	if err != nil {
		return // the pattern is ours
	}
	for _, dir := range folders {
		has := func(b brood) bool { return b.Name == filepath.Base(dir) }
		if !has(me) && !slices.ContainsFunc(me.Earlier, has) {
			s.forgetDir(dir)
		}
	}
}

// broodEvery is how often it is looked whether an earlier supervisor has gone.
const broodEvery = 200 * time.Millisecond

// endEarlier ends the broods of earlier supervisors once these have gone.
func (s *Supervisor) endEarlier(ctx context.Context) {
	for {
		s.mu.Lock()
		me := s.brood
		s.mu.Unlock()
		if len(me.Earlier) == 0 || !wait(ctx, broodEvery) {
			return
		}
		left := slices.DeleteFunc(slices.Clone(me.Earlier), func(b brood) bool {
			gone := b.alone(me)
			if gone {
				s.endBrood(ctx, b.Name)
			}
			return gone
		})
		if len(left) == len(me.Earlier) {
			continue
		}
		s.mu.Lock()
		s.brood.Earlier = left
		me = s.brood
		s.mu.Unlock()
		_ = s.save(s.layout.brood(), me) // told of by save
		s.forgetFolders()
		s.sweepGroups()
	}
}

// endBrood kills the processes whose tokens begin so, and returns when they are gone.
func (s *Supervisor) endBrood(ctx context.Context, name string) {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		left := 0
		for _, pid := range pids() {
			if !strings.HasPrefix(environ(pid)[tokenVar], name) {
				continue
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue
			}
			// Looked at again, now that the number cannot change hands.
			if strings.HasPrefix(environ(pid)[tokenVar], name) {
				left++
				_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			}
			_ = unix.Close(fd)
		}
		if left == 0 || !wait(ctx, pause) {
			return
		}
	}
}
