package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"titrate/internal/daemon"
	"titrate/internal/doctor"
)

func (s *session) serverCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "server", Short: "care of the server on this machine", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(s.serverBackupCommand(), s.serverRestoreCommand(), s.doctorCommand())
	return c
}

func (s *session) doctorCommand() *cobra.Command {
	cfg := doctor.Config{Now: time.Now}
	c := &cobra.Command{
		Use: "doctor", Short: "find what is wrong with the server and the machine around it, also when it is down", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := s.dataDir()
			if err != nil {
				return err
			}
			cfg.Dir, cfg.Env = dir, s.Env
			r := doctor.Examine(cmd.Context(), cfg, daemon.Version())
			if err := s.emit(r, func(w io.Writer) { s.drawFindings(w, r) }); err != nil {
				return err
			}
			if !r.Healthy {
				return exit(exitFailed)
			}
			return nil
		},
	}
	c.Flags().StringVar(&cfg.API, "api", daemon.DefaultAPI, "address of the server, to look whether it is free")
	c.Flags().StringVar(&cfg.Gateway, "gateway", daemon.DefaultGateway, "address of the gateway, to look whether it is free")
	return c
}

// things counts them: "1 thing does", "2 things do".
func things(n int, one, many string) string {
	if n == 1 {
		return "1 thing " + one
	}
	return fmt.Sprintf("%d things %s", n, many)
}

// drawFindings shows what is wrong last, where a person looks.
func (s *session) drawFindings(w io.Writer, r doctor.Report) {
	marks := map[doctor.Level]string{doctor.OK: "✔", doctor.Info: "·", doctor.Warn: "▲", doctor.Fault: "✖"}
	count := map[doctor.Level]int{}
	for _, level := range []doctor.Level{doctor.OK, doctor.Info, doctor.Warn, doctor.Fault} {
		for _, f := range r.Findings {
			if f.Level != level {
				continue
			}
			count[level]++
			fmt.Fprintf(w, "  %s %-12s %s\n", marks[level], f.Check, f.What)
			if level == doctor.OK || level == doctor.Info {
				continue
			}
			for _, line := range [][2]string{{"where", f.Where}, {"why", f.Why}, {"help", f.Help}} {
				if line[1] != "" {
					fmt.Fprintf(w, "                 %-7s %s\n", line[0], s.typed(line[1]))
				}
			}
		}
	}
	switch {
	case !r.Healthy:
		fmt.Fprintf(w, "\n%s not work.\n", things(count[doctor.Fault], "does", "do"))
	case count[doctor.Warn] > 0:
		fmt.Fprintf(w, "\nIt works; %s need you.\n", things(count[doctor.Warn], "will", "will"))
	default:
		fmt.Fprintln(w, "\nNothing is wrong.")
	}
}
