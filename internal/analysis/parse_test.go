package analysis

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseAlarm_readsTheShortForms(t *testing.T) {
	t.Parallel()
	const s = time.Second
	roll := func(a Alarm) Alarm {
		a.Name, a.Missing, a.Reaction = "n", MissingMissing, ReactRollback
		return a
	}
	for text, want := range map[string]Alarm{
		"5xx > 1% for 1m":              roll(Alarm{Metric: "5xx", Limit: 0.01, Period: 10 * s, M: 6, N: 6, Min: 20, Text: "5xx > 1%"}),
		"5xx>1%":                       roll(Alarm{Metric: "5xx", Limit: 0.01, Period: 10 * s, M: 6, N: 6, Min: 20, Text: "5xx > 1%"}),
		"  errors  >  0.25%  for  2s ": roll(Alarm{Metric: "errors", Limit: 0.0025, Period: s, M: 2, N: 2, Min: 20, Text: "errors > 0.25% for 2s"}),
		"4xx > 0%":                     roll(Alarm{Metric: "4xx", Limit: 0, Period: 10 * s, M: 6, N: 6, Min: 20, Text: "4xx > 0%"}),
		"p99 > 800ms for 1m min 20":    roll(Alarm{Metric: "p99", Limit: 0.8, Period: 10 * s, M: 6, N: 6, Min: 20, Text: "p99 > 800ms"}),
		"p999 > 1.5s min 100 for 90s":  roll(Alarm{Metric: "p999", Limit: 1.5, Period: 10 * s, M: 9, N: 9, Min: 100, Text: "p999 > 1.5s for 1m30s min 100"}),
		"p99 > 1.2x stable":            roll(Alarm{Metric: "p99", Limit: 1.2, Relative: true, Period: 10 * s, M: 6, N: 6, Min: 20, Text: "p99 > 1.2x stable"}),
		"p99 > 1.2x stable for 2m":     roll(Alarm{Metric: "p99", Limit: 1.2, Relative: true, Period: 10 * s, M: 12, N: 12, Min: 20, Text: "p99 > 1.2x stable for 2m"}),
		"rps < 5 for 1m":               roll(Alarm{Metric: "rps", Below: true, Limit: 5, Period: 10 * s, M: 6, N: 6, Text: "rps < 5"}),
		"cpu > 90%":                    roll(Alarm{Metric: "cpu", Limit: 0.9, Period: 10 * s, M: 6, N: 6, Text: "cpu > 90%"}),
		"memory > 80%":                 roll(Alarm{Metric: "memory", Limit: 0.8, Period: 10 * s, M: 6, N: 6, Text: "memory > 80%"}),
		"restarts > 2":                 roll(Alarm{Metric: "restarts", Limit: 2, Period: 10 * s, M: 1, N: 6, Text: "restarts > 2"}),
		"5xx > 1% in 3 of 5 for 50s":   roll(Alarm{Metric: "5xx", Limit: 0.01, Period: 10 * s, M: 3, N: 5, Min: 20, Text: "5xx > 1% in 3 of 5 for 50s"}),
		"5xx > 1% for 10s":             roll(Alarm{Metric: "5xx", Limit: 0.01, Period: 10 * s, M: 1, N: 1, Min: 20, Text: "5xx > 1% for 10s"}),
		"5xx > 1% in 3 of 5":           roll(Alarm{Metric: "5xx", Limit: 0.01, Period: 12 * s, M: 3, N: 5, Min: 20, Text: "5xx > 1% in 3 of 5"}),
		"throttles > 0 for 1m":         roll(Alarm{Metric: "throttles", Limit: 0, Period: 10 * s, M: 1, N: 6, Text: "throttles > 0"}),
		"timeouts > 2 for 5m":          roll(Alarm{Metric: "timeouts", Limit: 2, Period: 10 * s, M: 1, N: 30, Text: "timeouts > 2 for 5m"}),
		"oom > 0 for 5m":               roll(Alarm{Metric: "oom", Limit: 0, Period: 10 * s, M: 1, N: 30, Text: "oom > 0 for 5m"}),
		"cold_starts > 20% for 5m":     roll(Alarm{Metric: "cold_starts", Limit: 0.2, Period: 10 * s, M: 30, N: 30, Min: 20, Text: "cold_starts > 20% for 5m"}),
		"cold_starts > 2x stable":      roll(Alarm{Metric: "cold_starts", Limit: 2, Relative: true, Period: 10 * s, M: 6, N: 6, Min: 20, Text: "cold_starts > 2x stable"}),
		"queue > 5m for 2m":            roll(Alarm{Metric: "queue", Limit: 300, Period: 10 * s, M: 12, N: 12, Text: "queue > 5m for 2m"}),
		" queue age > 1d in 1 of 2":    roll(Alarm{Metric: "queue", Limit: 86400, Period: 30 * s, M: 1, N: 2, Text: "queue > 24h in 1 of 2"}),
	} {
		got, err := ParseAlarm("n", text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
	}
	got, err := ParseAlarm("n", "5xx > 1% missing breaching then pause")
	if err != nil || got.Missing != MissingBreaching || got.Reaction != ReactPause {
		t.Errorf("missing and then: %+v, %v", got, err)
	}
}

func TestParseAlarm_saysWhatIsNotYetAvailable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"5xx of POST /orders > 5%", "prometheus > 5"} {
		if _, err := ParseAlarm("n", text); !errors.Is(err, ErrNotYet) {
			t.Errorf("%q: %v, want ErrNotYet", text, err)
		}
	}
	for _, source := range []string{"prometheus", "cloudwatch", "url"} {
		var p *ParseError
		_, err := Long{Source: source, Above: "0.5"}.Alarm("n")
		if !errors.Is(err, ErrNotYet) || !errors.As(err, &p) || p.Field != source {
			t.Errorf("%s: %v, want ErrNotYet", source, err)
		}
	}
}
