package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"titrate/bench/figures"
	"titrate/examples/collect/load"
)

// outcomes looks again at every rollout, now that the release after it has been pushed.
func (s *soak) outcomes(ctx context.Context) error {
	for i := range s.releases {
		r := &s.releases[i]
		for j, before := range r.rollouts {
			now, err := s.Client.Rollout(ctx, before.ID)
			if err != nil {
				return fmt.Errorf("look at release %d again: %w", r.n, err)
			}
			if before.Over() && now.Outcome != before.Outcome {
				return fmt.Errorf("rollout %d of release %d was %s, and is %s now", now.ID, r.n, before.Outcome, now.Outcome)
			}
			r.rollouts[j] = now
		}
	}
	return nil
}

// counts are how the rollouts ended.
type counts struct {
	rollouts, alike, unmeasured, changed int
	outcomes                             map[string]int
}

// count adds up how each release ended, and replays it.
func (s *soak) count(ctx context.Context) counts {
	c := counts{outcomes: map[string]int{}}
	for _, r := range s.releases {
		if group, _ := largest(r.rollouts); len(group.Members) >= 64 {
			c.changed++
		}
		for _, o := range r.rollouts {
			c.rollouts++
			if o.Outcome == "" {
				o.Outcome = "none"
			}
			c.outcomes[o.Outcome]++
			if o.Label == "unmeasured" {
				c.unmeasured++
			}
			if o.Outcome != "promoted" {
				fmt.Fprintf(os.Stderr, "  release %d, %s, %s: %s; it waits for %s\n", r.n, o.Phase, o.Outcome, o.Why, o.Wait.For)
			}
			replay, err := s.Client.Replay(ctx, o.ID)
			switch {
			case err != nil:
				fmt.Fprintf(os.Stderr, "  rollout %d of release %d cannot be replayed: %v\n", o.ID, r.n, err)
			case replay.Agrees:
				c.alike++
			default:
				fmt.Fprintf(os.Stderr, "  rollout %d of release %d does not replay alike after %d looks: %s\n", o.ID, r.n, replay.Looks, replay.Differs)
			}
		}
	}
	return c
}

// tell prints what was measured. Its error says that a promise was broken.
func (s *soak) tell(w io.Writer, t *traffic, r *load.Report, book load.Verdict, took time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, losses := s.count(ctx), s.attribute(t, r.Failures)
	var reached figures.Sample
	for _, one := range s.releases[1:] {
		reached = append(reached, one.reached)
	}
	figures.Line(w, "requests", fmt.Sprintf("%d in %v, p50 %v, p99 %v", r.Sent, r.Ended.Sub(r.Started).Round(time.Second), r.P50.Round(time.Millisecond), r.P99.Round(time.Millisecond)), "")
	for _, victim := range []string{"server", "up"} {
		figures.Line(w, "requests lost with "+victim+" killed", fmt.Sprintf("%d in %d kills", losses[victim], len(s.struck(victim))), "0")
	}
	figures.Line(w, "requests lost with the node, in flight", fmt.Sprintf("%d in %d kills", losses["node"], len(s.struck("node"))), "")
	figures.Line(w, "requests lost with the node, begun later", fmt.Sprint(losses["node, later"]), "0")
	figures.Line(w, "requests lost otherwise", fmt.Sprint(losses["nothing"]), "0")
	for _, victim := range victims {
		figures.Line(w, victim+" killed → all works again", s.struck(victim).String(), "")
	}
	figures.Line(w, "push → the release has all events", reached.String(), "")
	figures.Line(w, "releases that changed all functions", fmt.Sprintf("%d of %d", c.changed, len(s.releases)), "")
	figures.Line(w, "outcomes", fmt.Sprintf("%v of %d rollouts, %d replay alike", c.outcomes, c.rollouts, c.alike), "")
	figures.Line(w, "ended unmeasured", fmt.Sprint(c.unmeasured), "0")
	figures.Line(w, "pickups", fmt.Sprintf("%d: %d collected, %d failed, %d cancelled", book.Pickups, book.Collected, book.Failed, book.Cancelled), "")
	figures.Line(w, "pickups whose events were lost", fmt.Sprint(book.Open), "0")
	figures.Line(w, "came again, with no second effect", fmt.Sprintf("%d; customers sent %d again", book.Repeated, r.Twice), "")
	figures.Line(w, "money, fils", fmt.Sprintf("quoted %d = captured %d + refunded %d + lapsed %d; %d entries, hold: %v", book.Quoted, book.Captured, book.Refunded, book.Lapsed, book.Entries, book.OK), "")
	figures.Line(w, "took", took.Round(time.Second).String(), "")
	for _, problem := range book.Problems {
		fmt.Fprintln(w, "    ", problem)
	}
	return broken(c, losses, book, len(s.releases))
}

// broken names the promises that were.
func broken(c counts, losses map[string]int, book load.Verdict, releases int) error {
	var all []error
	for _, p := range []struct {
		kept bool
		text string
	}{
		{losses["server"]+losses["up"]+losses["node, later"]+losses["nothing"] == 0, "requests were lost"},
		{book.OK && book.Open == 0, "the book does not hold"},
		{c.changed == releases, "not every release changed all functions"},
		{c.outcomes["promoted"] == c.rollouts, "not every release was promoted"},
		{c.alike == c.rollouts, "not every rollout replays alike"},
		{c.unmeasured == 0, "releases ended unmeasured"},
	} {
		if !p.kept {
			all = append(all, errors.New(p.text))
		}
	}
	return errors.Join(all...)
}
