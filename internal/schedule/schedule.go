// Package schedule says when what runs on a clock is due: it reads the expressions of
// EventBridge, cron(…), rate(…) and at(…), and the five fields of cron.
//
// It is pure: the clock is the caller's. One matcher serves both spellings of cron,
// because EventBridge's has days (L, W, #) and years that no cron library reads.
package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Schedule is when something is due. The zero value is never due.
type Schedule struct {
	text  string
	every time.Duration // of rate(…)
	at    wall          // of at(…)
	cron  *cron         // of cron(…) and five fields
}

// wall is a moment as a clock on a wall shows it.
type wall struct{ year, month, day, hour, minute, second int }

// Error is why an expression is none.
type Error struct {
	Text  string // the whole expression
	Field string // "hours"; empty: the whole
	Why   string
	Help  string // what would be right
}

// Error says what, where, why, and what to type.
func (e *Error) Error() string {
	where := strconv.Quote(e.Text)
	if e.Field != "" {
		where += ", " + e.Field
	}
	return fmt.Sprintf("schedule %s: %s; %s", where, e.Why, e.Help)
}

// maxText is how long an expression may be.
const maxText = 256

// macros are the names that cron has for some expressions (crontab(5)).
var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Parse reads an expression:
//
//	cron(0 2 ? * MON-FRI *)    EventBridge: minutes hours day-of-month month day-of-week year
//	rate(5 minutes)            EventBridge: minute(s), hour(s) or day(s)
//	at(2026-12-24T18:00:00)    EventBridge Scheduler: once
//	0 2 * * 1-5, @daily        cron: minute hour day-of-month month day-of-week
//
// An expression that is never due, such as one for February 30, is refused. Every
// error is an [*Error]. Sources: "Schedule types in EventBridge Scheduler" and "Cron
// expressions reference" of the EventBridge user guide, and crontab(5).
func Parse(text string) (Schedule, error) {
	trimmed := strings.TrimSpace(text)
	if len(trimmed) > maxText {
		return Schedule{}, &Error{Text: trimmed[:maxText] + "…", Why: fmt.Sprintf("it is longer than %d characters", maxText), Help: example}
	}
	s := Schedule{text: trimmed}
	name, inner, called := strings.Cut(trimmed, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	var err error
	switch {
	case called && !closed:
		return Schedule{}, &Error{Text: trimmed, Why: "the parenthesis is not closed", Help: "end it with )"}
	case called && name == "cron":
		s.cron, err = parseCron(trimmed, strings.Fields(inner), eventBridge)
	case called && name == "rate":
		s.every, err = parseRate(trimmed, strings.Fields(inner))
	case called && name == "at":
		s.at, err = parseAt(trimmed, inner)
	case called:
		err = &Error{Text: trimmed, Why: strconv.Quote(name) + " is no kind of schedule", Help: example}
	case strings.HasPrefix(trimmed, "@"):
		fields, known := macros[trimmed]
		if !known {
			return Schedule{}, &Error{Text: trimmed, Why: "there is no such name", Help: "use @hourly, @daily, @weekly, @monthly or @yearly"}
		}
		s.cron, err = parseCron(trimmed, strings.Fields(fields), crontab)
	default:
		s.cron, err = parseCron(trimmed, strings.Fields(trimmed), crontab)
	}
	if err != nil {
		return Schedule{}, err
	}
	return s, nil
}

const example = `write cron(0 2 * * ? *), rate(5 minutes), at(2026-12-24T18:00:00) or five fields: 0 2 * * *`

// String is the expression as it was read.
func (s Schedule) String() string { return s.text }

// Next is the first moment after another at which it is due, by the clock on a wall
// of the zone; false: there is none any more.
//
// A rate is due at the multiples of its time since 1970 (UTC), so that it needs no
// memory of when it began. Where the clock is put forward, what was due in the hour
// that is left out is due once, when the clock jumps; where it is put back, what is due
// in the hour that comes twice is due the first time. An expression of every hour
// (`*/5 * * * *`) goes by what passes instead. Vixie cron does the same (cron(8), "Notes").
func (s Schedule) Next(after time.Time, zone *time.Location) (time.Time, bool) {
	switch {
	case s.every > 0:
		return after.Truncate(0).UTC().Add(s.every - sinceMultiple(after, s.every)).In(zone), true
	case s.cron != nil:
		return s.cron.next(after.In(zone))
	case s.at != wall{}:
		due := moment(s.at, zone)
		return due, due.After(after)
	}
	return time.Time{}, false
}

// sinceMultiple is how long after the last multiple of every since 1970 a moment is.
func sinceMultiple(t time.Time, every time.Duration) time.Duration {
	seconds := int64(every / time.Second)
	past := ((t.Unix() % seconds) + seconds) % seconds
	return time.Duration(past)*time.Second + time.Duration(t.Nanosecond())
}

// parseRate reads "5 minutes".
func parseRate(text string, fields []string) (time.Duration, error) {
	help := "write rate(1 hour) or rate(5 minutes)"
	if len(fields) != 2 {
		return 0, &Error{Text: text, Why: "it needs a number and a unit", Help: help}
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil || n < 1 || fields[0][0] == '+' || n > 1_000_000 {
		return 0, &Error{Text: text, Field: "number", Why: strconv.Quote(fields[0]) + " is no number from 1 to 1000000", Help: help}
	}
	unit, many := strings.CutSuffix(fields[1], "s")
	length, known := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[unit]
	switch {
	case !known:
		return 0, &Error{Text: text, Field: "unit", Why: strconv.Quote(fields[1]) + " is no unit", Help: "use minute, minutes, hour, hours, day or days"}
	case n == 1 && many:
		return 0, &Error{Text: text, Field: "unit", Why: "1 goes with the singular", Help: "write rate(1 " + unit + ")"}
	case n > 1 && !many:
		return 0, &Error{Text: text, Field: "unit", Why: fields[0] + " goes with the plural", Help: "write rate(" + fields[0] + " " + unit + "s)"}
	}
	return time.Duration(n) * length, nil
}

// parseAt reads "2026-12-24T18:00:00".
func parseAt(text, inner string) (wall, error) {
	t, err := time.Parse("2006-01-02T15:04:05", inner)
	if err != nil || t.Year() < firstYear || t.Year() > lastYear {
		return wall{}, &Error{Text: text, Why: "it is no date with a time", Help: "write at(2026-12-24T18:00:00)"}
	}
	return wall{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()}, nil
}
