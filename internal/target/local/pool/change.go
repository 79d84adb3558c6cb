package pool

// Resize changes how many instances there may be, and stay. It stops none: what is too
// many ends when it is given back or has been idle.
func (p *Pool[I]) Resize(most, least int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg.Max = max(most, 1)
	p.cfg.Min = min(max(least, 0), p.cfg.Max)
	p.startFor(len(p.waiting))
}

// Drop stops an instance that has ended while nobody had it. One that is lent is left to
// who gives it back.
func (p *Pool[I]) Drop(i I) {
	p.mu.Lock()
	dropped := false
	for at, one := range p.idle {
		if one.instance == i {
			p.idle, dropped = append(p.idle[:at:at], p.idle[at+1:]...), true
			break
		}
	}
	p.mu.Unlock()
	if dropped {
		p.stop(i)
	}
}
