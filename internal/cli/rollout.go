package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) rolloutCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "rollout", Short: "look at a rollout, and steer it", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		s.rolloutStatus(), s.rolloutWatch(), s.rolloutPromote(), s.rolloutPause(),
		s.steer("resume", "go on after a pause", client.CommandRequest{Verb: "resume"}),
		s.steer("abort", "all traffic to the old version, now", client.CommandRequest{Verb: "abort"}),
		s.rolloutRetry(), s.rolloutUndo(), s.rolloutSetWeight(), s.rolloutExplain(), s.rolloutReplay(),
	)
	return c
}

const targetUse = "[APP[/WORKLOAD][@r42|@v17] | ROLLOUT]"

func (s *session) rolloutStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status " + targetUse, Short: "steps, weights, alarms and what it waits for", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rs, _, err := s.find(cmd.Context(), args, false)
			if err != nil {
				return err
			}
			return s.emit(rs, func(w io.Writer) {
				for i, r := range rs {
					if i > 0 {
						fmt.Fprintln(w)
					}
					drawRollout(w, r, time.Now())
				}
			})
		},
	}
}

// find connects and finds the rollouts that args mean.
func (s *session) find(ctx context.Context, args []string, active bool) ([]client.Rollout, *client.Client, error) {
	if len(args) > 0 { // a slip is told without asking the server
		if _, err := parseTarget(args[0]); err != nil {
			return nil, nil, err
		}
	}
	c, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	t, err := s.target(ctx, c, args)
	if err != nil {
		return nil, nil, err
	}
	rs, err := s.rollouts(ctx, c, t, active)
	if err == nil && len(rs) == 0 {
		err = &exitError{exitPolicy, &idleError{t}}
	}
	return rs, c, err
}

// idleError says that nothing of what is meant is in progress.
type idleError struct{ of target }

func (e *idleError) Error() string {
	return fmt.Sprintf("%s has no rollout in progress: nothing to do\n  help    titrate rollout status %s shows the last one", e.of, e.of)
}

// steer makes the command for a verb without arguments of its own.
func (s *session) steer(name, short string, req client.CommandRequest) *cobra.Command {
	c := &cobra.Command{
		Use: name + " " + targetUse, Short: short, Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.command(cmd.Context(), args, req) },
	}
	c.Flags().StringVar(&req.Reason, "reason", "", "why, for the record")
	return c
}

// command asks req of every rollout in progress that args mean, and says what
// follows in a sentence each.
func (s *session) command(ctx context.Context, args []string, req client.CommandRequest) error {
	rs, c, err := s.find(ctx, args, req.Verb != "retry")
	var idle *idleError
	if errors.As(err, &idle) && req.Verb == "abort" { // what is asked for is so
		fmt.Fprintf(s.Err, "%s has no rollout in progress: nothing to do\n", idle.of)
		return s.emit([]client.Rollout{}, nothing)
	}
	if err != nil {
		return err
	}
	if req.Verb == "retry" {
		rs = latest(rs)
	}
	after := []client.Rollout{}
	var refused []string
	for _, r := range rs {
		now, err := c.Command(ctx, r.ID, req)
		if err != nil {
			return err
		}
		after = append(after, now)
		if now.Refused != "" {
			refused = append(refused, title(now)+": refused: "+now.Refused)
			continue
		}
		fmt.Fprintf(s.Err, "%s\n", echo(r, now))
	}
	if err := s.emit(after, nothing); err != nil {
		return err
	}
	if len(refused) > 0 {
		return &exitError{exitPolicy, errors.New(strings.Join(refused, "\n"))}
	}
	return nil
}

// latest are the last of the rollouts in each environment: of a version that was tried
// several times there is one to try again.
func latest(rs []client.Rollout) []client.Rollout {
	var out []client.Rollout
	for _, r := range rs { // the newest first
		if !slices.ContainsFunc(out, func(o client.Rollout) bool { return o.App == r.App && o.Env == r.Env }) {
			out = append(out, r)
		}
	}
	return out
}

// echo says in one sentence what a command did: "v42: 20 % → 40 %, 3 steps left".
func echo(before, now client.Rollout) string {
	text := fmt.Sprintf("%s: %s → %s", title(now), percent(before.Weight), percent(now.Weight))
	if now.Weight == before.Weight {
		text = fmt.Sprintf("%s: at %s, %s", title(now), percent(now.Weight), now.Phase)
	}
	switch {
	case now.Outcome != "":
		text += ", " + now.Outcome
	case now.Pause != nil:
		text += ", paused by " + now.Pause.Owner
	case now.Phase == "shifting" && len(now.Steps) > now.Step:
		text += fmt.Sprintf(", %d steps left", len(now.Steps)-now.Step)
	}
	if now.Why != "" {
		text += " (" + now.Why + ")"
	}
	return text
}

// title names a rollout: "cofe/orders v41 → v42 in production".
func title(r client.Rollout) string {
	var parts []string
	for _, m := range r.Members {
		from := "none → "
		switch {
		case m.Stable != 0:
			from = fmt.Sprintf("v%d → ", m.Stable)
		case r.Phase == "queued":
			from = "" // known when its turn comes
		}
		parts = append(parts, fmt.Sprintf("%s %sv%d", m.Workload, from, m.Candidate))
	}
	return fmt.Sprintf("%s/%s in %s", r.App, several(parts), r.Env)
}

func (s *session) rolloutPromote() *cobra.Command {
	var full bool
	c := &cobra.Command{
		Use: "promote " + targetUse, Short: "approve, or take the next step now", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := client.CommandRequest{Verb: "promote"}
			if full {
				req.Verb = "promote-full"
			}
			return s.command(cmd.Context(), args, req)
		},
	}
	c.Flags().BoolVar(&full, "full", false, "straight to 100 %")
	return c
}

func (s *session) rolloutPause() *cobra.Command {
	req := client.CommandRequest{Verb: "pause"}
	var during duration
	c := &cobra.Command{
		Use: "pause " + targetUse, Short: "hold where it is; alarms stay armed", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("for") {
				req.For = during.String()
			}
			return s.command(cmd.Context(), args, req)
		},
	}
	c.Flags().Var(&during, "for", "resume by itself after this long: 30m")
	c.Flags().StringVar(&req.Reason, "reason", "", "why, for whoever looks")
	return c
}

func (s *session) rolloutRetry() *cobra.Command {
	req := client.CommandRequest{Verb: "retry"}
	c := &cobra.Command{
		Use: "retry " + targetUse, Short: "the same version again, from the first step", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.command(cmd.Context(), args, req) },
	}
	c.Flags().Var(count[int]{&req.Step}, "from-step", "the step to begin with")
	return c
}

// weightForm is how the manifest writes a weight, too: what has more decimals would
// be another weight than the one asked for.
var weightForm = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,2})?$`)

func (s *session) rolloutSetWeight() *cobra.Command {
	return &cobra.Command{
		Use: "set-weight " + targetUse + " PERCENT", Short: "hold at a weight until promoted or resumed",
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			last := args[len(args)-1]
			number := strings.TrimSuffix(last, "%")
			w, err := strconv.ParseFloat(number, 64)
			if err != nil || !weightForm.MatchString(number) || w > 100 {
				return usage("%q is no weight\n  help    a number from 0 to 100 with at most two decimals, in percent: titrate rollout set-weight cofe/orders 25", last)
			}
			return s.command(cmd.Context(), args[:len(args)-1], client.CommandRequest{Verb: "set-weight", Weight: w})
		},
	}
}

func (s *session) rolloutUndo() *cobra.Command {
	c := s.rollbackCommand()
	c.Use, c.Short = "undo [APP[/WORKLOAD]]", "roll back to an earlier promoted version"
	return c
}

func (s *session) rollbackCommand() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "rollback [APP[/WORKLOAD]]", Short: "back to the version before, now", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, t, err := s.workload(cmd.Context(), args, "a rollback is of an app or a workload: "+strings.Join(args, " ")+" says where to only with --to\n  help    titrate rollback APP[/WORKLOAD] --to v17")
			if err != nil {
				return err
			}
			a, err := c.Rollback(cmd.Context(), t.app, client.RollbackRequest{Env: s.env, Workload: t.workload, To: to})
			if err != nil {
				return err
			}
			return s.emit(a, func(w io.Writer) {
				for _, line := range a.Did {
					fmt.Fprintln(w, line)
				}
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "r41 or v17 (default: the promoted one before)")
	return c
}

func (s *session) rolloutExplain() *cobra.Command {
	return &cobra.Command{
		Use: "explain " + targetUse, Short: "what it waits for, or why it was refused", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rs, c, err := s.find(cmd.Context(), args, false)
			if err != nil {
				return err
			}
			var es []client.Explanation
			for _, r := range rs {
				e, err := c.Explain(cmd.Context(), r.ID)
				if err != nil {
					return err
				}
				es = append(es, e)
			}
			return s.emit(es, func(w io.Writer) {
				for _, e := range es {
					fmt.Fprintf(w, "%s  #%d  %s\n%s\n", title(e.Rollout), e.Rollout.ID, e.Rollout.Strategy, e.Summary)
					for _, st := range e.Sentences {
						fmt.Fprintf(w, "  %s  %s\n", st.At.Local().Format("15:04:05.0"), st.Text)
					}
					for _, line := range e.Requests {
						fmt.Fprintf(w, "    │ %s\n", line)
					}
					if e.Next != "" {
						fmt.Fprintln(w, "  next:", e.Next)
					}
				}
			})
		},
	}
}

func (s *session) rolloutReplay() *cobra.Command {
	return &cobra.Command{
		Use: "replay " + targetUse, Short: "feed its stored history through the core again: must agree", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rs, c, err := s.find(cmd.Context(), args, false)
			if err != nil {
				return err
			}
			agrees := true
			var all []client.Replay
			for _, r := range rs {
				p, err := c.Replay(cmd.Context(), r.ID)
				if err != nil {
					return err
				}
				agrees = agrees && p.Agrees
				all = append(all, p)
			}
			err = s.emit(all, func(w io.Writer) {
				for _, p := range all {
					if p.Agrees {
						fmt.Fprintf(w, "✔ #%d: %d decisions, each the same again\n", p.Rollout, p.Looks)
					} else {
						fmt.Fprintf(w, "✖ #%d: %s\n", p.Rollout, p.Differs)
					}
				}
			})
			if err == nil && !agrees {
				err = exit(exitFailed)
			}
			return err
		},
	}
}

// between refuses too few or too many arguments in this command line's words,
// which are those of wrong usage.
func between(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return usage("%d %s for: %s\n  help    %s --help", len(args), plural("argument", len(args)), strings.TrimSuffix(c.UseLine(), " [flags]"), c.CommandPath())
	}
}
