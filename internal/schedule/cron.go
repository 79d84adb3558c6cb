package schedule

import (
	"fmt"
	"slices"
	"time"
)

// cron is an expression of either dialect.
type cron struct {
	minutes, hours []int // ascending
	months         set
	years          set // nil: all
	days           *days
}

// parseCron reads the fields of a dialect.
func parseCron(text string, values []string, d dialect) (*cron, error) {
	fields := d.fields()
	if len(values) != len(fields) {
		help := "five fields are minute hour day-of-month month day-of-week: 0 2 * * *"
		if d == eventBridge {
			help = "cron(…) is minutes hours day-of-month month day-of-week year: cron(0 2 * * ? *)"
		}
		return nil, &Error{Text: text, Why: fmt.Sprintf("%d fields, where %d are needed", len(values), len(fields)), Help: help}
	}
	sets := make([]set, len(fields))
	for i, f := range fields {
		if i == 2 || i == 4 { // days are read together
			continue
		}
		var err error
		if sets[i], err = f.parse(text, values[i]); err != nil {
			return nil, err
		}
	}
	c := &cron{minutes: ordered(sets[0]), hours: ordered(sets[1]), months: sets[3]}
	if d == eventBridge && values[5] != "*" {
		c.years = sets[5]
	}
	var err error
	if c.days, err = parseDays(text, values[2], values[4], d); err != nil {
		return nil, err
	}
	if !c.comes() {
		return nil, &Error{Text: text, Field: "day-of-month and month", Why: "no year has such a day", Help: "choose a day that the month has"}
	}
	return c, nil
}

func ordered(s set) []int {
	out := make([]int, 0, len(s))
	for v := range s {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// comes reports whether there is such a day at all: weekdays and leap years repeat
// after 28 years, but for the years that a century skips.
func (c *cron) comes() bool {
	from, to := 2000, 2027
	if c.years != nil {
		from, to = firstYear, lastYear
	}
	_, _, _, ok := c.date(from, 1, 1, to)
	return ok
}

// date is the first such date from one on, in years up to the last.
func (c *cron) date(year, month, day, last int) (y, m, d int, ok bool) {
	for y = year; y <= last; y++ {
		if c.years == nil || c.years[y] {
			for m = month; m <= 12; m++ {
				if c.months[m] {
					for d = day; d <= monthLength(y, m); d++ {
						if c.days.match(y, m, d) {
							return y, m, d, true
						}
					}
				}
				day = 1
			}
		}
		month, day = 1, 1
	}
	return 0, 0, 0, false
}

// next is the first moment after another, in its zone.
func (c *cron) next(after time.Time) (time.Time, bool) {
	year, month, day := after.Date()
	if year < firstYear {
		year, month, day = firstYear, 1, 1
	}
	for {
		y, m, d, ok := c.date(year, int(month), day, lastYear)
		if !ok {
			return time.Time{}, false
		}
		if due, ok := c.on(y, m, d, after); ok {
			return due, true
		}
		following := time.Date(y, time.Month(m), d+1, 0, 0, 0, 0, time.UTC)
		year, month, day = following.Date()
	}
}

// on is the first moment of a date that is after another.
func (c *cron) on(year, month, day int, after time.Time) (time.Time, bool) {
	zone := after.Location()
	if len(c.hours) == 24 {
		return c.passing(year, month, day, after)
	}
	for _, hour := range c.hours {
		for _, minute := range c.minutes {
			if due := moment(wall{year, month, day, hour, minute, 0}, zone); due.After(after) {
				return due, true
			}
		}
	}
	return time.Time{}, false
}

// passing is the first moment of a date after another at which the clock shows one of
// the minutes, whatever it does meanwhile: it may show an hour twice, or never.
func (c *cron) passing(year, month, day int, after time.Time) (time.Time, bool) {
	t := moment(wall{year, month, day, 0, 0, 0}, after.Location())
	if !t.After(after) {
		t = after.Add(time.Minute - time.Duration(after.Second())*time.Second - time.Duration(after.Nanosecond()))
	}
	for {
		y, m, d := t.Date()
		if y != year || int(m) != month || d != day {
			return time.Time{}, false
		}
		if _, is := slices.BinarySearch(c.minutes, t.Minute()); is && t.After(after) {
			return t, true
		}
		t = t.Add(time.Minute)
	}
}

// moment is when the clock of a zone shows a time: the first time that it does. Where
// the clock jumps over it, it is the moment of the jump.
func moment(w wall, zone *time.Location) time.Time {
	t := time.Date(w.year, time.Month(w.month), w.day, w.hour, w.minute, w.second, 0, zone)
	asked := time.Date(w.year, time.Month(w.month), w.day, w.hour, w.minute, w.second, 0, time.UTC)
	_, offset := t.Zone()
	shown := asked.Sub(t.Add(time.Duration(offset) * time.Second).UTC())
	begins, ends := t.ZoneBounds()
	switch {
	case shown < 0 && !begins.IsZero(): // it shows later: the jump is behind it
		return begins
	case shown > 0 && !ends.IsZero():
		return ends
	case begins.IsZero():
		return t
	}
	_, before := begins.Add(-time.Second).Zone()
	if earlier := t.Add(time.Duration(offset-before) * time.Second); earlier.Before(begins) {
		return earlier
	}
	return t
}
