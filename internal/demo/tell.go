package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"titrate/client"
)

// teller writes what happens: on a terminal the line of a moving rollout is
// redrawn, elsewhere there is one line for each change.
type teller struct {
	out   io.Writer
	live  bool
	drawn bool   // the last line is a moving one
	said  string // of the rollout, last
}

func (t *teller) line(format string, args ...any) {
	t.end()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// end leaves the moving line as it is.
func (t *teller) end() {
	if t.drawn {
		fmt.Fprintln(t.out)
		t.drawn = false
	}
	t.said = ""
}

const width = 20

func (t *teller) rollout(r client.Rollout, versions []client.Version) {
	m := r.Members[0]
	if m.Stable == 0 {
		return // a first release has nothing to pour from
	}
	full := int(r.Weight / 100 * width)
	text := fmt.Sprintf("  v%d %s%s v%d %4g %%", m.Stable, strings.Repeat("█", width-full), strings.Repeat("▒", full), m.Candidate, r.Weight)
	key := fmt.Sprint(text, r.Phase, r.Outcome)
	for _, v := range versions {
		if v.Version == m.Candidate && v.Requests > 0 {
			text += fmt.Sprintf("  %5.1f %% errors  p99 %3.0f ms", v.Errors, v.P99)
		}
	}
	switch {
	case r.Outcome != "":
		text += "  " + r.Outcome
	case r.Phase != "shifting":
		text += "  " + r.Phase
	case r.Wait.For != "":
		text += "  " + r.Wait.For
	}
	if !t.live {
		if key != t.said {
			t.said = key
			fmt.Fprintf(t.out, "%s%s\n", time.Now().Format("15:04:05.0"), text)
		}
		return
	}
	if r := []rune(text); len(r) > 118 {
		text = string(r[:118])
	}
	fmt.Fprintf(t.out, "\r\x1b[K%s", text)
	t.drawn = true
}

// sum says how a rollout ended.
func (d *demo) sum(ctx context.Context, r client.Rollout, got ActResult) {
	switch got.Outcome {
	case "promoted":
		d.say.line("  ✔ r%d promoted after %.1f s%s\n", got.Release, got.Seconds, label(r))
	case "held":
		d.say.line("  ◦ r%d holds at %g %%: %s. No data is not a pass.\n", got.Release, r.Weight, r.Wait.For)
	default:
		d.refused(ctx, r, got)
	}
}

func label(r client.Rollout) string {
	if r.Label == "" {
		return ""
	}
	return " (" + r.Label + ")"
}

func (d *demo) refused(ctx context.Context, r client.Rollout, got ActResult) {
	if a := r.Evidence; a != nil {
		d.say.line("  ✖ alarm %s: %s (v%d only)", a.Name, a.Text, got.Version)
		d.say.line("  ↩ v%d → 0 %% after %.2f s. v%d has all traffic. Service healthy, release refused.", got.Version, got.BreachToZero, r.Members[0].Stable)
		what := "failed"
		if strings.HasPrefix(a.Name, "latency") {
			what = "were too slow"
		}
		d.say.line("    cost    %d of %d requests to v%d %s", a.Bad, a.Requests, got.Version, what)
	} else {
		d.say.line("  ✖ r%d %s: %s", got.Release, got.Outcome, firstLines(got.Why, 6))
	}
	e, err := d.client.Explain(ctx, r.ID)
	if err != nil {
		return // the explanation of a failure must not hide the failure
	}
	for _, line := range e.Requests[max(0, len(e.Requests)-1):] {
		d.say.line("    cause   %s", clip(cause(line), 110))
	}
	d.say.line("")
}

// cause shortens a line of the example's log, which is JSON, to what a person
// looks for; any other line stays as it is.
func cause(line string) string {
	var l struct{ Msg, Error, At, Method, Path string }
	if json.Unmarshal([]byte(line), &l) != nil || l.Error == "" {
		return strings.TrimSpace(line)
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s   %s at %s: %q", l.Method, l.Path, l.Msg, l.At, l.Error)), " ")
}

// conclude says what it all came to.
func (d *demo) conclude(inFlight int) {
	r := d.res
	d.say.line("%d requests, p50 %.0f ms, p99 %.0f ms; %d answered badly by refused versions, %d otherwise, %d dropped.",
		r.Requests, r.P50, r.P99, r.ByBad, r.Failed-r.ByBad-inFlight, r.Dropped)
	if !d.killed.IsZero() {
		d.say.line("%d were in flight in the node when it was killed.", inFlight)
	}
	d.say.line("Books: %d orders, %d ledger entries, sum 0, nobody below 0, each key applied once: %v.", r.Ledger.Orders, r.Ledger.Entries, r.Ledger.OK)
	if r.OK {
		d.say.line("\nPassed: %s.", d.Scenario.About)
		return
	}
	d.say.line("\nNot passed:")
	for _, p := range r.Problems {
		d.say.line("  ✖ %s", p)
	}
}

func firstLines(text string, n int) string {
	lines := strings.SplitN(text, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "\n    ")
}

func clip(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}
