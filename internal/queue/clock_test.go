package queue

import (
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// hands is a clock that a test moves.
type hands struct {
	mu     sync.Mutex
	now    time.Time
	alarms map[chan time.Time]time.Time
	set    chan struct{} // gets a value when an alarm was set
}

func newHands() *hands {
	return &hands{now: time.UnixMilli(1_700_000_000_000), alarms: map[chan time.Time]time.Time{}, set: make(chan struct{}, 100)}
}

func (h *hands) clock() Clock {
	return Clock{
		Now: func() time.Time {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.now
		},
		At: func(t time.Time) (<-chan time.Time, func()) {
			h.mu.Lock()
			defer h.mu.Unlock()
			c := make(chan time.Time, 1)
			if t.After(h.now) {
				h.alarms[c] = t
			} else {
				c <- h.now
			}
			h.set <- struct{}{}
			return c, func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				delete(h.alarms, c)
			}
		},
	}
}

func (h *hands) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
	for c, at := range h.alarms {
		if !at.After(h.now) {
			c <- h.now
			delete(h.alarms, c)
		}
	}
}

func open(t testing.TB, c Clock) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "queues.db"), Clock: c, unsynced: c.Now != nil})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func send(t testing.TB, s *Store, q string, e Entry) string {
	t.Helper()
	id, err := s.Send(t.Context(), q, e)
	must(t, err)
	return id
}

func receive(t testing.TB, s *Store, q string, n int) []Message {
	t.Helper()
	ms, err := s.Receive(t.Context(), q, n, 0)
	must(t, err)
	return ms
}

func stats(t testing.TB, s *Store, q string) Statistics {
	t.Helper()
	st, err := s.Statistics(t.Context(), q)
	must(t, err)
	return st
}
