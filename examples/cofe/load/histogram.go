package load

import (
	"math"
	"time"
)

// histogram counts latencies in buckets that are 1 % wide, from 1 µs on.
type histogram struct {
	counts [2048]uint32
	total  uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	i := int(math.Log(max(1, float64(d.Microseconds()))) / math.Log(1.01))
	h.counts[min(i, len(h.counts)-1)]++
	h.total++
	h.max = max(h.max, d)
}

// quantile returns the upper end of the bucket that holds quantile q.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(h.total)))
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += uint64(n); seen >= rank {
			return min(h.max, time.Duration(math.Pow(1.01, float64(i+1))*float64(time.Microsecond)))
		}
	}
	return h.max
}
