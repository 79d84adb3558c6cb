package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"titrate/client"
)

const maxSecret = 64 << 10

func (s *session) secretCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "secret", Short: "names and values that processes get as environment", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		&cobra.Command{
			Use: "ls", Short: "the names; values are never shown", Args: between(0, 0),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
					list, err := c.Secrets(cmd.Context(), app, env)
					if err != nil {
						return err
					}
					return s.emit(list, func(w io.Writer) {
						for _, x := range list {
							fmt.Fprintf(w, "%s  set %s\n", x.Name, x.Set.Local().Format("2006-01-02 15:04"))
						}
					})
				})
			},
		},
		&cobra.Command{
			Use: "set NAME", Short: "set a value, read from stdin or a prompt", Args: between(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				if name, _, given := strings.Cut(args[0], "="); given {
					return usage("a value on the command line ends in the shell's history\n  help    titrate secret set %s asks for it; or pipe it in", name)
				}
				return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
					value, err := s.readSecret(cmd.Context(), "value", "value of "+args[0]+": ", "pipe it in: printf %s VALUE | titrate secret set "+args[0])
					if err != nil {
						return err
					}
					if err := c.SetSecret(cmd.Context(), app, env, args[0], value); err != nil {
						return err
					}
					fmt.Fprintf(s.Err, "%s is set for %s in %s. Workloads that name it roll out with it.\n", args[0], app, env)
					return s.emit(secretChange{args[0], app, env, true}, nothing)
				})
			},
		},
		&cobra.Command{
			Use: "unset NAME", Short: "forget a value", Args: between(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
					if err := c.UnsetSecret(cmd.Context(), app, env, args[0]); err != nil {
						return err
					}
					fmt.Fprintf(s.Err, "%s is forgotten for %s in %s. What runs keeps it until its next version.\n", args[0], app, env)
					return s.emit(secretChange{args[0], app, env, false}, nothing)
				})
			},
		},
	)
	return c
}

// secretChange is what `secret set` and `unset` did.
type secretChange struct {
	Name string `json:"name"`
	App  string `json:"app"`
	Env  string `json:"env"`
	Set  bool   `json:"set"`
}

// nothing is the text of a command whose messages go to stderr.
func nothing(io.Writer) {}

// readSecret reads what must not be seen from a prompt that does not echo, or all of
// stdin without its last line end.
func (s *session) readSecret(ctx context.Context, what, question, help string) (string, error) {
	if f, ok := s.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if s.noInput {
			return "", usage("a %s is needed\n  help    %s", what, help)
		}
		value, err := s.askHidden(ctx, f, question)
		if err != nil {
			return "", fmt.Errorf("read the %s: %w", what, err)
		}
		return value, nil
	}
	b, err := io.ReadAll(io.LimitReader(bufio.NewReader(s.In), maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", what, err)
	}
	if len(b) > maxSecret {
		return "", usage("the %s is longer than %d bytes", what, maxSecret)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if value == "" {
		return "", usage("the %s is empty\n  help    %s", what, help)
	}
	return value, nil
}
