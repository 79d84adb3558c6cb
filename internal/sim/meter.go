package sim

import (
	"context"
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// keptWindows is how many closed windows can be read again.
const keptWindows = 128

// Windows returns the closed windows above a cursor, at once.
func (w *World) Windows(_ context.Context, after uint64) ([]world.VersionWindow, error) {
	i := sort.Search(len(w.windows), func(i int) bool { return w.windows[i].Cursor > after })
	return w.windows[i:], nil
}

// Send has n requests to a workload answered in the second that is open.
func (w *World) Send(k rollout.Key, n int) { w.work(k).sent += n }

// close answers the requests of the second that ends at end, and closes its
// windows. A node that is down answers and counts nothing.
func (w *World) close(end time.Time) {
	start := w.second
	w.second = end
	if w.Down() {
		return
	}
	for _, o := range w.works {
		n := o.sent
		o.sent = 0
		if w.Load != nil {
			n += poisson(w.Rand, w.Load(o.key))
		}
		if n > 0 {
			o.quiet = time.Time{}
		} else if o.quiet.IsZero() {
			o.quiet = start
			w.changed = true
		}
		w.serve(o, n, start)
	}
	if len(w.windows) > 4*keptWindows {
		kept := make([]world.VersionWindow, keptWindows, 5*keptWindows)
		copy(kept, w.windows[len(w.windows)-keptWindows:])
		w.windows = kept
	}
}

// serve draws n requests by the weights of the router's table. What falls to a
// version of which nothing is ready goes to another that is, and counts nowhere;
// with nothing ready it is lost (R5).
func (w *World) serve(o *work, n int, start time.Time) {
	rest, weight := n, rollout.Full
	for _, f := range o.fleets {
		share := rollout.Weight(0)
		for _, s := range o.split {
			if s.Version == f.version {
				share += s.Weight
			}
		}
		drawn := 0
		if share > 0 {
			drawn = binomial(w.Rand, rest, float64(share)/float64(max(weight, 1)))
			rest, weight = rest-drawn, weight-share
		}
		if share > 0 && f.ready == 0 {
			if w.Bugs.DrawsUnready {
				w.unready += drawn
			} else {
				w.lost += drawn
				drawn = 0
			}
		}
		w.window(o, f, drawn, start)
	}
	w.lost += rest
}

// window closes the window of one version, which answered n requests.
func (w *World) window(o *work, f *fleet, n int, start time.Time) {
	w.cursor++
	v := world.VersionWindow{Cursor: w.cursor, Epoch: epochs[w.epoch%len(epochs)], Key: o.key, Version: f.version}
	v.Start, v.Length = start, time.Second
	n = w.call(f, &v.Window, n)
	v.Requests = uint64(n)
	v.Restarts, f.restarted = f.restarted, 0
	if n > 0 {
		bad := binomial(w.Rand, n, f.nature.Errors)
		if w.Bugs.Blameless {
			bad = 0
		}
		v.Failed = uint64(bad)
		v.Status[2], v.Status[5] = uint64(n-bad), uint64(bad)
		w.timeOut(f, &v.Window, n)
		v.Latency = latencies(w.Rand, f.nature.Latency, n)
	}
	w.windows = append(w.windows, v)
}

var epochs = [...]string{"a", "b", "c", "d", "e", "f", "g", "h"}

// latencies spreads n requests around a median: a tenth takes three times as long.
func latencies(r *rand.Rand, median time.Duration, n int) analysis.Histogram {
	if median <= 0 {
		median = 10 * time.Millisecond
	}
	slow := binomial(r, n, 0.1)
	fast := (n - slow) / 2
	var h analysis.Histogram
	for _, at := range [...]struct {
		d time.Duration
		n int
	}{{median / 2, fast}, {median, n - slow - fast}, {3 * median, slow}} {
		if at.n > 0 {
			if h.Bucket == nil {
				h.Bucket, h.Count = make([]uint16, 0, 3), make([]uint64, 0, 3)
			}
			h.Bucket, h.Count = append(h.Bucket, uint16(analysis.Bucket(at.d))), append(h.Count, uint64(at.n))
		}
	}
	return h
}

// exact is up to where draws are made one by one; above, the normal
// distribution is near enough.
const exact = 24

func binomial(r *rand.Rand, n int, p float64) int {
	switch {
	case n == 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case n <= exact:
		k := 0
		for range n {
			if r.Float64() < p {
				k++
			}
		}
		return k
	}
	mean := float64(n) * p
	return min(max(int(math.Round(mean+r.NormFloat64()*math.Sqrt(mean*(1-p)))), 0), n)
}

func poisson(r *rand.Rand, mean float64) int {
	switch {
	case mean <= 0:
		return 0
	case mean > exact:
		return max(int(math.Round(mean+r.NormFloat64()*math.Sqrt(mean))), 0)
	}
	n, p := 0, r.Float64()
	for limit := math.Exp(-mean); p > limit; n++ {
		p *= r.Float64()
	}
	return n
}
