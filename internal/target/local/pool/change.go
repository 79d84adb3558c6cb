package pool

import "slices"

// Resize changes how many instances there may be, and stay. It stops none: what is too
// many ends when it is given back or has been idle.
func (p *Pool[I]) Resize(most, least int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg.Max = max(most, 1)
	p.cfg.Min = min(max(least, 0), p.cfg.Max)
	p.startWanted()
}

// Drop stops an instance that has ended while nobody had it. One that is lent is left to
// who gives it back.
func (p *Pool[I]) Drop(i I) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(one idle[I]) bool {
		if one.instance != i {
			return false
		}
		p.stop(i)
		return true
	})
}
