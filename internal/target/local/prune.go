package local

import (
	"context"
	"os"
	"time"
)

const pruneEvery = time.Hour

// prune removes, now and then, records and logs of what has not been wanted for
// longer than the retention. It never touches a workload's own data.
func (s *Supervisor) prune(ctx context.Context) {
	for {
		before := s.cfg.Now().Add(-s.cfg.Retention)
		s.pruneFleets(before)
		s.pruneHooks(before)
		s.pruneLogs(before)
		if !wait(ctx, pruneEvery) {
			return
		}
	}
}

func (s *Supervisor) pruneFleets(before time.Time) {
	paths, _ := glob(s.layout.workloads(), "*/*/*/*.fleet")
	for _, path := range paths {
		var rec fleetRecord
		if _, err := load(path, &rec); err == nil && !rec.Unwanted.IsZero() && rec.Unwanted.Before(before) {
			os.Remove(path)
		}
	}
}

func (s *Supervisor) pruneHooks(before time.Time) {
	paths, _ := glob(s.layout.hooks(), "*.json")
	for _, path := range paths {
		var rec hookRecord
		if _, err := load(path, &rec); err != nil || rec.Result == nil || !rec.Finished.Before(before) || s.hookWanted(rec.Key) {
			continue
		}
		os.Remove(path)
		s.mu.Lock()
		delete(s.hooks, rec.Key)
		s.mu.Unlock()
	}
}

// hookWanted reports whether a hook is wanted, or may be: nothing was applied yet.
func (s *Supervisor) hookWanted(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.wanted.Hooks {
		if h.Key == key {
			return true
		}
	}
	return !s.told
}

func (s *Supervisor) pruneLogs(before time.Time) {
	dirs, _ := glob(s.cfg.Logs, "*/*/*")
	for _, dir := range dirs {
		for _, path := range logFiles(dir) {
			if st, err := os.Stat(path); err == nil && st.ModTime().Before(before) {
				s.logOf(dir).remove(path)
			}
		}
	}
}

// logOf returns the log that is written in a folder, or one that nobody writes.
func (s *Supervisor) logOf(dir string) *logFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.logs {
		if l.dir == dir {
			return l
		}
	}
	return &logFile{dir: dir}
}
