package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// maxDuration bounds every duration of a manifest. A year of bake is a mistake.
const maxDuration = 365 * day

// errTooLong is told of a duration that no key takes.
var errTooLong = errors.New("is longer than 365 days")

// ParseDuration reads a Go duration that may begin with days: "30s", "1h30m",
// "2d", "1d12h". It is never negative and at most 365 days. The error says what
// to write instead.
func ParseDuration(s string) (time.Duration, error) {
	rest := s
	var days time.Duration
	if head, tail, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(head)
		if err != nil || n < 0 || strings.HasPrefix(head, "+") {
			return 0, durationError(s)
		}
		if n > int(maxDuration/day) {
			return 0, errTooLong
		}
		days, rest = time.Duration(n)*day, tail
		if rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	switch {
	case err != nil || strings.HasPrefix(rest, "+"):
		return 0, durationError(s)
	case d < 0 || strings.HasPrefix(rest, "-"):
		return 0, errors.New("is negative")
	case days > maxDuration || d > maxDuration-days:
		return 0, errTooLong
	}
	return days + d, nil
}

// FormatDuration writes d as [ParseDuration] reads it, as briefly as it can.
func FormatDuration(d time.Duration) string {
	var b strings.Builder
	if d >= day {
		fmt.Fprintf(&b, "%dd", d/day)
		d %= day
		if d == 0 {
			return b.String()
		}
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return b.String() + s
}

// Spellings that people bring from elsewhere.
var (
	bareNumber = regexp.MustCompile(`^\d+$`)
	wordyUnit  = regexp.MustCompile(`^(\d+)\s*(ms|millis\w*|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)$`)
)

func durationError(s string) error {
	if bareNumber.MatchString(s) {
		return fmt.Errorf("has no unit: %ss or %sm?", s, s)
	}
	m := wordyUnit.FindStringSubmatch(strings.ToLower(strings.TrimSpace(s)))
	if m == nil {
		return errors.New("is not a duration: 30s, 5m, 1h30m and 2d are")
	}
	unit := m[2][:1]
	if strings.HasPrefix(m[2], "ms") || strings.HasPrefix(m[2], "mil") {
		unit = "ms"
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return errTooLong
	}
	if unit == "w" {
		n, unit = n*7, "d"
	}
	better := strconv.Itoa(n) + unit
	if better == s {
		return errTooLong // a day too many for a number
	}
	if _, err := ParseDuration(better); err != nil {
		return err
	}
	return fmt.Errorf("is not a duration: write %s", better)
}
