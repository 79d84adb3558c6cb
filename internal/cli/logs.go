package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) logsCommand() *cobra.Command {
	q := client.LogQuery{Last: 200}
	var since duration
	var build, failed bool
	c := &cobra.Command{
		Use: "logs " + targetUse, Short: "what processes and hooks wrote, or what a build did", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			t, err := s.target(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			if build || failed {
				return s.buildLogs(cmd.Context(), c, t, failed)
			}
			q.Since = time.Duration(since)
			if err := s.narrow(cmd.Context(), c, &t, &q); err != nil {
				return err
			}
			return s.lines(cmd.Context(), func(yield func(client.LogLine) bool) error { return c.Logs(cmd.Context(), t.app, q, yield) })
		},
	}
	f := c.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on as lines come")
	f.VarP(count[int]{&q.Last}, "last", "n", "so many lines of the past")
	f.Var(version{count[int]{&q.Version}}, "version", "of this version only: v17")
	f.StringVar(&q.Contains, "contains", "", "only lines with this text")
	f.Var(&since, "since", "of the last 10m, say")
	f.BoolVar(&build, "build", false, "what the app's newest build printed")
	f.BoolVar(&failed, "failed", false, "what its newest build that failed printed")
	return c
}

// narrow makes of t the query for its logs: of a workload or a version, or of all
// that a release or a rollout moves.
func (s *session) narrow(ctx context.Context, c *client.Client, t *target, q *client.LogQuery) error {
	var of []client.Rollout
	if t.rollout != 0 {
		r, err := c.Rollout(ctx, t.rollout)
		if err != nil {
			return err
		}
		of, t.app, q.Env = []client.Rollout{r}, r.App, r.Env
	} else {
		if t.version == 0 {
			t.version = q.Version
		}
		if err := s.known(ctx, c, *t); err != nil {
			return err
		}
		q.Env, q.Workload, q.Version = s.env, t.workload, t.version
		if t.release != 0 {
			var err error
			if of, err = c.Rollouts(ctx, client.RolloutQuery{App: t.app, Env: s.env, Workload: t.workload, Release: t.release}); err != nil {
				return err
			}
			if len(of) == 0 {
				return usage("r%d of %s moved nothing%s: no version is of it\n  help    titrate history %s", t.release, t.app, within(s.env), t.app)
			}
		}
	}
	for _, r := range of {
		for _, m := range r.Members {
			if q.Only == nil {
				q.Only = map[string]int{}
			}
			q.Only[m.Workload] = m.Candidate
		}
	}
	return nil
}

// lines writes log lines as they come.
func (s *session) lines(ctx context.Context, read func(yield func(client.LogLine) bool) error) error {
	var werr error
	err := read(func(l client.LogLine) bool {
		if s.forPrograms() {
			werr = s.emitLine(l)
		} else {
			of := l.Workload
			if l.Version != 0 { // a build has none yet
				of += "/v" + strconv.Itoa(l.Version)
			}
			_, werr = fmt.Fprintf(s.Out, "%s %s %s %s  %s\n", l.At.Local().Format("15:04:05.000"), of, l.Instance, l.Stream, l.Text)
		}
		return werr == nil
	})
	switch {
	case ctx.Err() != nil: // Ctrl-C is how one stops following
		return nil //nolint:nilerr // the call ended because the person did
	case err == nil:
		return werr
	}
	return err
}

// buildLogs writes what the newest build of an app printed, or the newest that
// failed.
func (s *session) buildLogs(ctx context.Context, c *client.Client, t target, failed bool) error {
	if !t.ofWorkload() {
		return usage("--build and --failed are of an app's newest build\n  help    titrate logs --build APP[/WORKLOAD]")
	}
	if err := s.known(ctx, c, t); err != nil {
		return err
	}
	said := false
	err := s.lines(ctx, func(yield func(client.LogLine) bool) error {
		return c.BuildLogs(ctx, t.app, failed, func(l client.LogLine) bool {
			if t.workload != "" && l.Workload != t.workload {
				return true
			}
			said = true
			return yield(l)
		})
	})
	if err == nil && !said {
		fmt.Fprintf(s.Err, "The build of %s printed nothing.\n", t)
	}
	return err
}
