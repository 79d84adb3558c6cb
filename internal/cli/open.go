package cli

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) openCommand() *cobra.Command {
	return &cobra.Command{
		Use: "open [APP[/WORKLOAD]]", Short: "its address, in the browser where there is one", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, t, err := s.workload(cmd.Context(), args, "open is of an app or a service of it\n  help    titrate open APP/WORKLOAD")
			if err != nil {
				return err
			}
			a, err := c.App(cmd.Context(), t.app)
			if err != nil {
				return err
			}
			url, err := address(part(a, s.env, t), t, s.env)
			if err != nil {
				return err
			}
			s.browse(cmd.Context(), url)
			return s.emit(struct {
				URL string `json:"url"`
			}{url}, func(w io.Writer) { fmt.Fprintln(w, url) })
		},
	}
}

// address is where what is meant is reached: in production where nothing else is said.
func address(a client.App, t target, env string) (string, error) {
	first := ""
	for _, e := range a.Environments {
		for _, w := range e.Workloads {
			if len(w.URLs) > 0 && (first == "" || env == "" && e.Name == "production") {
				if first = w.URLs[0]; e.Name == "production" {
					return first, nil
				}
			}
		}
	}
	if first == "" {
		return "", usage("nothing of %s is reached from outside\n  help    host: or route: in titrate.yaml leads to a service; titrate explain host", t)
	}
	return first, nil
}

// browse has a browser show an address, where a person is at a screen. That it does not
// come up fails nothing: the address is printed.
func (s *session) browse(ctx context.Context, url string) {
	if !s.live(s.Out) || s.forPrograms() || !strings.HasPrefix(url, "http") {
		return
	}
	program := "xdg-open"
	switch {
	case s.variable("BROWSER") != "":
		program = s.variable("BROWSER")
	case runtime.GOOS == "darwin":
		program = "open"
	case s.variable("DISPLAY") == "" && s.variable("WAYLAND_DISPLAY") == "":
		return
	}
	cmd := exec.CommandContext(ctx, program, url)
	cmd.Env = s.Env
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(s.Err, "No browser came up: %v\n", err)
	}
}
