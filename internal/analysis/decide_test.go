package analysis

import (
	"strings"
	"testing"
)

// row is a row of a worked table: data points, oldest first, and the state for
// each treatment of missing data.
type row struct {
	dots                                  string
	missing, ignore, breaching, notBreach state
}

func (r row) check(t *testing.T, m, n int) {
	t.Helper()
	dots := []dot(strings.ReplaceAll(r.dots, " ", ""))
	for treatment, want := range map[Missing]state{
		MissingMissing: r.missing, MissingIgnore: r.ignore, MissingBreaching: r.breaching, MissingNotBreaching: r.notBreach,
	} {
		if got := decide(dots, m, n, treatment); got != want {
			t.Errorf("%s, %d of %d, %s: %s, want %s", r.dots, m, n, treatment, got, want)
		}
	}
}

const (
	ok     = stateOK
	alarm  = stateAlarm
	short  = stateInsufficient
	retain = stateRetain
)

// The two tables of "Configuring how CloudWatch alarms treat missing data",
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
// (read in awsdocs/amazon-cloudwatch-user-guide, doc_source/AlarmThatSendsEmail.md).
func TestR27a_CloudWatchTables(t *testing.T) {
	t.Parallel()
	for _, r := range []row{ // Datapoints to Alarm and Evaluation Periods are both 3
		{"0 - X - X", ok, ok, ok, ok},
		{"0 - - - -", ok, ok, ok, ok},
		{"- - - - -", short, retain, alarm, ok},
		{"0 X X - X", alarm, alarm, alarm, alarm},
		{"- - X - -", alarm, retain, alarm, ok},
	} {
		r.check(t, 3, 3)
	}
	for _, r := range []row{ // Datapoints to Alarm is 2, Evaluation Periods is 3
		{"0 - X - X", alarm, alarm, alarm, alarm},
		{"0 0 X 0 X", alarm, alarm, alarm, alarm},
		{"0 - X - -", ok, ok, alarm, ok},
		{"- - - - 0", ok, ok, alarm, ok},
		{"- - - X -", alarm, retain, alarm, ok},
	} {
		r.check(t, 2, 3)
	}
}

// The sixth and fifth rows of the same tables in the guide's first public edition
// (same file at commit 05fd32f63861), where later ones have other examples.
func TestR27a_CloudWatchTablesOfTheFirstEdition(t *testing.T) {
	t.Parallel()
	row{"- - - - X", short, retain, alarm, ok}.check(t, 3, 3)
	row{"X - - - -", alarm, retain, alarm, ok}.check(t, 3, 3)
	row{"- - - - X", short, retain, alarm, ok}.check(t, 2, 3)
}

// "Avoiding premature transitions to alarm state" on the same page: - - - - X and
// - - - X - must not be an alarm at once when Datapoints to Alarm is 3, because
// they may become - - - X 0 and - - X - 0.
func TestR27a_CloudWatchPrematureAlarms(t *testing.T) {
	t.Parallel()
	for dots, want := range map[string]state{
		"- - - - X": short, "- - - X -": short, "- - X - -": alarm, "- - - X 0": ok, "- - X - 0": ok,
	} {
		if got := decide([]dot(strings.ReplaceAll(dots, " ", "")), 3, 3, MissingMissing); got != want {
			t.Errorf("%s: %s, want %s", dots, got, want)
		}
	}
}

func TestR13_timeBeforeTheWeightArrivedIsNotMissing(t *testing.T) {
	t.Parallel()
	for dots, want := range map[string]state{"X": ok, "XX": ok, "X-": ok, "XXX": alarm, "XX-": alarm, "0-": ok, "-": ok, "": short} {
		if got := decide([]dot(dots), 3, 3, MissingBreaching); got != want {
			t.Errorf("%s since the arrival: %s, want %s", dots, got, want)
		}
	}
}

func TestPending_isWhatFewerThanMFurtherBreachesWouldTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dots    string
		m, n    int
		missing Missing
		want    bool
	}{
		{"", 3, 3, MissingMissing, false},
		{"0", 3, 3, MissingMissing, false},
		{"X", 3, 3, MissingMissing, true},
		{"0X", 3, 3, MissingMissing, true},
		{"X0", 3, 3, MissingMissing, false},
		{"0XX0", 3, 3, MissingMissing, false},
		{"00X00", 3, 5, MissingMissing, true},
		{"0X000", 3, 5, MissingMissing, false}, // it will have left before the third
		{"X0000", 2, 5, MissingMissing, false},
		{"0X000", 2, 5, MissingMissing, true},
		{"X", 1, 1, MissingMissing, false}, // that is an alarm already
		{"--X-", 3, 3, MissingMissing, true},
		{"--X-0", 3, 3, MissingMissing, false},
		{"X----", 3, 3, MissingNotBreaching, false},
		{"", 3, 3, MissingBreaching, false},
		{"-", 3, 3, MissingBreaching, true},
		{"-", 3, 3, MissingNotBreaching, false},
		{"0-", 3, 3, MissingBreaching, false},
	} {
		if got := pending([]dot(c.dots), c.m, c.n, c.missing); got != c.want {
			t.Errorf("%q, %d of %d, %s: pending %v", c.dots, c.m, c.n, c.missing, got)
		}
	}
}
