package queue

import "time"

// Clock is the time by which messages are delayed, hidden and kept.
type Clock struct {
	// Now tells the time.
	Now func() time.Time
	// At returns a channel that gets a value or is closed at t or later, and a
	// function that lets go of it. Earlier is not wrong: the store looks again.
	At func(t time.Time) (<-chan time.Time, func())
}

func (c Clock) orMachine() Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.At == nil {
		now := c.Now
		c.At = func(t time.Time) (<-chan time.Time, func()) {
			timer := time.NewTimer(t.Sub(now()))
			return timer.C, func() { timer.Stop() }
		}
	}
	return c
}
