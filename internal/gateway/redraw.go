package gateway

// redraw gives up the ticket of a request whose version takes no calls any more, and so
// has seen nothing of it, for one by the newest table: find says where that leads. While
// the weights are those by which it was drawn, another instance stands in, as for one
// that cannot be connected to (R5); else the draw is taken back, so that each request is
// drawn once by the account (R15). A refusal comes with a ticket when a version was
// drawn and nothing was ready; with neither, the request was cut before it could move.
func (t *ticket) redraw(find func(*snapshot) (way, *refusal)) (next *ticket, ref *refusal) {
	defer func() {
		if next != nil {
			next.asked, next.retries = t.asked, t.retries+1
		}
	}()
	if t.ended.Swap(true) { // from here on nobody cuts it
		return nil, nil
	}
	g, tried := t.gateway, append(t.tried, t.instance)
	t.leave()
	w, ref := find(g.table.Load())
	switch {
	case t.standsIn:
		return t.standAgain(tried)
	case t.preview:
		t.fleet.totals.previewed.Add(^uint64(0))
	case ref == nil && w.lane.current() == t.split:
		next = &ticket{gateway: g, lane: w.lane, split: t.split, route: w.route, aimed: t.aimed, apart: t.apart, share: t.share, shard: t.shard, jitter: t.jitter, tried: tried}
		return next, next.take()
	case t.aimed:
		t.split.fleets[t.share].totals.matched.Add(^uint64(0))
		tried = nil
	default:
		t.split.undraw(t.share, t.shard)
		tried = nil // a version may take calls again
	}
	if ref != nil {
		return nil, ref
	}
	if w.version != 0 {
		return g.preview(w, tried)
	}
	return g.draw(w, tried)
}

// standAgain takes another instance of stable for what a candidate has failed.
func (t *ticket) standAgain(tried []*instance) (*ticket, *refusal) {
	next := &ticket{gateway: t.gateway, lane: t.lane, split: t.split, route: t.route, share: t.share, shard: t.shard, jitter: t.jitter, fleet: t.fleet, tried: tried, standsIn: true}
	if next.instance = t.fleet.acquire(tried); next.instance == nil {
		return next, refuseReady
	}
	return next, nil
}
