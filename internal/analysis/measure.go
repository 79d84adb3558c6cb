package analysis

import (
	"math"
	"time"
)

// Evidence without which an alarm holds instead of tripping (R11).
const (
	// minBad is how many bad requests a ratio needs.
	minBad = 3
	// minSlow is how many requests slower than the limit a quantile needs. R11's
	// "10/(1−Q) requests" is the number in which 10 slower than the quantile are
	// expected. Counting the slow ones themselves says the same of a version that
	// is near its limit, and lets one trip that is slow throughout but has little
	// traffic: waiting for 1,000 requests would hurt 990 people more.
	minSlow = 10
)

// evidence returns how many bad requests the metric needs to trip.
func (m Metric) evidence() uint64 {
	switch m.unit() {
	case ratio:
		return minBad
	case latency:
		return minSlow
	default:
		return 0
	}
}

// reference returns how many requests of stable make it a measure for others.
func (a Alarm) reference() uint64 {
	n := uint64(a.Min)
	if q, ok := a.Metric.quantile(); ok {
		n = max(n, uint64(math.Ceil(10*1000/float64(1000-q)))) // R11: 10/(1−Q)
	}
	return n
}

// measured reports whether w is a data point of the metric: a share of no
// requests is none.
func (m Metric) measured(w *Window) bool {
	switch m.unit() {
	case ratio:
		return w.Requests > 0
	case latency:
		return len(w.Latency.Bucket) > 0
	default:
		return true
	}
}

// sample returns how many requests the metric was measured on.
func (m Metric) sample(points []point) (n uint64) {
	for i := range points {
		if m.unit() == latency {
			n += points[i].w.Latency.Total()
		} else {
			n += points[i].w.Requests
		}
	}
	return n
}

// value returns what the metric was over the points, in the unit of Alarm.Limit.
func (a Alarm) value(points []point) float64 {
	if q, ok := a.Metric.quantile(); ok {
		return quantile(points, q).Seconds()
	}
	var sum Window
	for i := range points {
		w := points[i].w
		w.Latency = Histogram{}
		sum.Merge(w)
	}
	return a.of(&sum)
}

// of returns the metric over a window; latency has [quantile] instead.
func (a Alarm) of(w *Window) float64 {
	switch a.Metric.unit() {
	case ratio:
		return divide(float64(a.Metric.failures(w)), float64(w.Requests))
	case rate:
		return divide(float64(w.Requests), w.Length.Seconds())
	case count:
		return float64(a.Metric.happened(w))
	case age:
		return w.QueueAge.Seconds()
	default:
	}
	switch {
	case a.Metric == Memory && a.Relative:
		return float64(w.Memory)
	case a.Metric == Memory:
		return divide(float64(w.Memory), float64(w.MemoryLimit))
	case w.CPULimit > 0:
		return w.CPU / w.CPULimit
	default:
		return divide(w.CPU, w.Length.Seconds())
	}
}

// happened returns how often what a count counts did.
func (m Metric) happened(w *Window) uint64 {
	switch m {
	case Timeouts:
		return w.Timeouts
	case OOM:
		return w.OOM
	case Throttles:
		return w.Throttles
	default:
		return w.Restarts
	}
}

// failures returns the bad requests of a ratio.
func (m Metric) failures(w *Window) uint64 {
	switch m {
	case Status5xx:
		return w.Status[5]
	case Status4xx:
		return w.Status[4]
	case ColdStarts:
		return w.ColdStarts
	default:
		return w.Failed
	}
}

// bad returns the bad events in w: failures of a ratio, requests slower than the
// limit of a quantile.
func (a Alarm) bad(w *Window, limit float64) uint64 {
	switch a.Metric.unit() {
	case ratio:
		return a.Metric.failures(w)
	case latency:
		return w.Latency.Above(seconds(limit))
	default:
		return 0
	}
}

// breaches reports whether the data point w is beyond the limit.
func (a Alarm) breaches(w *Window, limit float64) bool {
	if q, ok := a.Metric.quantile(); ok {
		// The quantile lies above the limit's bucket when fewer than its rank do not.
		n := w.Latency.Total()
		return n-w.Latency.Above(seconds(limit)) < rank(n, q)
	}
	if a.Below {
		return a.of(w) < limit
	}
	return a.of(w) > limit
}

// quantile is that of the points' latencies together.
func quantile(points []point, thousandths int) time.Duration {
	var counts [Buckets]uint64
	var total uint64
	first := Buckets
	for i := range points {
		h := points[i].w.Latency
		if len(h.Bucket) > 0 {
			first = min(first, int(h.Bucket[0]))
		}
		for j, b := range h.Bucket {
			counts[b] += h.Count[j]
			total += h.Count[j]
		}
	}
	left := rank(total, thousandths)
	for b := first; b < Buckets; b++ {
		if counts[b] >= left {
			return BucketMid(b)
		}
		left -= counts[b]
	}
	return 0
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

func divide(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
