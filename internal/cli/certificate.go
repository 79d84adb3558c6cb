package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func (s *session) certificateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "certificate", Short: "certificates of the hosts that are served over TLS", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use: "ls", Short: "each host, who signed its certificate, until when, and what is wrong", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			list, err := c.Certificates(cmd.Context())
			if err != nil {
				return err
			}
			return s.emit(list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(w, "No host wants a certificate. Hosts below .localhost stay on plain HTTP; titrate up --https :443 serves the others over TLS.")
					return
				}
				for _, x := range list {
					switch {
					case x.Until != nil:
						fmt.Fprintf(w, "%s %s  %s, until %s  %s\n", mark(x.Problem == ""), x.Host, x.Issuer, x.Until.Local().Format("2006-01-02 15:04"), x.Source)
					default:
						fmt.Fprintf(w, "%s %s  no certificate: served over plain HTTP\n", mark(false), x.Host)
					}
					if x.Problem != "" {
						fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(x.Problem, "\n", "\n    "))
					}
					if x.Next != nil && x.Failed > 0 {
						fmt.Fprintf(w, "    tried %d times; next try at %s\n", x.Failed, x.Next.Local().Format("15:04:05"))
					}
				}
			})
		},
	})
	return c
}

// mark is the sign of what is well, and of what is not.
func mark(well bool) string {
	if well {
		return "✔"
	}
	return "▲"
}
