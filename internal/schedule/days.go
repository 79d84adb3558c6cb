package schedule

import (
	"strings"
	"time"
)

// days is which days a cron expression means.
type days struct {
	ofMonth, ofWeek set // nil: not asked; weekdays are time.Weekday
	either          bool

	last        bool  // L of the month
	lastWorkday bool  // LW
	workdays    []int // 15W: the weekday nearest to a day, in its month
	nth         []nth // 3#2
	lastOf      []int // 5L: the last such weekday of the month
}

// nth is the nth such weekday of a month.
type nth struct{ weekday, n int }

// match reports whether a date is one of the days.
func (d *days) match(year, month, day int) bool {
	weekday := int(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Weekday())
	length := monthLength(year, month)
	ofMonth := d.ofMonth[day] || d.last && day == length || d.lastWorkday && day == nearestWorkday(year, month, length)
	for _, n := range d.workdays {
		ofMonth = ofMonth || n <= length && day == nearestWorkday(year, month, n)
	}
	ofWeek := d.ofWeek[weekday]
	for _, n := range d.nth {
		ofWeek = ofWeek || weekday == n.weekday && (day-1)/7+1 == n.n
	}
	for _, w := range d.lastOf {
		ofWeek = ofWeek || weekday == w && day+7 > length
	}
	switch {
	case d.either:
		return ofMonth || ofWeek
	case d.ofMonth == nil:
		return ofWeek
	case d.ofWeek == nil:
		return ofMonth
	}
	return ofMonth && ofWeek
}

func monthLength(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// nearestWorkday is the day from Monday to Friday that is nearest to a day, without
// leaving its month.
func nearestWorkday(year, month, day int) int {
	switch time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == monthLength(year, month) {
			return day - 2
		}
		return day + 1
	default:
		return day
	}
}

// parseDays reads the two fields of days.
func parseDays(text, ofMonth, ofWeek string, d dialect) (*days, error) {
	fields := d.fields()
	if d == crontab {
		return crontabDays(text, ofMonth, ofWeek, fields[2], fields[4])
	}
	if (ofMonth == "?") == (ofWeek == "?") {
		return nil, &Error{Text: text, Field: "day-of-month and day-of-week", Why: "exactly one of the two must be ?", Help: "write cron(0 2 * * ? *) for each day, cron(0 2 ? * MON *) for each Monday"}
	}
	out := &days{}
	if ofMonth != "?" {
		out.ofMonth = set{}
		return out, out.monthDays(text, ofMonth, fields[2])
	}
	out.ofWeek = set{}
	return out, out.weekDays(text, ofWeek, fields[4])
}

// crontabDays are those of five fields: where both are restricted either is enough
// (crontab(5)).
func crontabDays(text, ofMonth, ofWeek string, month, week field) (*days, error) {
	var err error
	out := &days{either: !strings.HasPrefix(ofMonth, "*") && !strings.HasPrefix(ofWeek, "*")}
	if out.ofMonth, err = month.parse(text, ofMonth); err != nil {
		return nil, err
	}
	if out.ofWeek, err = week.parse(text, ofWeek); err != nil {
		return nil, err
	}
	if out.ofWeek[7] {
		out.ofWeek[0] = true
	}
	return out, nil
}

// monthDays reads EventBridge's days of the month, with L, LW and 15W.
func (d *days) monthDays(text, value string, f field) error {
	for part := range strings.SplitSeq(value, ",") {
		day, workday := strings.CutSuffix(part, "W")
		switch {
		case part == "L":
			d.last = true
		case part == "LW":
			d.lastWorkday = true
		case workday:
			n, bad := f.value(day)
			if bad != nil {
				bad.Text = text
				return bad
			}
			d.workdays = append(d.workdays, n)
		default:
			if bad := f.add(d.ofMonth, part); bad != nil {
				bad.Text = text
				return bad
			}
		}
	}
	return nil
}

// weekDays reads EventBridge's days of the week, with L, 5L and 3#2.
func (d *days) weekDays(text, value string, f field) error {
	numbered := set{} // 1 is Sunday
	for part := range strings.SplitSeq(value, ",") {
		var bad *Error
		weekday, which, hash := strings.Cut(part, "#")
		last, isLast := strings.CutSuffix(part, "L")
		switch {
		case part == "L":
			numbered[7] = true
		case hash:
			n, ok := number(which)
			v, wrong := f.value(weekday)
			if bad = wrong; bad == nil && (!ok || n < 1 || n > 5) {
				bad = f.bad(which, "no week from 1 to 5")
			}
			d.nth = append(d.nth, nth{weekday: v - 1, n: n})
		case isLast:
			v, wrong := f.value(last)
			bad = wrong
			d.lastOf = append(d.lastOf, v-1)
		default:
			bad = f.add(numbered, part)
		}
		if bad != nil {
			bad.Text = text
			return bad
		}
	}
	for v := range numbered {
		d.ofWeek[v-1] = true
	}
	return nil
}
