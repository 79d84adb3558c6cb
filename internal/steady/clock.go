// Package steady is a clock that goes on by what has passed when somebody sets the
// machine's: waits of rollouts that are under way end neither early nor never.
package steady

import (
	"sync"
	"time"
)

// Clock tells the time of the machine, but for when that is set by hand, by a late
// answer of a time server, or by a suspended machine that wakes. Then it stays behind or
// ahead, nears the machine's by a tenth of what passes, and does not go back. It is safe
// for many goroutines.
type Clock struct {
	read func() (passed time.Duration, wall time.Time)
	set  func(by time.Duration)

	mu     sync.Mutex
	passed time.Duration // when it was asked last
	offset time.Duration // of the machine's clock from passed, then
	told   time.Time     // its answer
}

const (
	slew   = 10              // it nears the machine's clock by one in so many
	notice = 2 * time.Second // below, the machine's clock was not set but trimmed
)

// New returns a clock that begins with the machine's time. Set is called, without a lock
// that a caller could meet, when the machine's clock was found set by so much; nil: nobody asks.
func New(set func(by time.Duration)) *Clock {
	began := time.Now()
	return By(func() (time.Duration, time.Time) {
		now := time.Now()
		return now.Sub(began), now.Round(0)
	}, set)
}

// By is [New] by a machine's clock, which read tells: what has passed, and what it says.
func By(read func() (time.Duration, time.Time), set func(time.Duration)) *Clock {
	c := &Clock{read: read, set: set}
	c.passed, c.told = read()
	c.offset = time.Duration(c.told.UnixNano()) - c.passed
	return c
}

// Now returns the time. It has no monotonic reading: nobody needs one.
func (c *Clock) Now() time.Time {
	now, _ := c.look()
	return now
}

// Of returns the time of a stamp that was made by the machine's clock a moment ago. It is
// not later than now, also when the clock was set since.
func (c *Clock) Of(stamp time.Time) time.Time {
	now, wall := c.look()
	if at := stamp.Add(now.Sub(wall)); at.Before(now) {
		return at
	}
	return now
}

// Rest takes the machine's time over at once, also when that is earlier. It is called
// while nothing waits.
func (c *Clock) Rest() {
	_, wall := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = wall
}

func (c *Clock) look() (now, wall time.Time) {
	now, wall, by := c.step()
	if by.Abs() >= notice && c.set != nil {
		c.set(by)
	}
	return now, wall
}

func (c *Clock) step() (now, wall time.Time, by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, wall := c.read()
	passed := at - c.passed
	offset := time.Duration(wall.UnixNano()) - at
	by, c.passed, c.offset = offset-c.offset, at, offset
	on := c.told.Add(passed)
	near := passed / slew
	c.told = on.Add(min(near, max(-near, wall.Sub(on))))
	return c.told, wall, by
}
