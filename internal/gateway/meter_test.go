package gateway

import (
	"math/rand/v2"
	"testing"
	"time"

	"titrate/internal/analysis"
)

func TestAMetersWindowsHoldWhatWasAddedInAnyOrder(t *testing.T) {
	t.Parallel()
	var m meter
	if _, told := m.take(); told {
		t.Error("an empty meter has something to tell")
	}
	want := map[int]uint64{}
	got := map[int]uint64{}
	for round := range 50 {
		for range rand.IntN(40) * (round % 3) {
			d := time.Duration(rand.Int64N(int64(time.Hour) << uint(rand.IntN(3)) >> uint(rand.IntN(40))))
			want[analysis.Bucket(d)]++
			m.add(rand.IntN(shards), outcome{status: 200, latency: d})
		}
		w, _ := m.take()
		var n uint64
		for i, b := range w.Latency.Bucket {
			if i > 0 && b <= w.Latency.Bucket[i-1] || w.Latency.Count[i] == 0 {
				t.Fatalf("histogram is %+v", w.Latency)
			}
			got[int(b)] += w.Latency.Count[i]
			n += w.Latency.Count[i]
		}
		if n != w.Requests || w.Status[2] != n {
			t.Fatalf("window holds %+v", w)
		}
	}
	for b, n := range want {
		if got[b] != n {
			t.Errorf("bucket %d holds %d, not %d", b, got[b], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d buckets, not %d", len(got), len(want))
	}
}
