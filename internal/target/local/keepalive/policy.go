// Package keepalive decides how long an idle instance of a function stays warm and when one is started ahead of its next call.
//
// The policy is the hybrid histogram of Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020), section 4.
// It is pure: the caller says what time it is and acts on the answer.
package keepalive

import (
	"fmt"
	"math"
	"time"
)

// Bins is how many idle times of one minute's width a histogram tells apart; longer ones are out of range.
const Bins = 240

// Settings are the numbers of the policy. Default gives those that the figures in bench/keepalive are of.
type Settings struct {
	Head, Tail float64       // percentiles of the idle times, 0 to 1
	Margin     float64       // share by which the windows are widened on each side
	MinSamples int           // fewer idle times than this say nothing
	MinCV      float64       // coefficient of variation of the bins' counts below which a histogram is flat
	Standard   time.Duration // keep-alive while the histogram says nothing
}

// Default gives the paper's percentiles, margin and least variation. The standard keep-alive and the least samples were
// tried on the smaller trace of bench/keepalive only.
func Default() Settings {
	return Settings{Head: 0.05, Tail: 0.99, Margin: 0.10, MinSamples: 5, MinCV: 2, Standard: 20 * time.Minute}
}

// Validate names the first setting that makes no sense.
func (s Settings) Validate() error {
	switch {
	case !(s.Head >= 0 && s.Head <= s.Tail && s.Tail <= 1):
		return fmt.Errorf("keep-alive percentiles: head %v and tail %v: give 0 <= head <= tail <= 1", s.Head, s.Tail)
	case !(s.Margin >= 0 && s.Margin < 1):
		return fmt.Errorf("keep-alive margin %v: give a share from 0 to below 1, such as 0.1", s.Margin)
	case s.MinSamples < 1:
		return fmt.Errorf("keep-alive least samples %d: give at least 1", s.MinSamples)
	case !(s.MinCV >= 0):
		return fmt.Errorf("keep-alive least variation %v: give 0 or more, such as 2", s.MinCV)
	case s.Standard <= 0:
		return fmt.Errorf("standard keep-alive %s: give a time above 0, such as 20m", s.Standard)
	}
	return nil
}

// Why names the part of the policy that chose the windows.
type Why string

// The parts, from the one that knows least.
const (
	WhyStandard  Why = "standard"  // too few idle times, or evenly spread ones
	WhyHistogram Why = "histogram" // the percentiles of the idle times
	WhyForecast  Why = "forecast"  // most idle times leave the histogram's range
)

// Windows say what becomes of an instance that has just become idle: it is stopped at once and another started
// after PreWarm, or kept when PreWarm is 0; what is warm stays so for Keep.
type Windows struct {
	PreWarm, Keep time.Duration
	Why           Why
}

// Warm tells whether an instance is to be warm at now, when the last call ended at end.
func (w Windows) Warm(end, now time.Time) bool {
	idle := now.Sub(end)
	return idle >= w.PreWarm && idle <= w.PreWarm+w.Keep
}

// Windows gives those that follow from what the history has seen.
func (h *History) Windows(s Settings) Windows {
	all := h.inside + h.outside
	switch {
	case all < s.MinSamples:
		return Windows{Keep: s.Standard, Why: WhyStandard}
	case 2*h.outside > all:
		return h.forecast()
	case h.inside < s.MinSamples || h.variation() < s.MinCV:
		return Windows{Keep: s.Standard, Why: WhyStandard}
	}
	head := scale(time.Duration(h.percentile(s.Head))*time.Minute, 1-s.Margin)
	tail := scale(time.Duration(h.percentile(s.Tail)+1)*time.Minute, 1+s.Margin)
	return Windows{PreWarm: head, Keep: tail - head, Why: WhyHistogram}
}

// forecast stands in for the paper's ARIMA: functions that come here have a call in four hours or less often, too
// few to fit a model's order to, so a moving average is as much as they support. The 15 % each side is the paper's.
func (h *History) forecast() Windows {
	pre := scale(h.mean, 0.85)
	return Windows{PreWarm: pre, Keep: scale(h.mean, 1.15) - pre, Why: WhyForecast}
}

func scale(d time.Duration, by float64) time.Duration {
	return time.Duration(math.Round(float64(d) * by))
}
