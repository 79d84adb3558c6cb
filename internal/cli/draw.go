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

// drawRollout writes a rollout as people watch it: vessel, alarms, members.
func drawRollout(w io.Writer, r client.Rollout, now time.Time) {
	fmt.Fprintf(w, "%s  #%d  %s  %s  opened %s ago\n", title(r), r.ID, release(r), r.Strategy, span(now.Sub(r.Opened)))
	fmt.Fprintf(w, " %s %s  %s\n", bar(r.Weight, barWidth), percent(r.Weight), progress(r, now))
	for _, n := range r.Notices {
		fmt.Fprintf(w, " ▲ %s\n", n)
	}
	drawAlarms(w, r)
	for _, m := range r.Members {
		fmt.Fprintf(w, " ├─ %s v%d  %d/%d ready\n", m.Workload, m.Candidate, m.Ready, m.Instances)
		if m.Failure != "" {
			fmt.Fprintf(w, " │  ✖ %s\n", strings.ReplaceAll(m.Failure, "\n", "\n │    "))
		}
	}
}

func release(r client.Rollout) string {
	text := "r" + strconv.Itoa(r.Release)
	if r.Attempt > 1 {
		text += ", attempt " + strconv.Itoa(r.Attempt)
	}
	return text
}

// progress says where it stands and what it waits for.
func progress(r client.Rollout, now time.Time) string {
	var b strings.Builder
	switch {
	case r.Outcome != "":
		fmt.Fprintf(&b, "%s %s", glyph(r.Outcome), r.Outcome)
		if r.Label != "" {
			fmt.Fprintf(&b, " (%s)", r.Label)
		}
		fmt.Fprintf(&b, ": %s", r.Why)
		return b.String()
	case r.Phase == "shifting":
		fmt.Fprintf(&b, "step %d of %d", r.Step, len(r.Steps))
	default:
		b.WriteString(r.Phase)
	}
	if r.Pause != nil {
		fmt.Fprintf(&b, "  ॥ paused by %s: %s", r.Pause.Owner, r.Pause.Reason)
	}
	if text := waiting(r, now); text != "" {
		b.WriteString("  " + text)
	}
	return b.String()
}

// waiting says what a rollout waits for, how long still, and what follows.
func waiting(r client.Rollout, now time.Time) string {
	if r.Wait.For == "" {
		return ""
	}
	text := "waiting: " + r.Wait.For
	if r.Pause != nil {
		text = "" // the pause has said it
	}
	if left := r.Wait.Until.Sub(now); !r.Wait.Until.IsZero() && left > 0 {
		text += "; " + span(left) + " left"
	}
	if r.Wait.Then != "" {
		text += "; then " + r.Wait.Then
	}
	return strings.TrimPrefix(text, "; ")
}

func drawAlarms(w io.Writer, r client.Rollout) {
	var rows [][]string
	for _, m := range r.Members {
		for _, a := range m.Alarms {
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
			enough := fmt.Sprintf("%d of %d req", a.Requests, a.Min)
			rows = append(rows, []string{" " + name, a.Rule, enough, glyph(a.Verdict) + " " + state, a.Text})
		}
	}
	if len(rows) > 0 {
		table(w, append([][]string{{" alarm", "rule", "data", "state", "says"}}, rows...))
	}
}
