package rollout

import (
	"slices"
	"time"
)

// past has what is said to begin later than now begin now: the clock was set back while
// nobody looked, and what waits since then would wait until it says so again. A wait
// begins anew at most, and none is cut short.
func (l *look) past(s State) State {
	for _, at := range []*time.Time{&s.Since, &s.Arrived, &s.Began, &s.Unserved, &s.Short, &s.Unjudged} {
		if at.After(l.now) {
			*at = l.now
		}
	}
	if p := s.Pause; p != nil && p.Since.After(l.now) {
		again := *p
		if again.Since = l.now; !p.Until.IsZero() {
			again.Until = l.now.Add(p.Until.Sub(p.Since))
		}
		s.Pause = &again
	}
	if slices.ContainsFunc(s.Hooks, func(h HookRecord) bool { return h.Asked.After(l.now) }) {
		s.Hooks = slices.Clone(s.Hooks)
		for i := range s.Hooks {
			if s.Hooks[i].Asked.After(l.now) {
				s.Hooks[i].Asked = l.now
			}
		}
	}
	return s
}
