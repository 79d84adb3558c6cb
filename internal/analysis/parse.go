package analysis

import (
	"errors"
	"strings"
)

// ParseAlarm reads the short form of an alarm:
//
//	METRIC > LIMIT [in M of N] [for D] [min N] [missing TREATMENT] [then REACTION]
//
// with < in place of > for rps, cpu and memory. LIMIT carries its unit: 1%,
// 800ms, 5, or 1.2x stable. The clauses may stand in any order.
//
//	5xx > 1% for 1m
//	p99 > 1.2x stable for 2m min 100
//	rps < 5 then pause
//
// An error is a *[ParseError] with the place in text.
func ParseAlarm(name, text string) (Alarm, error) {
	s := shortForm{text: text, at: map[string]int{}}
	long, err := s.read()
	if err != nil {
		return Alarm{}, err
	}
	a, err := long.Alarm(name)
	var p *ParseError
	if errors.As(err, &p) {
		moved := *p
		moved.Offset += s.at[p.Field]
		moved.Field = ""
		return Alarm{}, &moved
	}
	return a, err
}

// Defaults are the alarms of a workload whose manifest names none.
func Defaults() []Alarm {
	return []Alarm{
		mustParse("errors", "5xx > 2%"),
		mustParse("latency", "p99 > 2x stable"),
	}
}

// mustParse panics on a text that this program itself got wrong.
func mustParse(name, text string) Alarm {
	a, err := ParseAlarm(name, text)
	if err != nil {
		panic(err)
	}
	return a
}

// shortForm takes the short form apart into the long one and remembers where
// each field's text began.
type shortForm struct {
	text string
	at   map[string]int
}

func (s *shortForm) read() (Long, error) {
	op := strings.IndexAny(s.text, "<>")
	if op < 0 {
		return Long{}, s.withoutLimit()
	}
	var l Long
	l.Metric = s.take("metric", 0, op)
	if metric, route, ok := strings.Cut(l.Metric, " of "); ok {
		route = "of " + route
		e := notYet(route, "alarms on single routes are not available yet", "leave out "+quote(route))
		e.Offset = s.at["metric"] + len(metric) + 1
		return Long{}, e
	}
	if strings.HasPrefix(s.text[op+1:], "=") {
		return Long{}, &ParseError{Offset: op, Length: 2, Problem: "unknown comparison", Hint: "write " + s.text[op:op+1]}
	}
	end := s.endOfLimit(op + 1)
	limit, field := &l.Above, "above"
	if s.text[op] == '<' {
		limit, field = &l.Below, "below"
	}
	*limit = s.take(field, op+1, end)
	if *limit == "" {
		m, err := parseMetric(l.Metric)
		if err != nil {
			var p *ParseError
			if errors.As(err, &p) {
				p.Offset += s.at["metric"]
			}
			return Long{}, err
		}
		return Long{}, &ParseError{Offset: op + 1, Problem: "no limit", Hint: "add " + exampleLimit(m)}
	}
	err := s.clauses(&l, end)
	return l, err
}

// withoutLimit is the error for a text without > or <: an unknown metric is the
// better complaint when there is one.
func (s *shortForm) withoutLimit() error {
	word := s.take("metric", 0, s.wordEnd(0))
	m, err := parseMetric(word)
	var p *ParseError
	if errors.As(err, &p) {
		p.Offset += s.at["metric"]
		return p
	}
	return &ParseError{Offset: len(s.text), Problem: "no limit", Hint: "write " + string(m) + " > " + exampleLimit(m)}
}

// take cuts text[from:to], trims it, and remembers where it begins.
func (s *shortForm) take(field string, from, to int) string {
	cut := s.text[from:to]
	trimmed := strings.TrimLeft(cut, " \t")
	s.at[field] = from + len(cut) - len(trimmed)
	return strings.TrimRight(trimmed, " \t")
}

// wordEnd returns where the first word at or after from ends.
func (s *shortForm) wordEnd(from int) int {
	start := from + len(s.text[from:]) - len(strings.TrimLeft(s.text[from:], " \t"))
	return start + strings.IndexAny(s.text[start:]+" ", " \t")
}

// endOfLimit returns where the limit ends: a word, and "stable" or what is meant
// to be it after it.
func (s *shortForm) endOfLimit(from int) int {
	end := s.wordEnd(from)
	next := s.wordEnd(end)
	if nearest(strings.TrimLeft(s.text[end:next], " \t"), []string{"stable"}) != "" {
		return next
	}
	return end
}

// clauses reads what follows the limit.
func (s *shortForm) clauses(l *Long, from int) error {
	fields := map[string]struct {
		name  string
		value *string
	}{
		"for": {"for", &l.For}, "min": {"min", &l.Min}, "in": {"of", &l.Of}, "missing": {"missing", &l.Missing}, "then": {"react", &l.React},
	}
	for {
		end := s.wordEnd(from)
		word := s.take("", from, end)
		if word == "" {
			return nil
		}
		at := s.at[""]
		f, known := fields[word]
		if !known {
			hint := "for D, min N, in M of N, missing …, then … may follow"
			if near := nearest(word, []string{"for", "min", "in", "missing", "then"}); near != "" {
				hint = "did you mean " + near + "?"
			}
			return &ParseError{Offset: at, Length: len(word), Problem: "unexpected " + quote(word), Hint: hint}
		}
		if *f.value != "" {
			return &ParseError{Offset: at, Length: len(word), Problem: quote(word) + " twice", Hint: "keep one"}
		}
		from = s.wordEnd(end)
		if word == "in" { // three words: M of N
			from = s.wordEnd(s.wordEnd(from))
		}
		*f.value = s.take(f.name, end, from)
		if *f.value == "" {
			return &ParseError{Offset: end, Problem: "nothing after " + quote(word), Hint: clauseExample(word)}
		}
	}
}

func clauseExample(word string) string {
	switch word {
	case "for":
		return "write for 1m"
	case "min":
		return "write min 20"
	case "in":
		return "write in 3 of 5"
	case "missing":
		return "write missing ignore"
	default:
		return "write then pause"
	}
}
