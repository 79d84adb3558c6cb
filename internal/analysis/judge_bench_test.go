package analysis

import (
	"testing"
	"time"
)

// busy is a second of 50 requests whose latencies fall into 40 buckets.
func busy(at time.Time) Window {
	w := Window{Start: at, Length: time.Second, Requests: 50}
	w.Status[2] = 50
	for i := range 50 {
		w.Latency.Add(Bucket(time.Duration(5+i%40)*time.Millisecond), 1)
	}
	return w
}

func BenchmarkJudge(b *testing.B) {
	for _, text := range []string{"5xx > 1%", "p99 > 800ms", "p99 > 2x stable", "5xx > 1% for 2s", "p99 > 250ms for 2s", "p99 > 2x stable for 10m"} {
		a := mustParse("a", text)
		from := time.Unix(1_800_000_000, 0)
		candidate, stable := NewSeries([]Alarm{a}), NewSeries([]Alarm{a})
		candidate.Begin(from)
		stable.Begin(from)
		now := from
		for range 700 {
			candidate.Add(busy(now))
			stable.Add(busy(now))
			now = now.Add(time.Second)
		}
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r := Judge(a, candidate, stable, nil, now); r.Verdict != Pass {
					b.Fatalf("%+v", r)
				}
			}
		})
	}
}

func BenchmarkSeriesAdd(b *testing.B) {
	s := NewSeries(Defaults())
	now := time.Unix(1_800_000_000, 0)
	s.Begin(now)
	w := busy(now)
	b.ReportAllocs()
	for b.Loop() {
		w.Start = w.Start.Add(time.Second)
		s.Add(w)
	}
}

func BenchmarkBucket(b *testing.B) {
	d, sum := time.Microsecond, 0
	for b.Loop() {
		d = d*9/8 + 1
		if d > time.Hour {
			d = time.Microsecond
		}
		sum += Bucket(d)
	}
	_ = sum
}
