package main

import (
	"time"

	"titrate/internal/target/local/keepalive"
)

type policy struct {
	name     string
	windows  func(*keepalive.History, keepalive.Settings) keepalive.Windows
	settings keepalive.Settings
}

func fixed(keep time.Duration) policy {
	return policy{name: "fixed " + keep.String(), windows: func(*keepalive.History, keepalive.Settings) keepalive.Windows {
		return keepalive.Windows{Keep: keep}
	}}
}

type result struct {
	calls, colds, firsts int
	idle                 float64 // warm idle instances, averaged over time and functions
	share                float64 // cold share of a function that was called, averaged over those
}

func (r result) cold() float64 { return float64(r.colds) / float64(r.calls) }

// replay spreads the calls of a minute evenly over it. A function has one instance: a call that begins while
// another runs is neither cold nor idle, under every policy alike. A first call is cold under every policy.
func replay(functions []function, p policy) result {
	var r result
	called := 0
	for _, f := range functions {
		length := time.Duration(len(f.minutes)) * time.Minute
		begin, idle := time.Unix(0, 0), time.Duration(0)
		calls, colds := r.calls, r.colds
		var history keepalive.History
		var end time.Time
		var w keepalive.Windows
		for m, n := range f.minutes {
			for i := range n {
				now := begin.Add(time.Duration(m)*time.Minute + time.Minute*time.Duration(2*i+1)/time.Duration(2*n))
				r.calls++
				switch {
				case end.IsZero():
					r.colds++
					r.firsts++
				case now.Before(end):
					end = now.Add(f.busy)
					history.Ended(end)
					w = p.windows(&history, p.settings)
					continue
				default:
					idle += warm(w, now.Sub(end))
					if !w.Warm(end, now) {
						r.colds++
					}
				}
				history.Began(now)
				end = now.Add(f.busy)
				history.Ended(end)
				w = p.windows(&history, p.settings)
			}
		}
		if left := begin.Add(length).Sub(end); !end.IsZero() && left > 0 {
			idle += warm(w, left)
		}
		r.idle += float64(idle) / float64(length) / float64(len(functions))
		if r.calls > calls {
			called++
			r.share += float64(r.colds-colds) / float64(r.calls-calls)
		}
	}
	r.share /= float64(max(1, called))
	return r
}

// warm is for how long of an idle time an instance was warm.
func warm(w keepalive.Windows, idle time.Duration) time.Duration {
	return max(0, min(idle, w.PreWarm+w.Keep)-w.PreWarm)
}
