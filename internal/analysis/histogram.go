package analysis

import "time"

// Buckets is how many latency buckets there are. Bucket i's bounds are fixed for
// ever: histograms of different processes and days can be added.
const Buckets = 2048

// Bucket returns the bucket of d. Two durations of one bucket differ by less
// than 1 % relative error from the bucket's middle.
func Bucket(d time.Duration) int { panic("B: implement") }

// Histogram counts latencies by bucket, sparsely: ascending bucket numbers with
// their counts (never 0).
type Histogram struct {
	Bucket []uint16 `json:"b,omitempty"`
	Count  []uint64 `json:"n,omitempty"`
}
