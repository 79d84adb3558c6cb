package analysis

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

// Each text has a line below it that marks where the caret goes: ^ for an
// offset of length 0, ~ under the bytes that are wrong.
func TestParseAlarm_saysWhereAndWhatToTypeInstead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, mark, problem, hint string }{
		{
			"",
			"^",
			"no metric", "begin with one of 5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue",
		},
		{
			" > 1%",
			" ^",
			"no metric", "begin with one of 5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue",
		},
		{
			"> 1%",
			"^",
			"no metric", "begin with one of 5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue",
		},
		{
			"eror > 1%",
			"~~~~",
			`unknown metric "eror"`, "did you mean errors?",
		},
		{
			"  latency > 1s",
			"  ~~~~~~~",
			`unknown metric "latency"`, "use one of 5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue",
		},
		{
			"p990 > 1s",
			"~~~~",
			`unknown metric "p990"`, "did you mean p99?",
		},
		{
			"p100 > 1s",
			"~~~~",
			`unknown metric "p100"`, "did you mean p99?",
		},
		{
			"5XX > 1%",
			"~~~",
			`unknown metric "5XX"`, "did you mean 5xx?",
		},
		{
			"p9 > 1s",
			"~~",
			`unknown metric "p9"`, "did you mean p90?",
		},
		{
			"99 > 1s",
			"~~",
			`unknown metric "99"`, "did you mean p99?",
		},
		{
			"p49 > 1s",
			"~~~",
			`unknown metric "p49"`, "did you mean p99?",
		},
		{
			"p499 > 1s",
			"~~~~",
			`unknown metric "p499"`, "did you mean p99?",
		},
		{
			"p9x > 1s",
			"~~~",
			`unknown metric "p9x"`, "did you mean p90?",
		},
		{
			"p9999 > 1s",
			"~~~~~",
			`unknown metric "p9999"`, "did you mean p999?",
		},
		{
			"5xx",
			"   ^",
			"no limit", "write 5xx > 1%",
		},
		{
			" 5xx  for 1m",
			"            ^",
			"no limit", "write 5xx > 1%",
		},
		{
			" 6xx  for 1m",
			" ~~~",
			`unknown metric "6xx"`, "did you mean 5xx?",
		},
		{
			"5xx >",
			"     ^",
			"no limit", "add 1%",
		},
		{
			" 6xx >",
			" ~~~",
			`unknown metric "6xx"`, "did you mean 5xx?",
		},
		{
			"rps < ",
			"     ^",
			"no limit", "add 5",
		},
		{
			"5xx >= 1%",
			"    ~~",
			"unknown comparison", "write >",
		},
		{
			"rps <= 1",
			"    ~~",
			"unknown comparison", "write <",
		},
		{
			"5xx < 1%",
			"    ~",
			"5xx trips above its limit only", "write >",
		},
		{
			"5xx <= 1%",
			"    ~~",
			"5xx trips above its limit only", "write >",
		},
		{
			"p99 < 1s",
			"    ~",
			"p99 trips above its limit only", "write >",
		},
		{
			"restarts < 1",
			"         ~",
			"restarts trips above its limit only", "write >",
		},
		{
			"5xx > 1",
			"      ~",
			"no unit", "write 1%",
		},
		{
			"5xx > 0.01",
			"      ~~~~",
			"no unit", "write 1%",
		},
		{
			"cpu > 0",
			"      ~",
			"no unit", "write 0%",
		},
		{
			"cpu > 1",
			"      ~",
			"no unit", "write 1%",
		},
		{
			"5xx > many%",
			"      ~~~~~",
			"not a percentage", "write 1%",
		},
		{
			"5xx > -1%",
			"      ~~~",
			"not a percentage", "write 1%",
		},
		{
			"5xx > 100%",
			"      ~~~~",
			"can never be exceeded", "write less than 100%",
		},
		{
			"cpu > 10001%",
			"      ~~~~~~",
			"out of range", "write 80%",
		},
		{
			"memory > 800MB",
			"         ~~~~~",
			"not a percentage", "write 80%",
		},
		{
			"p99 > 800",
			"      ~~~",
			"no unit", "write 800ms or 800s",
		},
		{
			"p99 > fast",
			"      ~~~~",
			"not a duration", "write 800ms",
		},
		{
			"p99 > 999ns",
			"      ~~~~~",
			"out of range", "write 1us to 1h",
		},
		{
			"p99 > 61m",
			"      ~~~",
			"out of range", "write 1us to 1h",
		},
		{
			"p99 > 1.2x",
			"      ~~~~",
			"a multiple of what?", "write 1.2x stable",
		},
		{
			"p99 > 1.2x stabel",
			"      ~~~~~~~~~~~",
			"a multiple of what?", "write 1.2x stable",
		},
		{
			"p99 > fast stable",
			"      ~~~~~~~~~~~",
			"not a multiple of stable", "write 1.2x stable",
		},
		{
			"p99 > 2 stable",
			"      ~~~~~~~~",
			"not a multiple of stable", "write 1.2x stable",
		},
		{
			"p99 > 0.9x  stable for 2m",
			"      ~~~~~~~~~~~~",
			"out of range", "write 1x to 1000x stable",
		},
		{
			"p99 > 1001x stable",
			"      ~~~~~~~~~~~~",
			"out of range", "write 1x to 1000x stable",
		},
		{
			"rps > 2x stable",
			"      ~~~~~~~~~",
			"rps cannot be compared with stable: it depends on the weight", "write a number: 5",
		},
		{
			"restarts > 2x stable",
			"           ~~~~~~~~~",
			"restarts cannot be compared with stable: it depends on the weight", "write a number: 2",
		},
		{
			"cpu > 2x stable",
			"      ~~~~~~~~~",
			"cpu cannot be compared with stable: it depends on the weight", "write a number: 80%",
		},
		{
			"memory < 2x stable",
			"         ~~~~~~~~~",
			"a relative alarm trips above only", "write > or above",
		},
		{
			"restarts > 1.5",
			"           ~~~",
			"not a whole number", "write 1",
		},
		{
			"restarts > few",
			"           ~~~",
			"not a plain number", "write 2",
		},
		{
			"rps < 5/s",
			"      ~~~",
			"not a plain number", "write 5",
		},
		{
			"5xx > 1% for",
			"            ^",
			`nothing after "for"`, "write for 1m",
		},
		{
			"5xx > 1% min",
			"            ^",
			`nothing after "min"`, "write min 20",
		},
		{
			"5xx > 1% in",
			"           ^",
			`nothing after "in"`, "write in 3 of 5",
		},
		{
			"5xx > 1% missing",
			"                ^",
			`nothing after "missing"`, "write missing ignore",
		},
		{
			"5xx > 1% then",
			"             ^",
			`nothing after "then"`, "write then pause",
		},
		{
			"5xx > 1% for 1m for 2m",
			"                ~~~",
			`"for" twice`, "keep one",
		},
		{
			"5xx > 1% forr 1m",
			"         ~~~~",
			`unexpected "forr"`, "did you mean for?",
		},
		{
			"5xx > 1% FOR 1m",
			"         ~~~",
			`unexpected "FOR"`, "did you mean for?",
		},
		{
			"5xx > 1% whenever",
			"         ~~~~~~~~",
			`unexpected "whenever"`, "for D, min N, in M of N, missing …, then … may follow",
		},
		{
			"5xx > 1% for 60",
			"             ~~",
			"not a duration", "write a number with a unit: 30s, 1m",
		},
		{
			"5xx > 1% for -1m",
			"             ~~~",
			"not a duration", "write a number with a unit: 30s, 1m",
		},
		{
			"5xx > 1% for 0",
			"             ~",
			"not a duration", "write a number with a unit: 30s, 1m",
		},
		{
			"5xx > 1% for 999ms",
			"             ~~~~~",
			"out of range", "write 1s to 1h",
		},
		{
			"5xx > 1% for 1d",
			"             ~~",
			"out of range", "write 1s to 1h",
		},
		{
			"5xx > 1% for 15s",
			"             ~~~",
			"not a whole number of 10s periods", "write 20s",
		},
		{
			"5xx > 1% for 1500ms",
			"             ~~~~~~",
			"not a whole number of 1s periods", "write 2s",
		},
		{
			"5xx > 1% min many",
			"             ~~~~",
			"not a number of requests", "write 1 or more; 20 is the default",
		},
		{
			"5xx > 1% min 0",
			"             ~",
			"not a number of requests", "write 1 or more; 20 is the default",
		},
		{
			"cpu > 90% min 20",
			"              ~~",
			"cpu needs no minimum of requests", "leave it out",
		},
		{
			"5xx > 1% in 3 of 7",
			"^",
			"1m cannot be split into 7 periods of whole seconds", "write 1m3s",
		},
		{
			"5xx > 1% in 3 of 7 for 20s",
			"                       ~~~",
			"20s cannot be split into 7 periods of whole seconds", "write 21s",
		},
		{
			"5xx > 1% in 6 of 5",
			"            ~~~~~~",
			"out of range", "the first number is at least 1 and at most the second, which is at most 360",
		},
		{
			"5xx > 1% in 0 of 5",
			"            ~~~~~~",
			"out of range", "the first number is at least 1 and at most the second, which is at most 360",
		},
		{
			"5xx > 1% in 1 of 361",
			"            ~~~~~~~~",
			"out of range", "the first number is at least 1 and at most the second, which is at most 360",
		},
		{
			"5xx > 1% in 3 out 5",
			"            ~~~~~~~",
			"not M of N", "write 3 of 5",
		},
		{
			"5xx > 1% in 3 of x",
			"            ~~~~~~",
			"not M of N", "write 3 of 5",
		},
		{
			"5xx > 1% in x of 3",
			"            ~~~~~~",
			"not M of N", "write 3 of 5",
		},
		{
			"restarts > 2 in 3 of 5",
			"                ~~~~~~",
			"restarts are counted over the whole window", "leave it out",
		},
		{
			"5xx > 1% missing ignored",
			"                 ~~~~~~~",
			`unknown word "ignored"`, "did you mean ignore?",
		},
		{
			"5xx > 1% then explode",
			"              ~~~~~~~",
			`unknown word "explode"`, "use one of rollback, pause, notify",
		},
		{
			"prometheus > 0",
			"~~~~~~~~~~",
			"alarms on prometheus are not available yet", "use one of 5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue",
		},
		{
			"throttels > 0",
			"~~~~~~~~~",
			`unknown metric "throttels"`, "did you mean throttles?",
		},
		{
			"throttles > 0%",
			"            ~~",
			"not a plain number", "write 2",
		},
		{
			"timeouts > 1.5x stable",
			"           ~~~~~~~~~~~",
			"timeouts cannot be compared with stable: it depends on the weight", "write a number: 2",
		},
		{
			"oom > 2 in 1 of 2",
			"           ~~~~~~",
			"oom is counted over the whole window", "leave it out",
		},
		{
			"cold_starts > 20",
			"              ~~",
			"no unit", "write 20%",
		},
		{
			"queue age > 5",
			"            ~",
			"no unit", "write 5s or 5m",
		},
		{
			"queue > soon",
			"        ~~~~",
			"not a duration", "write 5m",
		},
		{
			"queue > 15d",
			"        ~~~",
			"out of range", "write 1s to 14d",
		},
		{
			"queue > 999ms",
			"        ~~~~~",
			"out of range", "write 1s to 14d",
		},
		{
			"queue > 2x stable",
			"        ~~~~~~~~~",
			"queue cannot be compared with stable: both versions take from the same queues", "write a duration: 5m",
		},
		{
			"queue > 5m min 20",
			"               ~~",
			"queue needs no minimum of requests", "leave it out",
		},
		{
			"queue age < 5m",
			"          ~",
			"queue trips above its limit only", "write >",
		},
		{
			" 5xx of POST /orders > 5%",
			"     ~~~~~~~~~~~~~~~",
			"alarms on single routes are not available yet", `leave out "of POST /orders"`,
		},
	} {
		a, err := ParseAlarm("n", c.text)
		var p *ParseError
		if !errors.As(err, &p) {
			t.Errorf("%q: %v, %+v", c.text, err, a)
			continue
		}
		mark := strings.Repeat(" ", p.Offset) + strings.Repeat("~", p.Length)
		if p.Length == 0 {
			mark += "^"
		}
		if mark != c.mark {
			t.Errorf("%q: the place is\n%s\n%s\nwant\n%s", c.text, c.text, mark, c.mark)
		}
		if p.Problem != c.problem || p.Hint != c.hint || p.Field != "" {
			t.Errorf("%q: %q, %q, field %q", c.text, p.Problem, p.Hint, p.Field)
		}
	}
}

func TestLong_namesTheKeyThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		l     Long
		field string
		text  string
	}{
		{Long{Above: "1%"}, "metric", "metric: no metric (begin with one of 5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue)"},
		{Long{Metric: "5xx", Below: "1%"}, "below", "below: 5xx trips above its limit only (write above)"},
		{Long{Metric: "5xx"}, "above", "above: no limit (add above: 1%)"},
		{Long{Metric: "5xx", Above: "1%", Below: "1%"}, "below", "below: above and below at once (keep one, or write two alarms)"},
		{Long{Metric: "5xx", Above: "1"}, "above", "above: no unit (write 1%)"},
		{Long{Metric: "rps", Below: "1%"}, "below", "below: not a plain number (write 5)"},
		{Long{Metric: "5xx", Above: "1%", For: "x"}, "for", "for: not a duration (write a number with a unit: 30s, 1m)"},
		{Long{Metric: "5xx", Above: "1%", Of: "x"}, "of", "of: not M of N (write 3 of 5)"},
		{Long{Metric: "5xx", Above: "1%", Min: "x"}, "min", "min: not a number of requests (write 1 or more; 20 is the default)"},
		{Long{Metric: "5xx", Above: "1%", Missing: "x"}, "missing", `missing: unknown word "x" (use one of missing, ignore, breaching, notBreaching)`},
		{Long{Metric: "5xx", Above: "1%", React: "x"}, "react", `react: unknown word "x" (use one of rollback, pause, notify)`},
		{Long{Metric: "cloudwatch", Above: "1"}, "metric", "metric: alarms on cloudwatch are not available yet (use one of 5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue)"},
		{Long{Source: "url", Above: "1"}, "url", "url: alarms on url are not available yet (use a metric: 5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue)"},
	} {
		_, err := c.l.Alarm("n")
		var p *ParseError
		if !errors.As(err, &p) || p.Field != c.field || err.Error() != c.text {
			t.Errorf("%+v: %v", c.l, err)
		}
	}
	if got := (&ParseError{Problem: "no metric"}).Error(); got != "no metric" {
		t.Errorf("without a hint: %q", got)
	}
}

func TestParseAlarm_saysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"6xx >= lots for 7x min many missing zz then foo": "0 unknown metric, 4 unknown comparison, 7 not a limit, 16 not a duration, 23 not a number of requests, 36 unknown word, 44 unknown word",
		"p99 > 1 min twenty":                              "6 no unit, 12 not a number of requests",
		"5xx of GET / > 5 for 1x":                         "4 alarms on single routes are not available yet, 15 no unit, 21 not a duration",
		"6xx > 1 whenever":                                "0 unknown metric, 8 unexpected",
		"5xx > 1 for 7x in 9 of 5":                        "6 no unit, 12 not a duration, 18 out of range",
		"6xx >":                                           "0 unknown metric",
		"restarts < 1.5 in 3 of 5 for 15s min 1000":       "9 restarts trips above its limit only, 18 restarts are counted over the whole window, 37 restarts needs no minimum of requests",
	} {
		_, err := ParseAlarm("n", text)
		var all ParseErrors
		errors.As(err, &all)
		var got []string
		for _, e := range all {
			problem, _, _ := strings.Cut(e.Problem, ` "`)
			got = append(got, strconv.Itoa(e.Offset)+" "+problem)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %s", text, strings.Join(got, ", "))
		}
	}
}

func TestLong_saysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := Long{Metric: "p98x", Below: "lots", For: "7x", Of: "5", Min: "many", Missing: "zz", React: "foo"}.Alarm("n")
	want := `metric: unknown metric "p98x" (did you mean p90?); below: not a limit (write 1%, 800ms, 5 or 1.2x stable); ` +
		"for: not a duration (write a number with a unit: 30s, 1m); of: not M of N (write 3 of 5); " +
		"min: not a number of requests (write 1 or more; 20 is the default); " +
		`missing: unknown word "zz" (use one of missing, ignore, breaching, notBreaching); react: unknown word "foo" (use one of rollback, pause, notify)`
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	_, err = Long{}.Alarm("n")
	if err == nil || !strings.HasSuffix(err.Error(), "; above: no limit (add above: 1%, 800ms or 5)") {
		t.Errorf("%v", err)
	}
}
