package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// Explanation says why a rollout stands where it does, from its history only.
type Explanation struct {
	Rollout  int64             `json:"rollout"`
	Title    string            `json:"title"`              // "r42 in production: orders v17, payments v9"
	Summary  string            `json:"summary"`            // one sentence: how it ended, or what it waits for
	Story    []Sentence        `json:"story"`              // what happened, in order
	Evidence *analysis.Reading `json:"evidence,omitempty"` // of the alarm that tripped
	Waits    *rollout.Wait     `json:"waits,omitempty"`    // while it is in progress
	Next     string            `json:"next,omitempty"`     // what to type to go on
}

// Sentence is one thing that happened.
type Sentence struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Explain tells a rollout's story: why it waits, or why it was refused.
func (c *Controller) Explain(ctx context.Context, id int64) (Explanation, error) {
	r, history, err := c.history(ctx, id)
	if err != nil {
		return Explanation{}, err
	}
	return explain(r, history, c.now()), nil
}

func explain(r rollout.Record, history []rollout.Look, now time.Time) Explanation {
	e := Explanation{Rollout: r.Plan.Rollout, Title: title(r.Plan), Summary: r.State.Why}
	e.tell(r.Opened, "opened%s: %s", by(r.By), r.Plan.Strategy)
	if r.Retries != 0 {
		e.tell(r.Opened, "tries rollout %d again, attempt %d", r.Retries, r.Plan.Attempt)
	}
	for _, look := range history {
		e.look(r.Plan, look)
	}
	s := r.State
	if s.Back != nil {
		e.Evidence = s.Back.Evidence
	}
	if s.Over() {
		e.Summary = ended(r)
		if s.Outcome == rollout.RolledBack || s.Outcome == rollout.Failed || s.Outcome == rollout.Aborted {
			e.Next = fmt.Sprintf("fix it and push again, or try the same version again: titrate rollout retry %s", r.Plan.App)
		}
		return e
	}
	var last rollout.Seen
	if n := len(history); n > 0 {
		last = history[n-1].Seen
	}
	w := rollout.Waiting(r.Plan, s, last, now)
	e.Waits, e.Summary = &w, waits(w, now)
	if w.Person {
		e.Next = fmt.Sprintf("titrate rollout promote %s, or titrate rollout abort %s", r.Plan.App, r.Plan.App)
	}
	return e
}

func title(p rollout.Plan) string {
	var members []string
	for _, m := range p.Members {
		members = append(members, m.Workload+" "+m.Candidate.String())
	}
	what := p.Release.String()
	if p.Kind == rollout.Rollback {
		what = "rollback to " + what
	}
	return fmt.Sprintf("%s in %s: %s", what, p.Env, strings.Join(members, ", "))
}

func ended(r rollout.Record) string {
	s := r.State.Why
	if !strings.HasPrefix(s, string(r.State.Outcome)) { // "promoted: a first release"
		s = fmt.Sprintf("%s: %s", r.State.Outcome, s)
	}
	if b := r.State.Back; b != nil && b.Why != "" && !strings.Contains(s, b.Why) {
		s += "; " + b.Why
	}
	if r.State.Unmeasured {
		s += " (unmeasured: on health checks alone)"
	}
	if r.State.NoBaseline {
		s += " (no baseline: the first release)"
	}
	return s
}

func waits(w rollout.Wait, now time.Time) string {
	s := "waits for " + w.For
	if !w.Until.IsZero() {
		s += fmt.Sprintf(", at most %s more", max(0, w.Until.Sub(now)).Round(time.Second))
	}
	if w.Then != "" {
		s += "; then " + w.Then
	}
	return s
}

func (e *Explanation) tell(at time.Time, format string, args ...any) {
	e.Story = append(e.Story, Sentence{At: at, Text: fmt.Sprintf(format, args...)})
}

// look tells what changed at one look.
func (e *Explanation) look(p rollout.Plan, l rollout.Look) {
	a, b := l.Before, l.After
	if b.Command != a.Command {
		e.command(l)
	}
	switch {
	case a.Pause == nil && b.Pause != nil:
		text := "paused by " + b.Pause.Owner
		if b.Pause.Reason != "" {
			text += ": " + b.Pause.Reason
		}
		e.tell(l.At, "%s", text)
		e.verdicts(p, l)
	case a.Pause != nil && b.Pause == nil && b.Back == nil:
		e.tell(l.At, "went on after %s of pause", b.Since.Sub(a.Pause.Since).Round(time.Second))
	}
	if a.Back == nil && b.Back != nil {
		e.tell(l.At, "turned back at %s: %s", b.Back.From, b.Back.Why)
		if r := b.Back.Evidence; r != nil {
			e.tell(l.At, "%s", evidence(*r))
		}
	}
	switch {
	case a.Phase != b.Phase && a.Why == b.Why, a.Back == nil && b.Back != nil:
		// Told already.
	case a.Phase != b.Phase:
		e.tell(l.At, "%s: %s", b.Phase, b.Why)
	case a.Weight != b.Weight:
		e.tell(l.At, "asked for %s: %s", b.Weight, b.Why)
	case a.Step != b.Step:
		e.tell(l.At, "step %d of %d: %s", b.Step+1, len(p.Steps), b.Why)
	case a.Arrived.IsZero() && !b.Arrived.IsZero():
		e.tell(l.At, "%s has arrived at every member", b.Weight)
	}
	for _, notice := range b.Notices[min(len(a.Notices), len(b.Notices)):] {
		e.tell(l.At, "noticed: %s", notice)
	}
	for i, h := range b.Hooks {
		switch {
		case i >= len(a.Hooks):
			e.tell(l.At, "asked for the %s hook of %s: %s", h.Kind, p.Members[h.Member].Workload, h.Command)
		case h.Done && !a.Hooks[i].Done:
			e.tell(l.At, "the %s hook of %s ended with exit code %d%s", h.Kind, p.Members[h.Member].Workload, h.Exit, problemOf(h))
		}
	}
}

func problemOf(h rollout.HookRecord) string {
	if h.Problem == "" {
		return ""
	}
	return " (" + h.Problem + ")"
}

// command tells who asked for what, and why it was refused if it was.
func (e *Explanation) command(l rollout.Look) {
	for _, c := range l.Seen.Commands {
		if c.ID <= l.Before.Command || c.ID > l.After.Command {
			continue
		}
		text := string(c.Verb) + by(c.By)
		if c.Reason != "" {
			text += " (" + c.Reason + ")"
		}
		if c.ID == l.After.Command && l.After.Refused != "" {
			text += ", refused: " + l.After.Refused
		}
		e.tell(l.At, "%s", text)
	}
}

// verdicts tells what each alarm that did not pass said at a look.
func (e *Explanation) verdicts(p rollout.Plan, l rollout.Look) {
	for i, m := range l.Seen.Members {
		for _, r := range m.Readings {
			if r.Verdict != analysis.Pass && !r.Abstains {
				e.tell(l.At, "%s %s: %s", p.Members[i].Workload, p.Members[i].Candidate, evidence(r))
			}
		}
	}
}

// evidence writes a reading with the numbers behind it.
func evidence(r analysis.Reading) string {
	if r.Err != "" {
		return fmt.Sprintf("alarm %s could not be measured: %s", r.Alarm, r.Err)
	}
	s := fmt.Sprintf("alarm %s: %s; %d of %d requests, %d of %d periods breaching (%d needed)", r.Alarm, r.Text, r.Bad, r.Requests, r.Breaching, r.N, r.M)
	if !r.Since.IsZero() {
		s += ", since " + r.Since.Format(time.TimeOnly)
	}
	return s
}
