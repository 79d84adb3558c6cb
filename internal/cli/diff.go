package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"titrate/client"
	"titrate/internal/manifest"
)

func (s *session) diffCommand() *cobra.Command {
	var code bool
	c := &cobra.Command{
		Use: "diff [ENV]", Short: "what a deploy of titrate.yaml here would change", Args: between(0, 1),
		Long: "Compares titrate.yaml of this folder (without one, that of the newest release) with what runs.\nWhat is built from changed code shows only once it is built.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			req := client.DiffRequest{Env: s.env}
			if len(args) > 0 {
				req.Env = args[0]
			}
			app := s.app
			if m, path, err := s.manifest(); err == nil && (app == "" || app == m.Name) {
				src, err := readManifest(path)
				if err != nil {
					return err
				}
				if req.Folders, err = manifest.FoldersIn(os.DirFS(filepath.Dir(path)), src); err != nil {
					return err
				}
				app, req.Manifest = m.Name, string(src)
			}
			if app == "" {
				t, err := s.target(cmd.Context(), c, nil)
				if err != nil {
					return err
				}
				app = t.app
			}
			ds, err := c.Diff(cmd.Context(), app, req)
			if err != nil {
				return err
			}
			err = s.emit(ds, func(w io.Writer) {
				if len(ds) == 0 {
					fmt.Fprintln(w, "What runs is what was asked.")
					return
				}
				rows := [][]string{{"workload", "what", "running", "asked", "a deploy would"}}
				for _, d := range ds {
					rows = append(rows, []string{d.Workload, d.Field, d.Running, d.Asked, d.Effect})
				}
				table(w, rows)
			})
			if err == nil && code && len(ds) > 0 {
				err = exit(exitDiffers)
			}
			return err
		},
	}
	c.Flags().BoolVar(&code, "exit-code", false, "exit with 10 when there are differences")
	return c
}
