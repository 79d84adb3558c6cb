package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) historyCommand() *cobra.Command {
	limit := 20
	c := &cobra.Command{
		Use: "history [APP[/WORKLOAD][@r42|@v17] | ROLLOUT]", Short: "releases: outcome, who, how long, why refused", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			t, err := s.target(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			if t.rollout != 0 {
				return s.looks(cmd, c, t.rollout)
			}
			if err := s.known(cmd.Context(), c, t); err != nil {
				return err
			}
			rs, err := c.Releases(cmd.Context(), t.app, limit)
			if err != nil {
				return err
			}
			rs = s.among(rs, t)
			return s.emit(rs, func(w io.Writer) { drawReleases(w, t.app, rs, s.wide()) })
		},
	}
	c.Flags().VarP(count[int]{&limit}, "limit", "n", "at most so many releases")
	return c
}

// among are the releases that t and --env mean, with the rollouts that they mean.
func (s *session) among(rs []client.Release, t target) []client.Release {
	some := s.env != "" || t.workload != "" || t.version != 0 // then a release without any is none of them
	meant := []client.Release{}
	for _, r := range rs {
		r.Rollouts = slices.DeleteFunc(r.Rollouts, func(ro client.Rollout) bool {
			moves := func(m client.Member) bool {
				return (t.workload == "" || m.Workload == t.workload) && (t.version == 0 || m.Candidate == t.version)
			}
			return s.env != "" && ro.Env != s.env || !slices.ContainsFunc(ro.Members, moves)
		})
		if (t.release == 0 || r.Number == t.release) && (!some || len(r.Rollouts) > 0) {
			meant = append(meant, r)
		}
	}
	return meant
}

func drawReleases(w io.Writer, app string, rs []client.Release, wide bool) {
	if len(rs) == 0 {
		fmt.Fprintf(w, "%s has no release yet. git push titrate makes one.\n", app)
		return
	}
	for _, r := range rs {
		commit := fmt.Sprintf("%.7s", r.Commit)
		if wide {
			commit = r.Commit
		}
		if r.Repo != "" {
			commit = r.Repo + "@" + commit
		}
		fmt.Fprintf(w, "r%-4d %s  %s  %s  %s\n", r.Number, commit, r.At.Local().Format("2006-01-02 15:04:05"), r.Author, firstLine(r.Message))
		var rows [][]string
		for _, ro := range r.Rollouts {
			state := ro.Outcome
			if state == "" {
				state = ro.Phase
			}
			var moved []string
			for _, m := range ro.Members {
				moved = append(moved, m.Workload+" v"+strconv.Itoa(m.Candidate))
			}
			rows = append(rows, []string{"  #" + strconv.FormatInt(ro.ID, 10), ro.Env, several(moved), glyph(state) + " " + state, span(ro.Since.Sub(ro.Opened)), ro.Why})
		}
		table(w, rows)
	}
}

// looks writes the stored decisions of one rollout.
func (s *session) looks(cmd *cobra.Command, c *client.Client, id int64) error {
	ls, err := c.History(cmd.Context(), id)
	if err != nil {
		return err
	}
	return s.emit(ls, func(w io.Writer) {
		var rows [][]string
		for _, l := range ls {
			rows = append(rows, []string{l.At.Local().Format("15:04:05.000"), l.To, "step " + strconv.Itoa(l.Step), percent(l.Weight), l.Why})
		}
		table(w, rows)
	})
}
