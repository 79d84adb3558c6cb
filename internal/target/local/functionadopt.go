package local

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// adoptFunctions ends what an earlier supervisor left of functions, whose processes have
// nobody to ask for work any more, and lets the gateway know at once of the versions that
// had been shown: the first call starts an instance.
func (s *Supervisor) adoptFunctions(ctx context.Context) error {
	var kept brood
	path := s.layout.brood()
	if _, err := load(path, &kept); err != nil {
		s.cfg.Log.Error("read what processes of functions are called", slog.Any("error", err))
	}
	if kept.Name == "" || kept.Boot != s.boot {
		kept = brood{Name: "fn-" + rand.Text() + "-", Boot: s.boot}
		if err := s.save(path, kept); err != nil {
			// What is left of them then dies with its first question, not before.
			s.cfg.Log.Warn("processes of functions will not be found after a restart", slog.Any("error", err))
		}
	} else {
		s.endBrood(ctx, kept.Name)
	}
	s.brood = kept.Name
	s.forgetDir(s.layout.functions())
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
	s.beginFunctions(ctx)
	s.touch()
	s.mu.Unlock()
	return nil
}

// brood is what the tokens of all processes of functions begin with.
type brood struct {
	Name string `json:"name"`
	Boot string `json:"boot"` // of the machine and the folder: what a copy of the folder names is not its own
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
