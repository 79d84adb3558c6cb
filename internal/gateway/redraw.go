package gateway

import "titrate/internal/rollout"

// redraw gives up the ticket of a request whose version takes no calls any more, and so
// has seen nothing of it, for one by the newest table: find says where that leads. While
// the weights are those by which it was drawn, another instance stands in, as for one
// that cannot be connected to (R5); else the draw is taken back, so that each request is
// drawn once by the account (R15). A refusal comes with a ticket when a version was
// drawn and nothing was ready; with neither, the request was cut before it could move.
func (t *ticket) redraw(find func(*snapshot) (*lane, rollout.Version, *refusal)) (*ticket, *refusal) {
	if t.ended.Swap(true) { // from here on nobody cuts it
		return nil, nil
	}
	g, old, tried := t.gateway, t.lane, append(t.tried, t.instance)
	t.leave()
	l, v, ref := find(g.table.Load())
	switch {
	case t.preview:
		t.fleet.totals.previewed.Add(^uint64(0))
	case ref == nil && l.split == old.split:
		next := &ticket{gateway: g, lane: l, share: t.share, shard: t.shard, jitter: t.jitter, tried: tried}
		return next, next.take()
	default:
		old.split.undraw(t.share, t.shard)
		tried = nil // a version may take calls again
	}
	if ref != nil {
		return nil, ref
	}
	if v != 0 {
		return g.preview(l, v, tried)
	}
	return g.draw(l, tried)
}
