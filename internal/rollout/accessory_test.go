package rollout

import (
	"testing"
	"time"
)

// Backups at a time of the day follow the clock on the wall, also on the days when it is
// put forward or back.
func TestAccessorySpec_due(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	for _, c := range []struct{ at, since, want string }{
		{"03:00", "2026-11-27T02:59:59+01:00", "2026-11-27T03:00:00+01:00"},
		{"03:00", "2026-11-27T03:00:00+01:00", "2026-11-28T03:00:00+01:00"},
		{"03:00", "2026-11-27T03:00:01+01:00", "2026-11-28T03:00:00+01:00"},
		{"00:00", "2026-12-31T12:00:00+01:00", "2027-01-01T00:00:00+01:00"},
		{"03:00", "2026-11-27T01:30:00Z", "2026-11-27T03:00:00+01:00"},
		{"03:00", "2026-03-28T03:00:00+01:00", "2026-03-29T03:00:00+02:00"}, // forward: 23 hours
		{"02:30", "2026-03-28T12:00:00+01:00", "2026-03-29T03:30:00+02:00"}, // is not on this day
		{"03:00", "2026-10-24T03:00:00+02:00", "2026-10-25T03:00:00+01:00"}, // back: 25 hours
	} {
		since, err := time.Parse(time.RFC3339, c.since)
		if err != nil {
			t.Fatal(err)
		}
		if got := (AccessorySpec{At: c.at}).Due(since, zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%s after %s: %s, want %s", c.at, c.since, got, c.want)
		}
	}
	since := time.Date(2026, 11, 27, 3, 0, 0, 0, zone)
	if got := (AccessorySpec{Every: 6 * time.Hour}).Due(since, zone); !got.Equal(since.Add(6 * time.Hour)) {
		t.Error(got)
	}
	if (AccessorySpec{}).Scheduled() || !(AccessorySpec{At: "03:00"}).Scheduled() || !(AccessorySpec{Every: 1}).Scheduled() {
		t.Error("scheduled")
	}
}
