package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/internal/sim/harness"
)

func (s *session) simulateCommand() *cobra.Command {
	var o harness.Options
	var verbose bool
	c := &cobra.Command{
		Use: "simulate", Short: "real controllers in a simulated world: crashes, losses, people, and what must hold", Args: cobra.NoArgs,
		Long: "Plays seeded histories on a clock of their own: real controllers in a simulated world in which everything goes\n" +
			"wrong, and checks at every step what must hold. The same seed gives the same history. Exits 1 when something\n" +
			"did not hold, and prints the command that plays that history again.",
		RunE: func(c *cobra.Command, _ []string) error {
			play := func() (*harness.Report, error) { return harness.Run(c.Context(), o, time.Now) }
			if verbose {
				// With JSON, stdout is the report alone.
				trace := s.Out
				if s.forPrograms() {
					trace = s.Err
				}
				play = func() (*harness.Report, error) { return harness.Trace(o, trace, time.Now) }
			}
			r, err := play()
			if r == nil {
				return usage("%v", err)
			}
			if shown := s.showSimulated(r); shown != nil {
				return shown
			}
			return err
		},
	}
	f := c.Flags()
	o.Looks = 1_000_000
	f.Var(count[int64]{&o.Looks}, "looks", "how many looks to take")
	f.Var(count[int]{&o.Histories}, "histories", "how many histories to play (default: as many as the looks take)")
	f.Uint64Var(&o.Seed, "seed", 1, "of the first history; the next ones count up from it")
	f.StringVar(&o.Scenario, "scenario", "", harness.SteadyPushes+": a push every 3 minutes for a day (default: everything that can happen)")
	f.BoolVarP(&verbose, "verbose", "v", false, "play one history, and tell what happens in it")
	return c
}

// showSimulated writes what came of it; a violation, or a kind of fault that was
// never made, is a failure.
func (s *session) showSimulated(r *harness.Report) error {
	missing := r.Missing()
	if err := s.emit(r, func(w io.Writer) { drawSimulated(w, r) }); err != nil {
		return err
	}
	switch {
	case len(r.Violations) > 0:
		for _, v := range r.Violations {
			fmt.Fprintf(s.Err, "✖ seed %d: %v\n", v.Seed, v)
		}
		return exit(exitFailed)
	case len(missing) > 0:
		return fmt.Errorf("this never happened, so it proves nothing about it: %s", strings.Join(missing, ", "))
	}
	return nil
}

func drawSimulated(w io.Writer, r *harness.Report) {
	fmt.Fprintf(w, "%d looks in %d histories from seed %d: %d pushes, %d crashes, %s simulated in %s, %d looks a minute\n",
		r.Looks, r.Histories, r.Seed, r.Pushes, r.Crashes, span(r.Simulated), span(r.Took), r.PerMinute)
	if r.Steady != nil {
		fmt.Fprintf(w, "%d pushes, each service promoted at least %d times; the longest wait between two promotions was %s, a shift takes %s\n",
			r.Steady.Pushes, r.Steady.Promotions, span(r.Steady.Longest), span(r.Steady.Shift))
	}
	var rows [][]string
	add := func(title string, counts []harness.Count) {
		if len(counts) > 0 {
			rows = append(rows, []string{""}, []string{title})
		}
		for _, n := range counts {
			rows = append(rows, []string{"  " + n.Name, fmt.Sprint(n.Count)})
		}
	}
	add("what happened", r.Faults)
	add("how rollouts ended", r.Outcomes)
	rows = append(rows, []string{""}, []string{"what held at every step"})
	for _, i := range r.Invariants {
		rows = append(rows, []string{fmt.Sprintf("  %-4s %s", i.Rule, i.Text), fmt.Sprint(i.Count)})
	}
	table(w, rows)
	if len(r.Violations) == 0 {
		fmt.Fprintln(w, "\n✔ everything held")
	}
}
