package analysis

import (
	"cmp"
	"errors"
	"slices"
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
//	throttles > 0 for 1m
//	cold_starts > 20% for 5m
//	queue > 5m for 2m
//
// An error is [ParseErrors] in the order of text, with their places in it.
func ParseAlarm(name, text string) (Alarm, error) {
	s := shortForm{text: text, at: map[string]int{}}
	long, ok := s.read()
	if !ok {
		return Alarm{}, s.wrong
	}
	a, err := long.Alarm(name)
	s.judge(err)
	if len(s.wrong) > 0 {
		slices.SortStableFunc(s.wrong, func(a, b *ParseError) int { return cmp.Compare(a.Offset, b.Offset) })
		return Alarm{}, s.wrong
	}
	return a, nil
}

// Defaults are the alarms of a workload whose manifest names none.
func Defaults() []Alarm {
	return []Alarm{
		mustParse("errors", "5xx > 2%"),
		mustParse("latency", "p99 > 2x stable"),
	}
}

// FunctionDefaults are the alarms of a function whose manifest names none.
func FunctionDefaults() []Alarm {
	return []Alarm{mustParse("errors", "errors > 1% for 1m")}
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
	text  string
	at    map[string]int
	op    string // the comparison: > or <, or one of them with =
	wrong ParseErrors
}

// read returns the long form; ok is false when there is too little of it to judge.
func (s *shortForm) read() (l Long, ok bool) {
	op := strings.IndexAny(s.text, "<>")
	if op < 0 {
		s.wrong.add("", s.withoutLimit())
		return Long{}, false
	}
	l.Metric = s.take("metric", 0, op)
	if metric, route, ok := strings.Cut(l.Metric, " of "); ok {
		route = "of " + route
		e := notYet(route, "alarms on single routes are not available yet", "leave out "+quote(route))
		e.Offset = s.at["metric"] + len(metric) + 1
		s.wrong.add("", e)
		l.Metric = strings.TrimRight(metric, " \t")
	}
	s.at["op"], s.op = op, s.text[op:op+1]
	if strings.HasPrefix(s.text[op+1:], "=") {
		s.op += "="
	}
	from := op + len(s.op)
	end := s.endOfLimit(from)
	limit, field := &l.Above, "above"
	if s.text[op] == '<' {
		limit, field = &l.Below, "below"
	}
	*limit = s.take(field, from, end)
	if *limit == "" {
		s.wrong.add("", s.withoutValue(l.Metric, from))
		return Long{}, false
	}
	s.wrong.add("", s.clauses(&l, end))
	return l, true
}

// judge takes over what is wrong with the long form, with the places in the
// short one, and what is wrong with the comparison.
func (s *shortForm) judge(err error) {
	var long ParseErrors
	errors.As(err, &long)
	known := len(s.op) == 1
	for _, e := range long {
		moved := *e
		moved.Offset += s.at[e.Field]
		if e.Key {
			moved.Offset, moved.Length, moved.Hint, moved.Key = s.at["op"], len(s.op), "write >", false
			known = true
		}
		s.wrong.add("", &moved)
	}
	if !known {
		s.wrong.add("", &ParseError{Offset: s.at["op"], Length: len(s.op), Problem: "unknown comparison", Hint: "write " + s.op[:1]})
	}
}

// withoutValue is the error for a text that ends with > or <.
func (s *shortForm) withoutValue(metric string, at int) error {
	m, err := parseMetric(metric)
	var p *ParseError
	if errors.As(err, &p) {
		p.Offset += s.at["metric"]
		return p
	}
	return &ParseError{Offset: at, Problem: "no limit", Hint: "add " + exampleLimit(m)}
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
