// Package sim is a simulated world behind the controller's seams, on a clock of
// its own: a target whose instances take their time and die, a router that
// acknowledges late, a meter whose requests are drawn, and a store that forgets
// nothing but may fail at any write. The same seed gives the same world: nothing
// in it reads a clock or starts a goroutine, so a history that went wrong can be
// played again.
package sim

import (
	"errors"
	"time"
)

// Clock is the time of a simulated world. It stands still until it is moved.
type Clock struct{ now time.Time }

// NewClock returns a clock that stands at t.
func NewClock(t time.Time) *Clock { return &Clock{now: t} }

// Now returns the simulated time.
func (c *Clock) Now() time.Time { return c.now }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.now = c.now.Add(d) }

// Fate is what becomes of a write.
type Fate int

// The fates. A process that is killed before a write leaves Refused behind, one
// that is killed after it Unanswered.
const (
	Done       Fate = iota // written and answered
	Refused                // not written, and an error
	Unanswered             // written, and an error all the same
)

// ErrFate is wrapped by what a write returns whose fate was not to be done.
var ErrFate = errors.New("fate")
