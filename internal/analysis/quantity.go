package analysis

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// parseNumber reads a plain decimal: digits, at most six of them after a point.
// No sign, exponent, infinity or hexadecimal, which strconv would take.
func parseNumber(text string) (float64, bool) {
	whole, part, point := strings.Cut(text, ".")
	if len(whole) > 9 || len(part) > 6 || point && part == "" || whole == "" {
		return 0, false
	}
	for _, c := range whole + part {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil
}

// formatNumber is the inverse of parseNumber.
func formatNumber(x float64) string {
	s := strconv.FormatFloat(x, 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// parseDuration reads a Go duration, or days: "1d".
func parseDuration(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, ok := parseNumber(days)
		if n > 1e4 {
			return 0, false
		}
		return time.Duration(math.Round(n * float64(24*time.Hour))), ok
	}
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && text != "0"
}

// formatDuration writes a duration as a manifest does: "1m", "1m30s", "800ms".
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
