package harness

import (
	"context"
	"slices"
	"time"

	"titrate/internal/controller"
	"titrate/internal/sim"
	"titrate/internal/world"
)

// An observation is never late by more than this.
const latest = 5 * time.Second

// mail is what is on its way from the world to the controller in charge.
type mail struct {
	told    uint64    // the sequence observed last
	cursor  uint64    // of the windows read last
	deaf    time.Time // observations are lost until then
	blind   time.Time // the meter cannot be read until then
	letters []letter  // that will come late
}

type letter struct {
	due     time.Time
	seen    *world.Seen
	served  world.Served
	windows []world.VersionWindow
}

// forget begins anew, as a controller that has just started does. Letters to the
// one before still arrive.
func (m *mail) forget() { m.told, m.cursor = 0, 0 }

// show gives a controller what there is to be seen and measured.
func (h *history) show(c *controller.Controller) {
	now := h.clock.Now()
	h.mail.letters = slices.DeleteFunc(h.mail.letters, func(l letter) bool {
		if now.Before(l.due) {
			return false
		}
		if l.seen != nil {
			c.Observe(*l.seen, l.served)
		}
		c.Measure(l.windows)
		return true
	})
	h.measure(c, now)
	h.observe(c, now)
}

func (h *history) observe(c *controller.Controller, now time.Time) {
	m := &h.mail
	if now.Before(m.deaf) {
		return
	}
	seen, err := h.world.Seen(context.Background(), m.told)
	if err != nil {
		c.Unseen()
		m.told = 0
		return
	}
	fresh := seen.Sequence != m.told
	if h.sabotage.distort != nil {
		h.sabotage.distort(&seen)
	}
	served, err := h.world.Served(context.Background())
	if err != nil {
		served = world.Served{}
	}
	switch {
	case fresh && h.chance(h.rates.observationLost):
		m.deaf = now.Add(h.short(latest))
		h.count(ObservationLost)
		return
	case fresh && h.chance(h.rates.observationLate):
		m.letters = append(m.letters, letter{due: now.Add(h.short(latest)), seen: &seen, served: served})
		h.count(ObservationLate)
	case fresh:
		c.Observe(seen, served)
		if h.chance(h.rates.observationDoubled) {
			c.Observe(seen, served)
			h.count(ObservationDoubled)
		}
	}
	m.told = seen.Sequence
}

func (h *history) measure(c *controller.Controller, now time.Time) {
	m := &h.mail
	if now.Before(m.blind) || h.world.Down() {
		c.Blind(sim.ErrFate)
		return
	}
	c.Blind(nil)
	windows, _ := h.world.Windows(context.Background(), m.cursor)
	if len(windows) == 0 {
		return
	}
	m.cursor = windows[len(windows)-1].Cursor
	switch {
	case h.chance(h.rates.windowsLost):
		h.count(WindowsLost)
	case h.chance(h.rates.windowsLate):
		m.letters = append(m.letters, letter{due: now.Add(h.short(latest)), windows: slices.Clone(windows)})
		h.count(WindowsLate)
	default:
		c.Measure(windows)
		if h.chance(h.rates.windowsDoubled) {
			c.Measure(windows)
			h.count(WindowsDoubled)
		}
	}
}

// short is a random time up to d.
func (h *history) short(d time.Duration) time.Duration {
	return time.Duration(h.rand.Int64N(int64(d)))
}
