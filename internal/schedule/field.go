package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

// dialect is a spelling of cron.
type dialect int

const (
	crontab     dialect = iota // five fields; Sunday is 0 or 7; days of both kinds count
	eventBridge                // six fields; Sunday is 1; one of the two days is "?"
)

// The years that EventBridge knows.
const (
	firstYear = 1970
	lastYear  = 2199
)

// field is what one field of cron may hold.
type field struct {
	name     string
	min, max int
	names    []string // of min and what follows
}

var months = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}

var weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

// fields are those of a dialect, in the order in which they are written.
func (d dialect) fields() []field {
	fs := []field{
		{name: "minutes", min: 0, max: 59},
		{name: "hours", min: 0, max: 23},
		{name: "day-of-month", min: 1, max: 31},
		{name: "month", min: 1, max: 12, names: months},
		{name: "day-of-week", min: 0, max: 7, names: weekdays},
	}
	if d == eventBridge {
		fs[4].min = 1
		fs = append(fs, field{name: "year", min: firstYear, max: lastYear})
	}
	return fs
}

// set is the values of a field.
type set map[int]bool

// parse reads a field's values: lists, ranges and steps.
func (f field) parse(text, value string) (set, error) {
	out := set{}
	for part := range strings.SplitSeq(value, ",") {
		if err := f.add(out, part); err != nil {
			err.Text = text
			return nil, err
		}
	}
	return out, nil
}

// add reads one element of a list.
func (f field) add(out set, part string) *Error {
	span, stepText, stepped := strings.Cut(part, "/")
	step := 1
	if stepped {
		n, ok := number(stepText)
		if !ok || n < 1 || n > f.max {
			return f.bad(stepText, fmt.Sprintf("no step from 1 to %d", f.max))
		}
		step = n
	}
	from, to := f.min, f.max
	if span != "*" {
		first, last, isRange := strings.Cut(span, "-")
		var bad *Error
		if from, bad = f.value(first); bad != nil {
			return bad
		}
		switch {
		case isRange:
			if to, bad = f.value(last); bad != nil {
				return bad
			}
		case !stepped:
			to = from
		}
		if to < from {
			return f.bad(span, "a range that runs backwards")
		}
	}
	for v := from; v <= to; v += step {
		out[v] = true
	}
	return nil
}

// value reads a number or a name.
func (f field) value(text string) (int, *Error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, ok := number(text)
	if !ok || n < f.min || n > f.max {
		return 0, f.bad(text, "none of its values")
	}
	return n, nil
}

func (f field) bad(what, why string) *Error {
	help := fmt.Sprintf("it takes %d to %d, lists (1,2), ranges (1-5) and steps (*/5)", f.min, f.max)
	if f.names != nil {
		help += ", and names: " + strings.Join(f.names, ", ")
	}
	return &Error{Field: f.name, Why: strconv.Quote(what) + " is " + why, Help: help}
}

// number reads up to four digits and nothing else.
func number(text string) (int, bool) {
	if text == "" || len(text) > 4 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
