package schedule_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"titrate/internal/schedule"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Skipf("this machine does not know the zone %s: %v", name, err)
	}
	return z
}

const layout = "2006-01-02T15:04:05Z07:00"

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(layout, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func parse(t *testing.T, text string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNext_isWhatTheExpressionSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, after, want string }{
		{"rate(5 minutes)", "2026-11-28T07:48:41Z", "2026-11-28T07:50:00Z"},
		{"rate(5 minutes)", "2026-11-28T07:50:00Z", "2026-11-28T07:55:00Z"},
		{"rate(1 hour)", "2026-11-28T07:48:41Z", "2026-11-28T08:00:00Z"},
		{"rate(1 day)", "2026-11-28T07:48:41Z", "2026-11-29T00:00:00Z"},
		{"rate(1 hour)", "1969-12-31T22:30:00Z", "1969-12-31T23:00:00Z"},
		{"at(2026-12-24T18:00:00)", "2026-11-28T07:48:41Z", "2026-12-24T18:00:00Z"},
		{"0 2 * * *", "2026-11-28T07:48:41Z", "2026-11-29T02:00:00Z"},
		{"*/5 * * * *", "2026-11-28T07:50:00Z", "2026-11-28T07:55:00Z"},
		{"15 * * * *", "2026-11-28T23:30:00Z", "2026-11-29T00:15:00Z"},
		{"0 */6 * * *", "2026-11-28T07:48:41Z", "2026-11-28T12:00:00Z"},
		{"0 3 1 * *", "2026-11-28T07:48:41Z", "2026-12-01T03:00:00Z"},
		{"0 0 29 2 *", "2026-11-28T07:48:41Z", "2028-02-29T00:00:00Z"},
		{"0 0 13 * fri", "2026-11-28T07:48:41Z", "2026-12-04T00:00:00Z"}, // either day (crontab(5))
		{"0 0 */2 * fri", "2026-11-28T07:48:41Z", "2026-12-11T00:00:00Z"},
		{"0 0 * * 7", "2026-11-28T07:48:41Z", "2026-11-29T00:00:00Z"},
		{"0 0 * * 0", "2026-11-28T07:48:41Z", "2026-11-29T00:00:00Z"},
		{"30 8 * JAN,jun mon-fri", "2026-11-28T07:48:41Z", "2027-01-01T08:30:00Z"},
		{"@daily", "2026-11-28T07:48:41Z", "2026-11-29T00:00:00Z"},
		{"@yearly", "2026-11-28T07:48:41Z", "2027-01-01T00:00:00Z"},
		// The examples of "Cron expressions reference" of the EventBridge user guide.
		{"cron(0 10 * * ? *)", "2026-11-28T07:48:41Z", "2026-11-28T10:00:00Z"},
		{"cron(15 12 * * ? *)", "2026-11-28T12:15:00Z", "2026-11-29T12:15:00Z"},
		{"cron(0 18 ? * MON-FRI *)", "2026-11-28T07:48:41Z", "2026-11-30T18:00:00Z"},
		{"cron(0 8 1 * ? *)", "2026-11-28T07:48:41Z", "2026-12-01T08:00:00Z"},
		{"cron(0/15 * * * ? *)", "2026-11-28T07:48:41Z", "2026-11-28T08:00:00Z"},
		{"cron(0/10 * ? * MON-FRI *)", "2026-11-28T07:48:41Z", "2026-11-30T00:00:00Z"},
		{"cron(0/5 8-17 ? * MON-FRI *)", "2026-11-27T17:55:00Z", "2026-11-30T08:00:00Z"},
		{"cron(0 9 ? * 2#1 *)", "2026-11-28T07:48:41Z", "2026-12-07T09:00:00Z"},
		{"cron(0 9 ? * 3#5 *)", "2026-11-28T07:48:41Z", "2026-12-29T09:00:00Z"},
		{"cron(0 9 L * ? *)", "2026-11-28T07:48:41Z", "2026-11-30T09:00:00Z"},
		{"cron(0 9 LW * ? *)", "2027-01-30T00:00:00Z", "2027-02-26T09:00:00Z"}, // 31 January 2027 is a Sunday
		{"cron(0 9 1W * ? *)", "2026-12-31T00:00:00Z", "2027-01-01T09:00:00Z"},
		{"cron(0 9 1W * ? 2028)", "2026-12-31T00:00:00Z", "2028-01-03T09:00:00Z"}, // 1 January 2028 is a Saturday
		{"cron(0 9 ? * L *)", "2026-11-27T07:48:41Z", "2026-11-28T09:00:00Z"},
		{"cron(0 9 ? * 6L *)", "2026-11-27T09:00:00Z", "2026-12-25T09:00:00Z"},
		{"cron(0 9 ? * SUN *)", "2026-11-28T07:48:41Z", "2026-11-29T09:00:00Z"},
		{"cron(0 9 ? * 1 *)", "2026-11-28T07:48:41Z", "2026-11-29T09:00:00Z"},
		{"cron(0 0 1 1 ? 2030-2032)", "2026-11-28T07:48:41Z", "2030-01-01T00:00:00Z"},
	} {
		got, ok := parse(t, c.text).Next(at(t, c.after), time.UTC)
		if !ok || got.Format(layout) != c.want {
			t.Errorf("%s after %s: %s %v, want %s", c.text, c.after, got.Format(layout), ok, c.want)
		}
	}
}

func TestNext_hasAnEnd(t *testing.T) {
	t.Parallel()
	for text, after := range map[string]string{
		"at(2026-12-24T18:00:00)": "2026-12-24T18:00:00Z",
		"cron(0 0 1 1 ? 2020)":    "2026-11-28T07:48:41Z",
		"cron(0 0 1 1 ? 2199)":    "2199-01-01T00:00:00Z",
	} {
		if got, ok := parse(t, text).Next(at(t, after), time.UTC); ok {
			t.Errorf("%s after %s: %s", text, after, got)
		}
	}
	if _, ok := (schedule.Schedule{}).Next(time.Now(), time.UTC); ok {
		t.Error("the zero schedule is due")
	}
}

// TestNext_whereClocksAreSet is the night in which a clock jumps. In Berlin 2026 it goes
// from 02:00 to 03:00 on March 29, and from 03:00 to 02:00 on October 25.
func TestNext_whereClocksAreSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, text string
		after      string
		want       []string
	}{
		{"Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"Europe/Berlin", "0,30 2,3 * * *", "2026-03-28T12:00:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z", []string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"Europe/Berlin", "30 * * * *", "2026-10-24T23:45:00Z", []string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"}},
		{"Europe/Berlin", "30 * * * *", "2026-03-29T00:00:00Z", []string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"}},
		{"Europe/Berlin", "cron(30 2 * * ? *)", "2026-03-28T12:00:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"Europe/Berlin", "at(2026-03-29T02:30:00)", "2026-03-28T12:00:00Z", []string{"2026-03-29T03:00:00+02:00"}},
		{"America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00Z", []string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},                          // midnight was left out
		{"Pacific/Apia", "0 12 * * *", "2011-12-29T12:00:00Z", []string{"2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"}}, // a whole day was
		{"Asia/Kathmandu", "0 2 * * *", "2026-11-28T07:48:41Z", []string{"2026-11-29T02:00:00+05:45"}},
		{"Asia/Kathmandu", "0 * * * *", "2026-11-28T07:48:41Z", []string{"2026-11-28T14:00:00+05:45"}},
	} {
		z := zone(t, c.zone)
		s, now := parse(t, c.text), at(t, c.after)
		for i, want := range c.want {
			got, ok := s.Next(now, z)
			if !ok || got.Format(layout) != want {
				t.Errorf("%s in %s, %d.: %s %v, want %s", c.text, c.zone, i+1, got.Format(layout), ok, want)
				break
			}
			now = got
		}
	}
}

func TestParse_saysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "0 fields, where 5 are needed",
		"0 2 * *":                       "4 fields, where 5 are needed; five fields are",
		"cron(0 2 * * *)":               "5 fields, where 6 are needed; cron(…) is",
		"cron(0 2 * * * *)":             "exactly one of the two must be ?",
		"cron(0 2 ? * ? *)":             "exactly one of the two must be ?",
		"cron(0 2 * * ? *":              "the parenthesis is not closed",
		"every(5 minutes)":              `"every" is no kind of schedule`,
		"60 * * * *":                    `minutes: "60" is none of its values; it takes 0 to 59`,
		"* 24 * * *":                    `hours: "24" is none`,
		"* * 0 * *":                     `day-of-month: "0" is none`,
		"* * * 13 *":                    `month: "13" is none`,
		"* * * * 8":                     `day-of-week: "8" is none`,
		"* * * FOO *":                   "and names: JAN, FEB",
		"*/0 * * * *":                   `"0" is no step`,
		"5-1 * * * *":                   "a range that runs backwards",
		"cron(0/30 20-2 ? * MON-FRI *)": "a range that runs backwards",
		"1,,2 * * * *":                  `"" is none of its values`,
		"-1 * * * *":                    `"" is none of its values`,
		"+1 * * * *":                    `"+1" is none of its values`,
		"0 0 30 2 *":                    "no year has such a day",
		"0 0 31 4,6,9,11 *":             "no year has such a day",
		"cron(0 0 29 2 ? 2027)":         "no year has such a day",
		"cron(0 0 ? * 2#6 *)":           "no week from 1 to 5",
		"cron(0 0 ? * 8#1 *)":           `"8" is none of its values`,
		"cron(0 0 32W * ? *)":           `"32" is none of its values`,
		"cron(0 0 * * ? 2200)":          `"2200" is none of its values`,
		"rate(5)":                       "it needs a number and a unit",
		"rate(0 minutes)":               "is no number from 1",
		"rate(-5 minutes)":              "is no number from 1",
		"rate(1 minutes)":               "write rate(1 minute)",
		"rate(5 minute)":                "write rate(5 minutes)",
		"rate(5 weeks)":                 `"weeks" is no unit`,
		"at(tomorrow)":                  "it is no date with a time",
		"@reboot":                       "there is no such name",
		strings.Repeat("1", 300):        "longer than 256 characters",
	} {
		_, err := schedule.Parse(text)
		var told *schedule.Error
		if !errors.As(err, &told) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
