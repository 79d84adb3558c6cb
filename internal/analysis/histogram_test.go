package analysis

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBucket_coversAMicrosecondToAnHour(t *testing.T) {
	t.Parallel()
	low, _ := BucketBounds(0)
	_, high := BucketBounds(Buckets - 1)
	if low != 1024*time.Nanosecond || high < time.Hour {
		t.Errorf("buckets cover %v to %v", low, high)
	}
	for d, want := range map[time.Duration]int{
		-time.Second: 0, 0: 0, time.Microsecond: 0, 1024: 0, 1039: 0, 1040: 1, 2047: 63, 2048: 64, 2079: 64, 2080: 65,
		high - 1: Buckets - 1, high: Buckets - 1, 1 << 62: Buckets - 1, time.Second: 1271,
	} {
		if got := Bucket(d); got != want {
			t.Errorf("Bucket(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestBucket_hasBoundsWithoutGaps(t *testing.T) {
	t.Parallel()
	var before time.Duration = 1024
	for i := range Buckets {
		low, high := BucketBounds(i)
		if low != before {
			t.Fatalf("bucket %d begins at %v, the one before ends at %v", i, low, before)
		}
		if Bucket(low) != i || Bucket(high-1) != i {
			t.Fatalf("bucket %d's bounds %v to %v are in %d and %d", i, low, high, Bucket(low), Bucket(high-1))
		}
		if mid := BucketMid(i); mid-low != high-mid || (high-low)*100 >= 2*low {
			t.Fatalf("bucket %d of %v to %v has the middle %v", i, low, high, mid)
		}
		before = high
	}
}

// latencies draws durations that buckets tell apart.
func latencies() *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.Float64Range(11, 31.9), func(log2 float64) time.Duration {
		n := 1 << int(log2)
		return time.Duration(float64(n) * (1 + log2 - float64(int(log2))))
	})
}

func histogram(ds []time.Duration) Histogram {
	var h Histogram
	for _, d := range ds {
		h.Add(Bucket(d), 1)
	}
	return h
}

func TestHistogram_quantilesAreWithinOnePercent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(latencies(), 1, 300).Draw(t, "latencies")
		th := rapid.IntRange(1, 1000).Draw(t, "quantile in thousandths")
		got := histogram(ds).Quantile(float64(th) / 1000)
		slices.Sort(ds)
		exact := ds[(len(ds)*th+999)/1000-1]
		if off := max(got-exact, exact-got); off*100 > exact {
			t.Fatalf("quantile %d/1000 of %v is %v, got %v", th, ds, exact, got)
		}
	})
}

func TestHistogram_quantileOfKnownValues(t *testing.T) {
	t.Parallel()
	var h Histogram
	if h.Quantile(0.99) != 0 || h.Total() != 0 || h.Above(0) != 0 {
		t.Error("an empty histogram is not all zero")
	}
	h.Add(7, 0)
	if len(h.Bucket) != 0 {
		t.Error("a count of 0 was stored")
	}
	h.Add(100, 98)
	h.Add(500, 1)
	h.Add(300, 1)
	for q, bucket := range map[float64]int{0: 100, 0.5: 100, 0.98: 100, 0.981: 300, 0.99: 300, 0.991: 500, 1: 500} {
		if got := h.Quantile(q); got != BucketMid(bucket) {
			t.Errorf("quantile %v is in bucket %d, want %d", q, Bucket(got), bucket)
		}
	}
}

func TestHistogram_mergeIsAssociativeAndCommutative(t *testing.T) {
	t.Parallel()
	some := rapid.SliceOfN(latencies(), 0, 60)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := some.Draw(t, "a"), some.Draw(t, "b"), some.Draw(t, "c")
		all := histogram(slices.Concat(a, b, c))
		merged := func(hs ...Histogram) (sum Histogram) {
			for _, h := range hs {
				sum.Merge(h)
			}
			return sum
		}
		left := merged(merged(histogram(a), histogram(b)), histogram(c))
		right := merged(histogram(a), merged(histogram(b), histogram(c)))
		turned := merged(histogram(c), histogram(b), histogram(a))
		for _, got := range []Histogram{left, right, turned} {
			if !slices.Equal(got.Bucket, all.Bucket) || !slices.Equal(got.Count, all.Count) {
				t.Fatalf("merged %v, want %v", got, all)
			}
		}
	})
}

func TestHistogram_mergeLeavesTheOtherAlone(t *testing.T) {
	t.Parallel()
	var sum Histogram
	other := histogram([]time.Duration{time.Millisecond, time.Second})
	sum.Merge(other)
	sum.Add(Bucket(time.Millisecond), 5)
	sum.Merge(histogram([]time.Duration{time.Microsecond, time.Second}))
	if d := cmp.Diff(histogram([]time.Duration{time.Millisecond, time.Second}), other); d != "" {
		t.Error(d)
	}
}

func TestHistogram_aboveCountsWhatIsSlower(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(latencies(), 0, 100).Draw(t, "latencies")
		limit := latencies().Draw(t, "limit")
		var want uint64
		for _, d := range ds {
			if Bucket(d) > Bucket(limit) {
				want++
			}
		}
		if got := histogram(ds).Above(limit); got != want {
			t.Fatalf("%d of %v are above %v, got %d", want, ds, limit, got)
		}
	})
}

func TestHistogramOf_isWhatAddingMakes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var counts [Buckets]uint64
		var want Histogram
		for bucket, n := range rapid.MapOfN(rapid.IntRange(0, Buckets-1), rapid.Uint64Range(0, 9), 0, 50).Draw(t, "counts") {
			counts[bucket] = n
			want.Add(bucket, n)
		}
		got := HistogramOf(&counts)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if len(got.Bucket) != cap(got.Bucket) || len(got.Count) != cap(got.Count) {
			t.Fatal("it holds more memory than it needs")
		}
	})
}

func TestHistogram_JSONRoundTrip(t *testing.T) {
	t.Parallel()
	want := Window{Start: time.Unix(1, 0).UTC(), Length: time.Second, Requests: 2, Latency: histogram([]time.Duration{time.Millisecond, time.Hour})}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Window
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s, _ := json.Marshal(Window{}); string(s) != `{"start":"0001-01-01T00:00:00Z","length":0,"requests":0,"status":[0,0,0,0,0,0],"failed":0}` {
		t.Errorf("an empty window is written as %s", s)
	}
}

func TestHistogram_refusesDamage(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"b":[1]}`, `{"n":[1]}`, `{"b":[1,2],"n":[1]}`, `{"b":[2,1],"n":[1,1]}`, `{"b":[2,2],"n":[1,1]}`,
		`{"b":[2048],"n":[1]}`, `{"b":[70000],"n":[1]}`, `{"b":[1],"n":[0]}`, `{"b":[-1],"n":[1]}`, `[]`,
	} {
		var h Histogram
		if err := json.Unmarshal([]byte(text), &h); err == nil {
			t.Errorf("%s was read as %v", text, h)
		}
	}
	h := Histogram{Bucket: []uint16{9}, Count: []uint64{9}}
	if err := json.Unmarshal([]byte(`{"b":[0,2047],"n":[1,2]}`), &h); err != nil || h.Total() != 3 || len(h.Bucket) != 2 {
		t.Errorf("read %v, %v", h, err)
	}
}
