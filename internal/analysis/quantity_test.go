package analysis

import (
	"testing"
	"time"
)

func TestParseNumber_takesPlainDecimalsOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"0": 0, "7": 7, "0.5": 0.5, "123456789.123456": 123456789.123456, "007": 7} {
		if got, ok := parseNumber(text); !ok || got != want {
			t.Errorf("%q is read as %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "1234567890", "0.1234567", "1e3", "-1", "+1", "0x10", "inf", "NaN", "1_0", "1.2.3", "1/2", "1:2", "٣"} {
		if got, ok := parseNumber(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestParseDuration_takesDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"1d": 24 * time.Hour, "0.5d": 12 * time.Hour, "10000d": 10000 * 24 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, ok := parseDuration(text); !ok || got != want {
			t.Errorf("%q is read as %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "d", "10001d", "-1d", "0", "5", "+1s", "-1s", "1 s"} {
		if got, ok := parseDuration(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestFormatDuration_leavesZeroesOut(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", time.Hour + time.Second: "1h0m1s", time.Hour + 10*time.Minute: "1h10m",
		10 * time.Second: "10s", 800 * time.Millisecond: "800ms", 10 * time.Minute: "10m",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}
