package steady

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// machine is a machine whose clock is set.
type machine struct {
	passed time.Duration
	wall   time.Time
}

func (m *machine) read() (time.Duration, time.Time) { return m.passed, m.wall }

func (m *machine) pass(d time.Duration) { m.passed, m.wall = m.passed+d, m.wall.Add(d) }

func newMachine() *machine { return &machine{wall: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)} }

func TestClock_whenTheMachinesIsSet(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		m := newMachine()
		var told time.Duration
		c := By(m.read, func(by time.Duration) { told = by })
		began := c.Now()
		m.pass(time.Minute)
		if got := c.Now().Sub(began); got != time.Minute || told != 0 {
			t.Errorf("a minute took %s, and it is said to be set by %s", got, told)
		}
		m.wall = m.wall.Add(by)
		m.pass(10 * time.Minute)
		if got := c.Now().Sub(began); got < 10*time.Minute || got > 12*time.Minute+time.Second || told != by {
			t.Errorf("set by %s: 11 minutes took %s, and it is said to be set by %s", by, got, told)
		}
		if at, now := c.Of(m.wall.Add(-time.Second)), c.Now(); now.Sub(at) != time.Second {
			t.Errorf("set by %s: what was stamped a second ago was %s ago", by, now.Sub(at))
		}
		if at, now := c.Of(m.wall.Add(by.Abs())), c.Now(); !at.Equal(now) {
			t.Errorf("set by %s: what was stamped before is of the future, by %s", by, at.Sub(now))
		}
		for range 24 * 60 {
			m.pass(time.Minute)
			c.Now()
		}
		if now := c.Now(); !now.Equal(m.wall) {
			t.Errorf("set by %s: a day later it is %s off", by, now.Sub(m.wall))
		}
		m.wall = m.wall.Add(by)
		if c.Rest(); !c.Now().Equal(m.wall) {
			t.Errorf("set by %s: at rest it is %s off", by, c.Now().Sub(m.wall))
		}
	}
}

// What a clock says has passed is what has passed, within a tenth, whatever is done to
// the machine's; and it does not go back.
func TestClock_property(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine()
		c := By(m.read, nil)
		began, last := c.Now(), c.Now()
		for range rapid.IntRange(1, 50).Draw(t, "looks") {
			if rapid.Bool().Draw(t, "set") {
				m.wall = m.wall.Add(time.Duration(rapid.Int64Range(-1e13, 1e13).Draw(t, "by")))
			}
			m.pass(time.Duration(rapid.Int64Range(0, 1e11).Draw(t, "pass")))
			now := c.Now()
			if now.Before(last) {
				t.Fatalf("it went back by %s", last.Sub(now))
			}
			last = now
		}
		if off := last.Sub(began) - m.passed; off.Abs() > m.passed/slew+time.Microsecond {
			t.Fatalf("%s are said to be %s", m.passed, last.Sub(began))
		}
	})
}
