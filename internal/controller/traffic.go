package controller

import (
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// shown is over how many seconds the observed share of a version is taken.
const shown = 10

// traffic counts a workload's requests of the last seconds by version, for people
// to see: nothing is decided by it.
type traffic struct {
	newest   int64 // unix second of the newest window
	requests map[rollout.Version]*[shown]tick
}

type tick struct {
	second   int64
	requests uint64
}

func (t *traffic) add(w world.VersionWindow) {
	if t.requests == nil {
		t.requests = map[rollout.Version]*[shown]tick{}
	}
	second := w.Start.Unix()
	t.newest = max(t.newest, second)
	ticks := t.requests[w.Version]
	if ticks == nil {
		t.forget()
		ticks = new([shown]tick)
		t.requests[w.Version] = ticks
	}
	at := &ticks[second%shown]
	if at.second != second {
		*at = tick{second: second}
	}
	at.requests += w.Requests
}

// forget drops versions that have not been measured for a while.
func (t *traffic) forget() {
	for v := range t.requests {
		if t.sum(v) == 0 {
			delete(t.requests, v)
		}
	}
}

func (t *traffic) sum(v rollout.Version) (n uint64) {
	ticks := t.requests[v]
	if ticks == nil {
		return 0
	}
	for _, at := range ticks {
		if at.second > t.newest-shown {
			n += at.requests
		}
	}
	return n
}

// share returns a version's part of the requests, from 0 to 1; -1 without any.
func (t *traffic) share(v rollout.Version) float64 {
	var all uint64
	for o := range t.requests {
		all += t.sum(o)
	}
	if all == 0 {
		return -1
	}
	return float64(t.sum(v)) / float64(all)
}
