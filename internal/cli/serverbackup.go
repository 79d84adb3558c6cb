package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/internal/backup"
	"titrate/internal/daemon"
	"titrate/internal/target/local"
)

func (s *session) serverBackupCommand() *cobra.Command {
	var logs bool
	var every time.Duration
	c := &cobra.Command{
		Use: "backup FILE", Short: "write everything that the data folder holds into one file, while all goes on", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.amongAllUsers(func(dir string) error {
				if !cmd.Flags().Changed("every") {
					every = -1
				}
				r, err := daemon.Backup(cmd.Context(), dir, s.path(args[0]), logs, every)
				if err != nil {
					return err
				}
				return s.emit(r, func(w io.Writer) { drawBackup(w, r) })
			})
		},
	}
	c.Flags().BoolVar(&logs, "logs", false, "with the logs of apps and builds")
	c.Flags().DurationVar(&every, "every", 0, "how often you have this run: titrate server doctor tells of one that is late; 0: it does not")
	return c
}

func (s *session) serverRestoreCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "put a backup back into an empty data folder", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.amongAllUsers(func(dir string) error {
				r, err := daemon.Restore(cmd.Context(), dir, s.path(args[0]))
				if err != nil {
					return err
				}
				return s.emit(r, func(w io.Writer) {
					fmt.Fprintf(w, "✔ %d files of %s, written by titrate %s, are back and what they were: %s\n", r.Files, r.Made.Local().Format(time.DateTime), r.Version, dir)
					fmt.Fprintln(w, "  titrate up starts it")
				})
			})
		},
	}
}

// amongAllUsers runs a command that reads or makes files of the users that only images
// have, where there are such.
func (s *session) amongAllUsers(run func(dir string) error) error {
	dir, err := s.dataDir()
	if err != nil {
		return err
	}
	switch status, done, err := local.AmongAllUsers(); {
	case err != nil:
		return err
	case done && status != 0:
		return exit(status) // it has said why
	case done:
		return nil
	}
	return run(dir)
}

// path is a path of the working folder.
func (s *session) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(s.Dir, p)
}

func drawBackup(w io.Writer, r backup.Report) {
	fmt.Fprintf(w, "✔ %d files, %.1f MB: %s\n", r.Files, float64(r.Bytes)/1e6, r.File)
	const most = 5
	if n := len(r.Changing); n > 0 {
		fmt.Fprintf(w, "  %d were written to meanwhile, and are in it as far as they were: %s\n", n, strings.Join(r.Changing[:min(n, most)], ", "))
	}
	if len(r.Without) > 0 {
		fmt.Fprintf(w, "  without the data of accessories, of which the own backups are in it: %s\n", strings.Join(r.Without, ", "))
	}
	if len(r.Lost) > 0 {
		fmt.Fprintf(w, "  ! without any data of accessories that have no backup of their own: %s\n", strings.Join(r.Lost, ", "))
		fmt.Fprintln(w, "    titrate accessory backup NAME makes one of postgres and redis; of image and run see docs/accessories.md")
	}
	fmt.Fprintln(w, "  who has it has every secret")
}
