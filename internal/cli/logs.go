package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) logsCommand() *cobra.Command {
	var q client.LogQuery
	c := &cobra.Command{
		Use: "logs [APP[/WORKLOAD][@v17]]", Short: "what processes, hooks and builds wrote", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			t, err := s.target(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			q.Env, q.Workload = s.env, t.workload
			if t.version != 0 {
				q.Version = t.version
			}
			var werr error
			err = c.Logs(cmd.Context(), t.app, q, func(l client.LogLine) bool {
				if s.output == "json" {
					werr = s.emitLine(l)
				} else {
					_, werr = fmt.Fprintf(s.Out, "%s %s/v%d %s %s  %s\n", l.At.Local().Format("15:04:05.000"), l.Workload, l.Version, l.Instance, l.Stream, l.Text)
				}
				return werr == nil
			})
			switch {
			case cmd.Context().Err() != nil: // Ctrl-C is how one stops following
				return nil //nolint:nilerr // the call ended because the person did
			case err == nil:
				return werr
			}
			return err
		},
	}
	f := c.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on as lines come")
	f.IntVarP(&q.Last, "last", "n", 200, "so many lines of the past")
	f.IntVar(&q.Version, "version", 0, "of this version only")
	f.StringVar(&q.Contains, "contains", "", "only lines with this text")
	f.DurationVar(&q.Since, "since", time.Duration(0), "of the last 10m, say")
	return c
}
