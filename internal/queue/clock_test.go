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

func open(tb testing.TB, c Clock) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Options{Path: filepath.Join(tb.TempDir(), "queues.db"), Clock: c, unsynced: c.Now != nil})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func send(tb testing.TB, s *Store, q string, e Entry) string {
	tb.Helper()
	id, err := s.Send(tb.Context(), q, e)
	must(tb, err)
	return id
}

func receive(tb testing.TB, s *Store, q string, n int) []Message {
	tb.Helper()
	ms, err := s.Receive(tb.Context(), q, n, 0)
	must(tb, err)
	return ms
}

func stats(tb testing.TB, s *Store, q string) Statistics {
	tb.Helper()
	st, err := s.Statistics(tb.Context(), q)
	must(tb, err)
	return st
}
