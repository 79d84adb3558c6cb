package analysis

// dot is one data point of an alarm as far as M of N is concerned.
type dot byte

const (
	gap    dot = '-' // not measured, or no requests
	within dot = '0'
	breach dot = 'X'
)

// state is what CloudWatch calls an alarm's state.
type state string

const (
	stateOK           state = "OK"
	stateAlarm        state = "ALARM"
	stateInsufficient state = "INSUFFICIENT_DATA"
	stateRetain       state = "RETAIN" // as it was one period before
)

// extraDots is how many data points beyond N are looked at so that a gap in the
// last N need not be filled. CloudWatch does not publish how many it takes; its
// worked tables have an evaluation range of 5 for an N of 3.
const extraDots = 2

// decide applies M of N to the data points of the evaluation range, oldest first:
// at most n+extraDots of them, fewer when less time has passed. It does what
// "Configuring how CloudWatch alarms treat missing data" in the CloudWatch user
// guide documents. Without any data point, not even a missing one, there is
// nothing to decide.
func decide(dots []dot, m, n int, missing Missing) state {
	found, breaching, oldest := tally(dots, n)
	switch {
	case breaching >= m:
		return stateAlarm
	case found == n:
		return stateOK
	case len(dots) == 0:
		return stateInsufficient
	}
	// Missing data points are used only as often as necessary, and time before
	// the first data point is not missing data: the weight had not arrived (R13).
	gaps := min(n-found, len(dots)-found)
	switch {
	case missing == MissingBreaching && breaching+gaps >= m:
		return stateAlarm
	case missing == MissingBreaching || missing == MissingNotBreaching:
		return stateOK
	case found > breaching:
		return stateOK
	case missing == MissingIgnore:
		return stateRetain
	case oldest >= m:
		// "Premature alarm state": nothing but breaches is known, for as long as M
		// periods.
		return stateAlarm
	default:
		return stateInsufficient
	}
}

// tally looks at the last n measured data points: how many there are, how many
// of them breach, and how many periods ago the oldest breach was (the newest dot
// is 1).
func tally(dots []dot, n int) (found, breaching, oldest int) {
	for i := len(dots) - 1; i >= 0 && found < n; i-- {
		switch dots[i] {
		case breach:
			breaching++
			oldest = len(dots) - i
			found++
		case within:
			found++
		case gap:
		}
	}
	return found, breaching, oldest
}

// pending reports whether a breach is under way: fewer than m further breaching
// data points would trip, because some of the present ones would count.
func pending(dots []dot, m, n int, missing Missing) bool {
	if _, breaching, _ := tally(dots, n); breaching == 0 && missing != MissingBreaching {
		return false
	}
	ahead := append(make([]dot, 0, len(dots)+m), dots...)
	for range m - 1 {
		ahead = append(ahead, breach)
		if decide(ahead[max(0, len(ahead)-n-extraDots):], m, n, missing) == stateAlarm {
			return true
		}
	}
	return false
}
