package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

const taskLook = 200 * time.Millisecond // between two looks at how far a task has come

// backedUp says in a line how well an accessory's data is kept; empty when nobody asked
// for that.
func backedUp(a client.Accessory) string {
	if len(a.Backups) == 0 {
		when := a.Every + " after the data"
		switch {
		case a.At != "":
			when = "at " + a.At
		case a.Every == "":
			return ""
		}
		return "no backup yet; the first is made " + when + ", or now: titrate accessory backup " + a.Name
	}
	last := a.Backups[len(a.Backups)-1]
	return fmt.Sprintf("%d %s, the last %s: %s, %s", len(a.Backups), plural("backup", len(a.Backups)), moment(last.At), size(last.Size), rehearsed(last))
}

func rehearsed(b client.Backup) string {
	switch {
	case b.Problem != "":
		return "✖ " + firstLine(b.Problem)
	case b.Rehearsed.IsZero():
		return "◦ not rehearsed"
	default:
		return "✔ rehearsed " + moment(b.Rehearsed)
	}
}

func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// size writes bytes with a unit.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

func (s *session) accessoryBackups() *cobra.Command {
	return &cobra.Command{
		Use: "backups NAME", Short: "what backups there are, and whether they were rehearsed", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
				a, err := s.accessory(cmd.Context(), c, app, env, args[0])
				if err != nil {
					return err
				}
				return s.emit(a.Backups, func(w io.Writer) { drawBackups(w, a) })
			})
		},
	}
}

func drawBackups(w io.Writer, a client.Accessory) {
	if len(a.Backups) == 0 {
		fmt.Fprintf(w, "%s has no backup yet. titrate accessory backup %s makes one.\n", a.Name, a.Name)
		return
	}
	var rows [][]string
	for _, b := range slices.Backward(a.Backups) {
		rows = append(rows, []string{b.Name, moment(b.At), size(b.Size), b.Holds, rehearsed(b)})
	}
	table(w, rows)
	fmt.Fprintf(w, "They stand in %s/backups: copy them to another machine.\n", a.Folder)
}

// accessory finds one by its name.
func (s *session) accessory(ctx context.Context, c *client.Client, app, env, name string) (client.Accessory, error) {
	list, err := c.Accessories(ctx, app, env)
	if err != nil {
		return client.Accessory{}, err
	}
	i := slices.IndexFunc(list, func(a client.Accessory) bool { return a.Name == name })
	if i < 0 {
		return client.Accessory{}, usage("%s has no accessory %s in %s\n  help    titrate accessory ls", app, name, env)
	}
	return list[i], nil
}

func (s *session) accessoryBackup() *cobra.Command {
	return &cobra.Command{
		Use: "backup NAME", Short: "make a backup now", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.haveDone(cmd.Context(), args[0], client.TaskRequest{Kind: "backup"})
		},
	}
}

func (s *session) accessoryRehearse() *cobra.Command {
	var backup string
	c := &cobra.Command{
		Use: "rehearse NAME", Short: "restore a backup beside the data, compare, and throw it away", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.haveDone(cmd.Context(), args[0], client.TaskRequest{Kind: "rehearse", Backup: backup})
		},
	}
	c.Flags().StringVar(&backup, "backup", "", "its name (default: the newest)")
	return c
}

func (s *session) accessoryRestore() *cobra.Command {
	var backup, confirm string
	c := &cobra.Command{
		Use: "restore NAME", Short: "put a backup in the place of the data, which is kept aside", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if backup == "" {
				return usage("which backup is to take the place of the data?\n  help    titrate accessory backups %s lists them; then --backup NAME", args[0])
			}
			if confirm != args[0] {
				return usage("what was written to %s since would not be seen any more, and its connections are cut\n  help    titrate accessory restore %s --backup %s --confirm %s", args[0], args[0], backup, args[0])
			}
			return s.haveDone(cmd.Context(), args[0], client.TaskRequest{Kind: "restore", Backup: backup})
		},
	}
	c.Flags().StringVar(&backup, "backup", "", "its name")
	c.Flags().StringVar(&confirm, "confirm", "", "the accessory's name again")
	return c
}

// haveDone asks for a task and waits for its end. When the call is broken off the task
// goes on.
func (s *session) haveDone(ctx context.Context, name string, req client.TaskRequest) error {
	return s.inEnvironment(ctx, func(c *client.Client, app, env string) error {
		asked, err := c.AskAccessory(ctx, app, env, name, req)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "%s of %s in %s …\n", req.Kind, name, env)
		for {
			a, err := s.accessory(ctx, c, app, env, name)
			if err != nil {
				return err
			}
			switch t := a.Task; {
			case t == nil || t.ID != asked.ID:
				return fmt.Errorf("something else was asked of %s since\n  help    titrate accessory ls", name)
			case t.State == "failed":
				return fmt.Errorf("%s of %s: %s", t.Kind, name, t.Why)
			case t.State == "done":
				return s.emit(t, func(w io.Writer) { fmt.Fprintln(w, "✔", t.Why) })
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(taskLook):
			}
		}
	})
}
