package keepalive

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// longest is the longest idle time that is told from longer ones; it keeps sums far from overflow.
const longest = 365 * 24 * time.Hour

// History is what the policy remembers of a function: about 550 bytes in memory, however many calls there were.
// The zero value has seen nothing. It is not safe for use by several goroutines at once.
type History struct {
	bins    [Bins]uint16
	inside  int
	outside int
	mean    time.Duration // moving average of the idle times out of range
	ended   time.Time     // zero before the first call has ended
}

// Ended notes that the last running call ended at now.
func (h *History) Ended(now time.Time) { h.ended = now }

// Began notes that a call began at now while none was running, and counts the idle time before it.
// A clock that was set back counts as no idle time.
func (h *History) Began(now time.Time) {
	if !h.ended.IsZero() {
		h.Observe(now.Sub(h.ended))
	}
}

// Observe counts one idle time.
func (h *History) Observe(idle time.Duration) {
	idle = min(max(idle, 0), longest)
	bin := int(idle / time.Minute)
	if bin >= Bins {
		if h.mean == 0 {
			h.mean = idle
		}
		h.mean += (idle - h.mean) / 4
		h.outside++
	} else {
		h.bins[bin]++
		h.inside++
	}
	if h.inside+h.outside >= math.MaxUint16 {
		h.halve()
	}
}

// halve lets old idle times weigh less, before a bin is full.
func (h *History) halve() {
	h.inside, h.outside = 0, h.outside/2
	for i := range h.bins {
		h.bins[i] /= 2
		h.inside += int(h.bins[i])
	}
}

// percentile gives the bin in which the share p of the idle times in range is reached.
func (h *History) percentile(p float64) int {
	want := max(1, int(math.Ceil(p*float64(h.inside))))
	sum := 0
	for i, n := range h.bins {
		if sum += int(n); sum >= want {
			return i
		}
	}
	return Bins - 1
}

// variation is the coefficient of variation of the bins' counts: 0 when all are alike.
func (h *History) variation() float64 {
	if h.inside == 0 {
		return 0
	}
	mean, squares := float64(h.inside)/Bins, 0.0
	for _, n := range h.bins {
		squares += (float64(n) - mean) * (float64(n) - mean)
	}
	return math.Sqrt(squares/Bins) / mean
}

type stored struct {
	Bins    map[int]uint16 `json:"bins,omitempty"`
	Outside int            `json:"outside,omitempty"`
	Mean    time.Duration  `json:"mean_ns,omitempty"`
	Ended   time.Time      `json:"ended,omitzero"`
}

// MarshalJSON writes the bins that are not empty.
func (h *History) MarshalJSON() ([]byte, error) {
	s := stored{Outside: h.outside, Mean: h.mean, Ended: h.ended, Bins: map[int]uint16{}}
	for i, n := range h.bins {
		if n > 0 {
			s.Bins[i] = n
		}
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote, and leaves the history as it was when that does not hold together.
func (h *History) UnmarshalJSON(text []byte) error {
	var s stored
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("read keep-alive history: %w", err)
	}
	next := History{outside: s.Outside, mean: s.Mean, ended: s.Ended}
	for i, n := range s.Bins {
		if i < 0 || i >= Bins {
			return fmt.Errorf("read keep-alive history: bin %d is not from 0 to %d: remove the history to begin again", i, Bins-1)
		}
		next.bins[i] = n
		next.inside += int(n)
	}
	if s.Outside < 0 || s.Mean < 0 || s.Mean > longest || next.inside >= math.MaxUint16 || s.Outside >= math.MaxUint16-next.inside ||
		s.Outside > 0 && s.Mean < Bins*time.Minute {
		return errors.New("read keep-alive history: its counts do not hold together: remove the history to begin again")
	}
	*h = next
	return nil
}
