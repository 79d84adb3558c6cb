package harness

import (
	"time"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

// SteadyPushes is the scenario of R3: a push every three minutes for a day, under
// the default strategy and bake. Nothing else goes wrong.
const SteadyPushes = "steady-pushes"

const (
	day         = 24 * time.Hour
	steadyEvery = 3 * time.Minute
)

// Steady is what came of a steady stream of pushes.
type Steady struct {
	Pushes     int           `json:"pushes"`
	Promotions int           `json:"promotions"` // of each workload, at least
	Shift      time.Duration `json:"shift"`      // what the plan's steps take: one shift time
	Longest    time.Duration `json:"longest"`    // between two promotions of a workload
}

// promotions is when each workload was promoted last, and how often.
type promotions struct {
	last    map[rollout.Key]time.Time
	count   map[rollout.Key]int
	longest time.Duration
}

// steady pushes a change of every service again and again for as long as it is
// told to, then lets the last one end.
func (h *history) steady(lasts, every time.Duration) Steady {
	h.app = &app{overlap: "next", strategy: manifest.DefaultStrategy, bake: "10m"}
	for _, name := range []string{"store", "orders", "payments"} {
		s := &service{name: name, scale: 2, load: 400}
		h.app.services = append(h.app.services, s)
		h.loads[name] = s.load
		h.build(s, true)
	}
	h.promoted = &promotions{last: map[rollout.Key]time.Time{}, count: map[rollout.Key]int{}}
	h.start()
	h.push(false)
	for next := epoch.Add(every); h.clock.Now().Before(epoch.Add(lasts)); h.tick(time.Second) {
		if h.clock.Now().Before(next) {
			continue
		}
		next = next.Add(every)
		for _, s := range h.app.services {
			h.build(s, true)
		}
		h.push(false)
	}
	out := Steady{Pushes: h.pushes, Longest: h.promoted.longest}
	for _, step := range h.store.Record(h.store.Last()).Plan.Steps {
		out.Shift += step.Hold
	}
	for i, k := range h.store.Keys() {
		out.Longest = max(out.Longest, h.clock.Now().Sub(h.promoted.last[k]))
		if n := h.promoted.count[k]; i == 0 || n < out.Promotions {
			out.Promotions = n
		}
	}
	h.holds(notStarved, out.Longest <= 2*out.Shift, "%s passed between two promotions; a shift takes %s", out.Longest, out.Shift)
	h.settle()
	h.steadily = &out
	return out
}

// note takes down a promotion.
func (p *promotions) note(k rollout.Key, now time.Time) {
	if was, any := p.last[k]; any {
		p.longest = max(p.longest, now.Sub(was))
	}
	p.last[k] = now
	p.count[k]++
}
