package controller_test

import (
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/steady"
)

// machine is one whose clock is set while a rollout is under way: windows are stamped by
// it, and the controller goes by a steady clock.
type machine struct {
	*place
	passed time.Duration
	wall   time.Time
	clock  *steady.Clock
}

func onMachine(p *place) *machine {
	m := &machine{place: p, wall: p.now}
	m.clock = steady.By(func() (time.Duration, time.Time) { return m.passed, m.wall }, nil)
	return m
}

// tick lets a second pass.
func (m *machine) tick() {
	m.t.Helper()
	m.passed, m.wall = m.passed+time.Second, m.wall.Add(time.Second)
	ws := m.hands.windows(m.wall)
	for i := range ws {
		ws[i].Start = m.clock.Of(ws[i].End()).Add(-ws[i].Length)
	}
	m.now = m.clock.Now()
	m.Measure(ws)
	m.Observe(m.hands.seen(m.now))
	if _, err := m.Step(m.t.Context(), m.now); err != nil {
		m.t.Fatal(err)
	}
}

// TestR13_aClockThatIsSetCutsNoHoldShort sets it by an hour, back or forth, in the middle
// of a hold of 10 s: nothing is promoted early, and nothing waits for an hour.
func TestR13_aClockThatIsSetCutsNoHoldShort(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		p := newPlace(t)
		p.first()
		m := onMachine(p)
		id := m.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
		weight := func() rollout.Weight { return m.rollout(id).State.Weight }
		for weight() == 0 {
			m.tick()
		}
		at := weight()
		m.tick()
		m.wall = m.wall.Add(by)
		held := 0
		for ; weight() == at && held < 60; held++ {
			m.tick()
		}
		if held < 8 || held > 15 {
			t.Errorf("set by %s: a hold of 10 s took %d s", by, held)
		}
		for range 120 {
			m.tick()
		}
		if s := m.rollout(id).State; s.Outcome != rollout.Promoted {
			t.Errorf("set by %s: %s (%s)", by, s.Phase, s.Why)
		}
	}
}

// TestR12_aClockThatIsSetBlindsNobody has a version turn bad after the clock was set.
func TestR12_aClockThatIsSetBlindsNobody(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		p := newPlace(t)
		p.first()
		m := onMachine(p)
		id := m.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"}).Rollouts[0]
		for m.rollout(id).State.Weight == 0 {
			m.tick()
		}
		m.wall = m.wall.Add(by)
		m.tick()
		m.hands.failing["orders v2"] = 0.5
		for range 12 {
			m.tick()
		}
		if s := m.rollout(id).State; s.Outcome != rollout.RolledBack {
			t.Errorf("set by %s: after 12 s it is %s at %s (%s)", by, s.Phase, s.Weight, s.Why)
		}
	}
}
