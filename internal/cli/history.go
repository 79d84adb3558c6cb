package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) historyCommand() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "history [APP]", Short: "releases: outcome, who, how long, why refused", Args: between(0, 1),
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
			rs, err := c.Releases(cmd.Context(), t.app, limit)
			if err != nil {
				return err
			}
			return s.emit(rs, func(w io.Writer) { drawReleases(w, t.app, rs) })
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 20, "at most so many releases")
	return c
}

func drawReleases(w io.Writer, app string, rs []client.Release) {
	if len(rs) == 0 {
		fmt.Fprintf(w, "%s has no release yet. git push titrate makes one.\n", app)
		return
	}
	for _, r := range rs {
		fmt.Fprintf(w, "r%-4d %.7s  %s  %s  %s\n", r.Number, r.Commit, r.At.Local().Format("2006-01-02 15:04:05"), r.Author, firstLine(r.Message))
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
			rows = append(rows, []string{"  #" + strconv.FormatInt(ro.ID, 10), ro.Env, strings.Join(moved, ", "), glyph(state) + " " + state, span(ro.Since.Sub(ro.Opened)), ro.Why})
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
