package analysis

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLong_isReadAsTheManifestWritesIt(t *testing.T) {
	t.Parallel()
	got, err := Long{Metric: "5xx_rate", Above: "1%", For: "1m", Min: "25", Of: "3 of 5", Missing: "ignore", React: "pause"}.Alarm("errors")
	want := Alarm{
		Name: "errors", Metric: Status5xx, Limit: 0.01, Period: 12 * time.Second, M: 3, N: 5, Min: 25,
		Missing: MissingIgnore, Reaction: ReactPause, Text: "5xx > 1% in 3 of 5 min 25 missing ignore then pause",
	}
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for long, metric := range map[string]Metric{"4xx_rate": Status4xx, "error_rate": Errors, "errors": Errors, "5xx": Status5xx} {
		if got, err := (Long{Metric: long, Above: "1%"}).Alarm("n"); err != nil || got.Metric != metric {
			t.Errorf("%s: %v, %v", long, got.Metric, err)
		}
	}
}

func TestAlarm_expandWritesEveryDefault(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Long{
		"5xx > 1%":                              {Metric: "5xx_rate", Above: "1%", For: "1m", Min: "20", Missing: "missing", React: "rollback"},
		"4xx > 1%":                              {Metric: "4xx_rate", Above: "1%", For: "1m", Min: "20", Missing: "missing", React: "rollback"},
		"errors > 0.5% for 2m":                  {Metric: "error_rate", Above: "0.5%", For: "2m", Min: "20", Missing: "missing", React: "rollback"},
		"p99 > 1.2x stable min 7":               {Metric: "p99", Above: "1.2x stable", For: "1m", Min: "7", Missing: "missing", React: "rollback"},
		"p999 > 1m30s":                          {Metric: "p999", Above: "1m30s", For: "1m", Min: "20", Missing: "missing", React: "rollback"},
		"rps < 5":                               {Metric: "rps", Below: "5", For: "1m", Missing: "missing", React: "rollback"},
		"memory > 80% for 1h then notify":       {Metric: "memory", Above: "80%", For: "1h", Missing: "missing", React: "notify"},
		"restarts > 2 for 90s":                  {Metric: "restarts", Above: "2", For: "1m30s", Missing: "missing", React: "rollback"},
		"cpu > 7% in 2 of 3 missing breaching":  {Metric: "cpu", Above: "7%", For: "1m", Of: "2 of 3", Missing: "breaching", React: "rollback"},
		"p50 > 1h in 6 of 6":                    {Metric: "p50", Above: "1h", For: "1m", Min: "20", Missing: "missing", React: "rollback"},
		"p50 > 1h in 3 of 6":                    {Metric: "p50", Above: "1h", For: "1m", Of: "3 of 6", Min: "20", Missing: "missing", React: "rollback"},
		"p50 > 1x stable":                       {Metric: "p50", Above: "1x stable", For: "1m", Min: "20", Missing: "missing", React: "rollback"},
		"p50 > 1000x stable":                    {Metric: "p50", Above: "1000x stable", For: "1m", Min: "20", Missing: "missing", React: "rollback"},
		"cpu > 10000%":                          {Metric: "cpu", Above: "10000%", For: "1m", Missing: "missing", React: "rollback"},
		"p50 > 1h in 3 of 3":                    {Metric: "p50", Above: "1h", For: "1m", Of: "3 of 3", Min: "20", Missing: "missing", React: "rollback"},
		"p501 > 1us in 6 of 6 for 6s":           {Metric: "p501", Above: "1µs", For: "6s", Min: "20", Missing: "missing", React: "rollback"},
		"cold_starts > 20% for 5m":              {Metric: "cold_starts", Above: "20%", For: "5m", Min: "20", Missing: "missing", React: "rollback"},
		"throttles > 0 then notify":             {Metric: "throttles", Above: "0", For: "1m", Missing: "missing", React: "notify"},
		"queue age > 14d":                       {Metric: "queue_age", Above: "336h", For: "1m", Missing: "missing", React: "rollback"},
		"p75 > 1h0m1s in 1 of 360 for 30m  ":    {},
		"p95 > 30m in 1 of 360 for 30m min 100": {Metric: "p95", Above: "30m", For: "30m", Of: "1 of 360", Min: "100", Missing: "missing", React: "rollback"},
	} {
		a, err := ParseAlarm("n", text)
		if want == (Long{}) {
			if err == nil {
				t.Errorf("%s was read", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, a.Expand()); d != "" {
			t.Errorf("%s:\n%s", text, d)
		}
		again, err := a.Expand().Alarm("n")
		if d := cmp.Diff(a, again); err != nil || d != "" {
			t.Errorf("%s, expanded: %v\n%s", text, err, d)
		}
	}
}

func TestDefaults_watchErrorsAndRelativeLatency(t *testing.T) {
	t.Parallel()
	var got []string
	for _, a := range Defaults() {
		got = append(got, a.Name+": "+a.String())
	}
	if d := cmp.Diff([]string{"errors: 5xx > 2%", "latency: p99 > 2x stable"}, got); d != "" {
		t.Error(d)
	}
	if of := FunctionDefaults(); len(of) != 1 || of[0].Name != "errors" || of[0].Text != "errors > 1%" || of[0].N*int(of[0].Period) != int(time.Minute) {
		t.Errorf("of a function: %+v", of)
	}
}

func TestMetrics_eachIsReadAndHasAQuantileOrNot(t *testing.T) {
	t.Parallel()
	thousandths := map[Metric]int{"p50": 500, "p75": 750, "p90": 900, "p95": 950, "p99": 990, "p999": 999}
	for _, m := range Metrics() {
		if got, err := parseMetric(string(m)); err != nil || got != m {
			t.Errorf("%s is read as %s, %v", m, got, err)
		}
		th, ok := m.quantile()
		if th != thousandths[m] || ok != (th > 0) || ok != (m.unit() == latency) {
			t.Errorf("%s is the quantile %d, %v", m, th, ok)
		}
	}
	for m, th := range map[Metric]int{"p500": 0, "p501": 501, "p995": 995} {
		if got, ok := m.quantile(); ok != (th > 0) || ok && got != th {
			t.Errorf("%s is the quantile %d, %v", m, got, ok)
		}
	}
}

// alarms draws any alarm that can be written.
func alarms() *rapid.Generator[Alarm] {
	return rapid.Custom(func(t *rapid.T) Alarm {
		l := Long{
			Metric:  rapid.SampledFrom(metricWords()).Draw(t, "metric"),
			Missing: rapid.SampledFrom([]string{"", "missing", "ignore", "breaching", "notBreaching"}).Draw(t, "missing"),
			React:   rapid.SampledFrom([]string{"", "rollback", "pause", "notify"}).Draw(t, "react"),
			For:     rapid.SampledFrom([]string{"", "1s", "2s", "9s", "10s", "30s", "2m"}).Draw(t, "for"),
		}
		m, err := parseMetric(l.Metric)
		if err != nil {
			t.Fatal(err)
		}
		limits := map[unit][]string{
			ratio: {"0%", "1%", "2.5%", "7%", "99.999999%", "2x stable"}, latency: {"1us", "250ms", "1.234567s", "1h", "1.2x stable"},
			rate: {"0", "0.5", "5", "100000"}, share: {"0%", "80%", "333.3%"}, count: {"0", "2"}, age: {"1s", "5m", "90m", "14d"},
		}
		if m == Memory {
			limits[share] = append(limits[share], "1.5x stable")
		}
		l.Above = rapid.SampledFrom(limits[m.unit()]).Draw(t, "limit")
		if u := m.unit(); (u == rate || u == share) && l.Above != "1.5x stable" && rapid.Bool().Draw(t, "below") {
			l.Above, l.Below = "", l.Above
		}
		if m.OfRequests() {
			l.Min = rapid.SampledFrom([]string{"", "1", "20", "1000"}).Draw(t, "min")
		}
		if m.unit() != count && (l.For == "" || l.For == "30s" || l.For == "2m") {
			l.Of = rapid.SampledFrom([]string{"", "1 of 1", "3 of 5", "6 of 6", "2 of 10"}).Draw(t, "of")
		}
		a, err := l.Alarm("n")
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		return a
	})
}

func TestAlarm_shortAndLongFormsReadBackAsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := alarms().Draw(t, "alarm")
		short, err := ParseAlarm("n", a.String())
		if d := cmp.Diff(a, short); err != nil || d != "" {
			t.Fatalf("short form %q: %v\n%s", a.String(), err, d)
		}
		long, err := a.Expand().Alarm("n")
		if d := cmp.Diff(a, long); err != nil || d != "" {
			t.Fatalf("long form %+v: %v\n%s", a.Expand(), err, d)
		}
	})
}

func FuzzParseAlarm(f *testing.F) {
	for _, text := range []string{
		"5xx > 1% for 1m", "p99 > 800ms for 1m min 20", "p99 > 1.2x stable", "p99 > 1.2x stable for 2m", "rps < 5 for 1m", "cpu > 90%", "memory > 80%", "restarts > 2",
		"5xx > 1% in 3 of 5 for 50s missing ignore then pause", "5xx of POST /orders > 5%", "p9999>", "5xx > 1e9%", "p99 > 0x1p-2s", "5xx > ٣% for 1m", "p99 > 2x  stable",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAlarm("n", text)
		if err != nil {
			all, ok := err.(ParseErrors) //nolint:errorlint // the promise is the type itself
			if !ok || len(all) == 0 {
				t.Fatalf("%q: %#v", text, err)
			}
			for _, p := range all {
				if p.Field != "" || p.Key || p.Problem == "" || p.Offset < 0 || p.Length < 0 || p.Offset+p.Length > len(text) {
					t.Fatalf("%q: %#v", text, p)
				}
			}
			return
		}
		if a.M < 1 || a.M > a.N || a.N > 360 || a.Period < time.Second || a.window() > time.Hour || !(a.Limit >= 0) {
			t.Fatalf("%q: %+v", text, a)
		}
		again, err := ParseAlarm("n", a.String())
		if d := cmp.Diff(a, again); err != nil || d != "" {
			t.Fatalf("%q, as %q: %v\n%s", text, a.String(), err, d)
		}
		Judge(a, NewSeries([]Alarm{a}), nil, nil, time.Unix(0, 0))
	})
}
