package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/schedule"

	"pgregory.net/rapid"
)

// piece is one field of an expression, with the values that it stands for.
type piece struct {
	text   string
	values []int
	any    bool
}

func drawPiece(t *rapid.T, name string, lowest, highest int) piece {
	value := func(label string) int { return rapid.IntRange(lowest, highest).Draw(t, name+label) }
	switch rapid.IntRange(0, 4).Draw(t, name) {
	case 0:
		v := value("value")
		return piece{text: fmt.Sprint(v), values: []int{v}}
	case 1:
		from, to := value("from"), value("to")
		if from > to {
			from, to = to, from
		}
		p := piece{text: fmt.Sprintf("%d-%d", from, to)}
		for v := from; v <= to; v++ {
			p.values = append(p.values, v)
		}
		return p
	case 2:
		step := rapid.IntRange(1, highest).Draw(t, name+"step")
		p := piece{text: fmt.Sprintf("*/%d", step), any: true}
		for v := lowest; v <= highest; v += step {
			p.values = append(p.values, v)
		}
		return p
	case 3:
		a, b := value("a"), value("b")
		return piece{text: fmt.Sprintf("%d,%d", a, b), values: []int{a, b}}
	}
	p := piece{text: "*", any: true}
	for v := lowest; v <= highest; v++ {
		p.values = append(p.values, v)
	}
	return p
}

// TestNext_agreesWithLookingAtEveryMinute asks a clock that moves a minute at a time.
func TestNext_agreesWithLookingAtEveryMinute(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minute, hour := drawPiece(t, "minute", 0, 59), drawPiece(t, "hour", 0, 23)
		day, month, weekday := drawPiece(t, "day", 1, 31), drawPiece(t, "month", 1, 12), drawPiece(t, "weekday", 0, 6)
		text := strings.Join([]string{minute.text, hour.text, day.text, month.text, weekday.text}, " ")
		s, err := schedule.Parse(text)
		if err != nil {
			t.Skip(err)
		}
		due := func(m time.Time) bool {
			byDay, byWeekday := slices.Contains(day.values, m.Day()), slices.Contains(weekday.values, int(m.Weekday()))
			days := byDay && byWeekday
			if !day.any && !weekday.any {
				days = byDay || byWeekday
			}
			return slices.Contains(minute.values, m.Minute()) && slices.Contains(hour.values, m.Hour()) && slices.Contains(month.values, int(m.Month())) && days
		}
		after := time.Unix(int64(rapid.IntRange(0, 2_000_000_000).Draw(t, "after")), 0).UTC()
		got, ok := s.Next(after, time.UTC)
		want := after.Truncate(time.Minute).Add(time.Minute)
		for end := want.AddDate(0, 2, 0); want.Before(end); want = want.Add(time.Minute) {
			if due(want) {
				if !ok || !got.Equal(want) {
					t.Fatalf("%s after %s: %s %v, want %s", text, after, got, ok, want)
				}
				return
			}
		}
		if ok && got.Before(want) {
			t.Fatalf("%s after %s: %s, where nothing is due before %s", text, after, got, want)
		}
	})
}

// TestNext_neverStandsStill goes on in zones whose clocks jump.
func TestNext_neverStandsStill(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC, zone(t, "Europe/Berlin"), zone(t, "America/Sao_Paulo"), zone(t, "Australia/Lord_Howe"), zone(t, "Pacific/Apia")}
	texts := []string{"*/7 * * * *", "30 2 * * *", "0,30 0-4 * * *", "cron(15 1 ? * SUN *)", "rate(90 minutes)"}
	rapid.Check(t, func(t *rapid.T) {
		s, err := schedule.Parse(rapid.SampledFrom(texts).Draw(t, "text"))
		if err != nil {
			t.Fatal(err)
		}
		z := rapid.SampledFrom(zones).Draw(t, "zone")
		now := time.Unix(int64(rapid.IntRange(0, 2_000_000_000).Draw(t, "now")), int64(rapid.IntRange(0, 999_999_999).Draw(t, "nanosecond")))
		for range 30 {
			due, ok := s.Next(now, z)
			if !ok || !due.After(now) || due.Sub(now) > 9*24*time.Hour {
				t.Fatalf("%s in %s after %s: %s %v", s, z, now, due, ok)
			}
			now = due
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"cron(0 2 * * ? *)", "rate(5 minutes)", "at(2026-12-24T18:00:00)", "*/5 1-3,7 LW JAN 3#2", "cron(0 9 15W,LW * ? 2030/2)", "@daily", "cron(0 0 ? 2 2#5,6L 1970-2199)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse(text)
		if err != nil {
			return
		}
		again, err := schedule.Parse(s.String())
		if err != nil {
			t.Fatalf("%q reads, %q does not: %v", text, s.String(), err)
		}
		now := time.Date(2026, 11, 28, 7, 48, 41, 0, time.UTC)
		due, ok := s.Next(now, time.UTC)
		if other, also := again.Next(now, time.UTC); ok != also || !other.Equal(due) {
			t.Fatalf("%q and %q differ", text, s.String())
		}
		if ok && !due.After(now) {
			t.Fatalf("%q is due at %s, not after %s", text, due, now)
		}
	})
}
