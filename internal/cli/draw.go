package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"titrate/client"
)

const barWidth = 20

// drawRollout writes a rollout as people watch it: vessels, alarms, members.
func drawRollout(w io.Writer, r client.Rollout, now time.Time) {
	fmt.Fprintf(w, "%s  #%d  %s  %s  opened %s ago\n", title(r), r.ID, release(r), r.Strategy, span(now.Sub(r.Opened)))
	from, to := vessels(r)
	level := bar(r.Weight, barWidth)
	if len(r.Members) == 1 && r.Members[0].Stable == 0 {
		level = strings.ReplaceAll(level, "█", "·") // there is no old version
	}
	fmt.Fprintf(w, " %s%s%s  %s  %s\n", from, level, to, percent(r.Weight), standing(r))
	if text := waiting(r, now); text != "" {
		fmt.Fprintf(w, " %s\n", text)
	}
	for _, n := range r.Notices {
		fmt.Fprintf(w, " ▲ %s\n", n)
	}
	drawAlarms(w, r)
	if r.Damage != "" && !r.Over() {
		fmt.Fprintf(w, " damage budget: %s; when so many failed for users the gateway takes the traffic back by itself\n", r.Damage)
	}
	well := func(m client.Member) string {
		if m.Failure != "" || m.Ready < m.Instances {
			return ""
		}
		return "well"
	}
	groups := fold(r.Members, well)
	for i, same := range groups {
		branch, below := "├─", "│ "
		if i == len(groups)-1 {
			branch, below = "└─", "  "
		}
		m := same[0]
		if len(same) > 1 {
			fmt.Fprintf(w, " %s %s v%d and %d more  all ready\n", branch, m.Workload, m.Candidate, len(same)-1)
			continue
		}
		fmt.Fprintf(w, " %s %s v%d%s\n", branch, m.Workload, m.Candidate, readiness(r, m))
		if m.Preview != "" {
			fmt.Fprintf(w, " %s preview %s\n", below, m.Preview)
		}
		if m.Failure != "" {
			fmt.Fprintf(w, " %s ✖ %s\n", below, strings.ReplaceAll(m.Failure, "\n", "\n "+below+"   "))
		}
	}
}

// readiness says how many instances of a candidate are ready; of one that is over and
// runs no more there is nothing to say.
func readiness(r client.Rollout, m client.Member) string {
	if r.Over() && m.Ready == 0 {
		return ""
	}
	return fmt.Sprintf("  %d/%d ready", m.Ready, m.Instances)
}

// vessels names what the bar's two ends are, where all members agree.
func vessels(r client.Rollout) (from, to string) {
	if len(r.Members) != 1 {
		return "", ""
	}
	m := r.Members[0]
	if m.Stable != 0 {
		from = fmt.Sprintf("v%d ", m.Stable)
	}
	return from, fmt.Sprintf(" v%d", m.Candidate)
}

func release(r client.Rollout) string {
	text := "r" + strconv.Itoa(r.Release)
	if r.Attempt > 1 {
		text += ", attempt " + strconv.Itoa(r.Attempt)
	}
	return text
}

// progress says in one line where it stands and what it waits for.
func progress(r client.Rollout, now time.Time) string {
	text := standing(r)
	if wait := waiting(r, now); wait != "" {
		text += "  " + wait
	}
	return text
}

// standing says where it stands.
func standing(r client.Rollout) string {
	if r.Outcome == "" {
		if r.Phase == "shifting" {
			return fmt.Sprintf("step %d of %d", r.Step, len(r.Steps))
		}
		return r.Phase
	}
	text := glyph(r.Outcome) + " " + r.Outcome
	if r.Label != "" && r.Outcome == "promoted" {
		text += " (" + r.Label + ")"
	}
	if rest, said := strings.CutPrefix(r.Why, r.Outcome); said { // "aborted by sara"
		return text + rest
	}
	return text + ": " + r.Why
}

// waiting says what a rollout waits for, how long still, and what follows.
func waiting(r client.Rollout, now time.Time) string {
	if r.Outcome != "" || r.Wait.For == "" && r.Pause == nil {
		return ""
	}
	// The step has been named already.
	text := "waiting: " + strings.TrimPrefix(r.Wait.For, fmt.Sprintf("step %d of %d: ", r.Step, len(r.Steps)))
	if r.Pause != nil {
		text = "॥ paused by " + r.Pause.Owner
		if r.Pause.Reason != "" {
			text += ": " + r.Pause.Reason
		}
	}
	if left := r.Wait.Until.Sub(now); !r.Wait.Until.IsZero() && left > 0 {
		text += "; " + span(left) + " left"
	}
	if r.Wait.Then != "" {
		text += "; then " + r.Wait.Then
	}
	return text
}

func drawAlarms(w io.Writer, r client.Rollout) {
	var rows [][]string
	quiet, calm := 0, func(a client.Alarm) bool { return a.Error == "" && (a.Verdict == "pass" || a.Requests == 0) }
	for _, m := range r.Members {
		for _, a := range m.Alarms {
			if len(r.Members) >= foldAt && calm(a) {
				quiet++
				continue
			}
			name := a.Name
			if len(r.Members) > 1 {
				name = m.Workload + " " + name
			}
			state := a.Verdict
			switch {
			case a.Error != "":
				state = "cannot be measured: " + a.Error
			case a.Abstains:
				state = "abstains"
			case state == "":
				state = "no window yet"
			}
			enough := fmt.Sprintf("%d requests", a.Requests)
			if a.Requests < uint64(max(a.Min, 0)) {
				enough = fmt.Sprintf("%d of %d requests", a.Requests, a.Min)
			}
			rows = append(rows, []string{" " + name, a.Rule, enough, glyph(a.Verdict) + " " + state, a.Text})
		}
	}
	if len(rows) > 0 {
		table(w, append([][]string{{" alarm", "rule", "data", "state", "says"}}, rows...))
	}
	if quiet > 0 {
		fmt.Fprintf(w, " %d %s of %d members pass, or have no requests yet\n", quiet, plural("alarm", quiet), len(r.Members))
	}
}
