package analysis

import (
	"slices"
	"time"
)

// late is how long a window may be on its way after it closed. Until then a
// period without it is not over; after that it counts as not measured.
const late = 2 * time.Second

// Series holds what a version did since its weight arrived, added up by the
// periods of the alarms it is for. Its memory is bounded by their evaluation
// windows. It belongs to one goroutine.
//
// Periods are counted from the arrival, not from the wall clock: the first data
// point closes one period after the weight arrived, so that a hold of one minute
// holds six whole periods of 10 s. The arrival is rounded up to a whole second,
// which is where windows begin.
type Series struct {
	from   time.Time // what opened earlier does not count (R13)
	origin time.Time // where the first period begins
	first  time.Time // when the first window opened that is known; zero: there is none
	end    time.Time // when the latest window closed
	grids  []grid
}

// grid is a series in steps of one period.
type grid struct {
	period time.Duration
	keep   int
	points []point // ascending, at most keep of them

	limits      []time.Duration // of latency, whose slower requests are counted in answers
	keepAnswers int
	answers     []answers // of the periods with requests, ascending, at most keepAnswers of them
}

// point is one period: the k-th since the origin.
type point struct {
	k int
	w Window // never without Length: a period that was not measured has no point
}

// NewSeries returns an empty series for the alarms. It counts nothing until
// [Series.Begin].
func NewSeries(alarms []Alarm) *Series {
	s := &Series{}
	for _, a := range alarms {
		keep := a.N + extraDots
		if a.Missing == MissingIgnore {
			keep += a.N // what the state was before the gaps
		}
		i := slices.IndexFunc(s.grids, func(g grid) bool { return g.period == a.Period })
		if i < 0 {
			i = len(s.grids)
			s.grids = append(s.grids, grid{period: a.Period})
		}
		s.grids[i].keep = max(s.grids[i].keep, keep)
		if d := seconds(a.Limit); a.summed() && a.Metric.unit() == latency && !slices.Contains(s.grids[i].limits, d) {
			s.grids[i].limits = append(s.grids[i].limits, d)
		}
		if a.summed() {
			// Each has a request: these hold the alarm's minimum, as far as it is one
			// that little traffic can reach.
			s.grids[i].keepAnswers = max(s.grids[i].keepAnswers, keep, min(a.Min, mostAnswers), 5*enough)
		}
	}
	return s
}

// mostAnswers bounds the memory that a minimum of requests costs.
const mostAnswers = 1000

// Begin forgets everything and counts only windows that open at or after from,
// when the weight arrived (R13). The same from again changes nothing, so that it
// may be called at each look, before [Series.Add].
func (s *Series) Begin(from time.Time) {
	if s.from.Equal(from) {
		return
	}
	s.from, s.origin, s.first, s.end = from, from.Truncate(time.Second), time.Time{}, time.Time{}
	if s.origin.Before(from) {
		s.origin = s.origin.Add(time.Second)
	}
	for i := range s.grids {
		s.grids[i].points = s.grids[i].points[:0]
		s.grids[i].answers = s.grids[i].answers[:0]
	}
}

// Add counts a closed window. Windows come in the order in which they closed; one
// that overlaps an earlier one is a repetition and is left out.
func (s *Series) Add(w Window) {
	if s.from.IsZero() || w.Start.Before(s.from) || w.Start.Before(s.end) || w.Length <= 0 {
		return
	}
	if s.first.IsZero() {
		s.first = w.Start
	}
	s.end = w.End()
	for i := range s.grids {
		k := int(w.Start.Sub(s.origin) / s.grids[i].period)
		s.grids[i].add(k, w)
		s.grids[i].answered(k, &w)
	}
}

func (g *grid) add(k int, w Window) {
	last := len(g.points) - 1
	switch {
	case last >= 0 && g.points[last].k == k:
	case last+1 < g.keep:
		g.points = append(g.points, point{})
		last++
		g.points[last].w.clear()
	default:
		// The oldest makes room; its histogram's memory is used again.
		oldest := g.points[0]
		copy(g.points, g.points[1:])
		oldest.w.clear()
		g.points[last] = oldest
	}
	g.points[last].k = k
	g.points[last].w.Merge(w)
}

// answered counts a window's requests for the sums.
func (g *grid) answered(k int, w *Window) {
	if g.keepAnswers == 0 || w.Requests == 0 {
		return
	}
	last := len(g.answers) - 1
	if last < 0 || g.answers[last].k != k {
		fresh := answers{k: k}
		if last+1 == g.keepAnswers { // the oldest makes room
			fresh.slow = g.answers[0].slow
			clear(fresh.slow)
			g.answers = append(g.answers[:0], g.answers[1:]...)
			last--
		} else if len(g.limits) > 0 {
			fresh.slow = make([]uint64, len(g.limits))
		}
		g.answers = append(g.answers, fresh)
		last++
	}
	g.answers[last].count(w, g.limits)
}

// closed returns how many periods have closed at now.
func (s *Series) closed(period time.Duration, now time.Time) int {
	if s.from.IsZero() {
		return 0
	}
	over := now.Add(-late)
	if s.end.After(over) {
		over = s.end
	}
	return max(0, int(over.Sub(s.origin)/period))
}

// known returns the period from which on a gap is a missing data point; end if
// there is no window yet. What was before the first window may have been measured
// and forgotten, when the server was started anew: it is not the candidate's
// fault.
func (s *Series) known(period time.Duration, end int) int {
	if s.first.IsZero() {
		return end
	}
	return min(end, int(s.first.Sub(s.origin)/period))
}

// grid returns the measured periods of the length. Nil series have none.
func (s *Series) grid(period time.Duration) grid {
	if s == nil {
		return grid{}
	}
	for _, g := range s.grids {
		if g.period == period {
			return g
		}
	}
	return grid{}
}
