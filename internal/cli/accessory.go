package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) accessoryCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "accessory", Short: "databases and caches of an app", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(s.accessoryList(), s.accessoryBackups(), s.accessoryBackup(), s.accessoryRehearse(), s.accessoryRestore(), s.accessoryRestart(), s.accessoryLogs(), s.accessoryRemove())
	return c
}

func (s *session) accessoryList() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "what there is, and whether it is well", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
				list, err := c.Accessories(cmd.Context(), app, env)
				if err != nil {
					return err
				}
				return s.emit(list, func(w io.Writer) {
					for _, a := range list {
						drawAccessory(w, a)
					}
				})
			})
		},
	}
}

func drawAccessory(w io.Writer, a client.Accessory) {
	what := a.Use
	if a.Image != "" {
		what = a.Image
	}
	fmt.Fprintf(w, "├─ %s  accessory %s  %s  %s  gives %s", a.Name, what, a.State, a.Addr, a.Secret)
	if a.Restarts > 0 {
		fmt.Fprintf(w, "  %d %s", a.Restarts, plural("restart", a.Restarts))
	}
	fmt.Fprintln(w)
	if a.Why != "" {
		fmt.Fprintf(w, "│  %s\n", strings.ReplaceAll(a.Why, "\n", "\n│      "))
	}
	if line := backedUp(a); line != "" {
		fmt.Fprintf(w, "│  %s\n", line)
	}
	if a.Unkept != "" {
		fmt.Fprintf(w, "│  ✖ the backup that was due could not be made: %s\n", strings.ReplaceAll(a.Unkept, "\n", "\n│      "))
	}
	if a.Waiting != "" {
		fmt.Fprintf(w, "│  ▲ pushed and not taken yet: %s\n", a.Waiting)
	}
	if a.Unused {
		fmt.Fprintf(w, "│  ▲ not used: %s is set by hand, which wins\n", a.Secret)
	}
	if a.Orphaned != 0 {
		fmt.Fprintf(w, "│  ▲ no manifest names it; to stop it: titrate accessory rm %s --confirm %s\n", a.Name, a.Name)
	}
}

func (s *session) accessoryRestart() *cobra.Command {
	return &cobra.Command{
		Use: "restart NAME", Short: "end it and start it with what was pushed last; its connections are cut", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.haveDone(cmd.Context(), args[0], client.TaskRequest{Kind: "restart"})
		},
	}
}

// removedAccessory is what `accessory rm` did.
type removedAccessory struct {
	Name   string `json:"name"`
	App    string `json:"app"`
	Env    string `json:"env"`
	Folder string `json:"folder,omitempty"`
}

func (s *session) accessoryRemove() *cobra.Command {
	var confirm string
	c := &cobra.Command{
		Use: "rm NAME", Short: "stop one that the manifest names no more; its data stays", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if confirm != name {
				return usage("%s and what is in it would not be reached any more\n  help    titrate accessory rm %s --confirm %s", name, name, name)
			}
			return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
				list, err := c.Accessories(cmd.Context(), app, env)
				if err != nil {
					return err
				}
				gone := removedAccessory{Name: name, App: app, Env: env}
				if i := slices.IndexFunc(list, func(a client.Accessory) bool { return a.Name == name }); i >= 0 {
					gone.Folder = list[i].Folder
				}
				if err := c.RemoveAccessory(cmd.Context(), app, env, name); err != nil {
					return err
				}
				fmt.Fprintf(s.Err, "%s of %s in %s is stopped. Its data stays in %s until you remove it.\n", name, app, env, gone.Folder)
				return s.emit(gone, nothing)
			})
		},
	}
	c.Flags().StringVar(&confirm, "confirm", "", "its name again")
	return c
}

func (s *session) accessoryLogs() *cobra.Command {
	q := client.LogQuery{Last: 200}
	c := &cobra.Command{
		Use: "logs NAME", Short: "what it wrote", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
				list, err := c.Accessories(cmd.Context(), app, env)
				if err != nil {
					return err
				}
				if !slices.ContainsFunc(list, func(a client.Accessory) bool { return a.Name == args[0] }) {
					return usage("%s has no accessory %s in %s\n  help    titrate accessory ls", app, args[0], env)
				}
				q.Env, q.Workload = env, args[0]
				return s.lines(cmd.Context(), func(yield func(client.LogLine) bool) error { return c.Logs(cmd.Context(), app, q, yield) })
			})
		},
	}
	c.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on as lines come")
	c.Flags().VarP(count[int]{&q.Last}, "last", "n", "so many lines of the past")
	return c
}
