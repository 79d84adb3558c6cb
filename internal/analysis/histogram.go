package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Buckets is how many latency buckets there are. Bucket i's bounds are fixed for
// ever: histograms of different processes and days can be added.
//
// The layout is log-linear, as HdrHistogram's (hdrhistogram.org): each of 32
// octaves from 1.024 µs to 73 min is cut into 64 equal parts, so that a bucket is
// at most 1/64 of its lower bound wide and its middle is off by at most 0.8 %.
// Relative error rather than fixed steps is what makes quantiles of merged
// histograms trustworthy: Masson, Rim, Lee, "DDSketch", PVLDB 12(12), 2019.
const Buckets = octaves * parts

const (
	octaves   = 32
	parts     = 1 << partBits
	partBits  = 6
	firstBits = 10 // the first octave begins at 1<<firstBits nanoseconds
)

// Bucket returns the bucket of d. Two durations of one bucket differ by less
// than 1 % relative error from the bucket's middle. Durations below 1.024 µs
// count as the first bucket, those beyond 73 min as the last.
func Bucket(d time.Duration) int {
	n := uint64(max(d, 1<<firstBits))
	octave := bits.Len64(n) - firstBits - 1
	if octave >= octaves {
		return Buckets - 1
	}
	return octave<<partBits | int(n>>(octave+firstBits-partBits))&(parts-1)
}

// BucketBounds returns the durations [low, high) of bucket i.
func BucketBounds(i int) (low, high time.Duration) {
	width := time.Duration(1) << (i>>partBits + firstBits - partBits)
	low = width * time.Duration(parts+i&(parts-1))
	return low, low + width
}

// BucketMid returns the middle of bucket i: the duration that stands for it.
func BucketMid(i int) time.Duration {
	low, high := BucketBounds(i)
	return (low + high) / 2
}

// Histogram counts latencies by bucket, sparsely: ascending bucket numbers with
// their counts (never 0).
type Histogram struct {
	Bucket []uint16 `json:"b,omitempty"`
	Count  []uint64 `json:"n,omitempty"`
}

// HistogramOf makes a histogram of counts by bucket, which it does not keep.
func HistogramOf(counts *[Buckets]uint64) Histogram {
	used := 0
	for _, n := range counts {
		if n > 0 {
			used++
		}
	}
	if used == 0 {
		return Histogram{}
	}
	h := Histogram{Bucket: make([]uint16, 0, used), Count: make([]uint64, 0, used)}
	for i, n := range counts {
		if n > 0 {
			h.Bucket = append(h.Bucket, uint16(i))
			h.Count = append(h.Count, n)
		}
	}
	return h
}

// Add counts n more latencies in the bucket.
func (h *Histogram) Add(bucket int, n uint64) {
	if n == 0 {
		return
	}
	i, found := slices.BinarySearch(h.Bucket, uint16(bucket))
	if found {
		h.Count[i] += n
		return
	}
	h.Bucket = slices.Insert(h.Bucket, i, uint16(bucket))
	h.Count = slices.Insert(h.Count, i, n)
}

// Merge adds the counts of o, which it neither changes nor keeps.
func (h *Histogram) Merge(o Histogram) {
	fresh := len(o.Bucket)
	for i, j := 0, 0; i < len(h.Bucket) && j < len(o.Bucket); {
		switch a, b := h.Bucket[i], o.Bucket[j]; {
		case a < b:
			i++
		case a > b:
			j++
		default:
			fresh--
			i++
			j++
		}
	}
	// From the back, so that nothing is overwritten before it has moved.
	i, j, k := len(h.Bucket)-1, len(o.Bucket)-1, len(h.Bucket)+fresh-1
	h.Bucket = slices.Grow(h.Bucket, fresh)[:k+1]
	h.Count = slices.Grow(h.Count, fresh)[:k+1]
	for ; j >= 0; k-- {
		switch {
		case i >= 0 && h.Bucket[i] > o.Bucket[j]:
			h.Bucket[k], h.Count[k] = h.Bucket[i], h.Count[i]
			i--
		case i >= 0 && h.Bucket[i] == o.Bucket[j]:
			h.Bucket[k], h.Count[k] = h.Bucket[i], h.Count[i]+o.Count[j]
			i--
			j--
		default:
			h.Bucket[k], h.Count[k] = o.Bucket[j], o.Count[j]
			j--
		}
	}
}

// Total returns how many latencies were counted.
func (h Histogram) Total() uint64 {
	var sum uint64
	for _, n := range h.Count {
		sum += n
	}
	return sum
}

// Above returns how many latencies were slower than d, to the accuracy of a
// bucket: those that share d's bucket are not.
func (h Histogram) Above(d time.Duration) uint64 {
	limit := uint16(Bucket(d))
	var sum uint64
	for i := len(h.Bucket) - 1; i >= 0 && h.Bucket[i] > limit; i-- {
		sum += h.Count[i]
	}
	return sum
}

// Quantile returns the smallest latency that at least the share q of all does
// not exceed, as the middle of its bucket: within 1 % of the exact one. Nothing
// counted gives 0.
func (h Histogram) Quantile(q float64) time.Duration {
	left := rank(h.Total(), int(math.Round(q*1000)))
	for i, n := range h.Count {
		if n >= left {
			return BucketMid(int(h.Bucket[i]))
		}
		left -= n
	}
	return 0
}

// rank returns which of n sorted values is the quantile, counted from 1. It goes
// by thousandths because 0.07·100 is not 7 in floating point.
func rank(n uint64, thousandths int) uint64 {
	return max(1, uint64(math.Ceil(float64(n)*float64(thousandths)/1000)))
}

// UnmarshalJSON reads what encoding/json writes and refuses what no histogram
// can hold, so that a damaged file is an error here and not a wrong verdict.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	type plain Histogram
	var p plain
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if len(p.Bucket) != len(p.Count) {
		return fmt.Errorf("histogram has %d buckets but %d counts", len(p.Bucket), len(p.Count))
	}
	for i, b := range p.Bucket {
		if b >= Buckets || p.Count[i] == 0 || i > 0 && b <= p.Bucket[i-1] {
			return fmt.Errorf("histogram bucket %d (number %d) is out of place", i, b)
		}
	}
	*h = Histogram(p)
	return nil
}
