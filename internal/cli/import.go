package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"titrate/internal/importer"
	"titrate/internal/manifest"
)

func (s *session) importCommand() *cobra.Command {
	var write, force, alone bool
	var profiles []string
	var stage string
	var params map[string]string
	c := &cobra.Command{
		Use: "import [FILE]", Short: "make titrate.yaml of a file of compose, Kamal, Fly.io, Heroku, Serverless or SAM", Args: between(0, 1),
		Long: "Make titrate.yaml of a compose file, Kamal's config/deploy.yml, a fly.toml, a Procfile, a serverless.yml or a SAM template. It is printed, with the files that it needs beside it, and every line that was not carried over is listed on stderr.\n" +
			"Values of secrets are not copied: their names are, with the commands that set them.\n" +
			"Where a project of the Serverless Framework has its serverless or osls in node_modules, its package command is run into a temporary folder, and says what plugins add; --no-package reads the files alone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			here, err := filepath.Abs(s.Dir)
			if err != nil {
				return fmt.Errorf("find the working folder: %w", err)
			}
			if _, err := s.atRoot(cmd.Context()); err != nil {
				return err
			}
			tree := folder(s.Dir)
			name, err := s.toImport(tree, here, args)
			if err != nil {
				return err
			}
			o := importer.Options{App: s.app, Folder: filepath.Base(s.Dir), Profiles: profiles, Stage: stage, Params: params}
			if !alone {
				o.Packaged = s.packaged(cmd.Context(), name, stage, params)
			}
			d, err := importer.Import(tree, name, o)
			if errors.Is(err, fs.ErrNotExist) {
				return usage("there is no file %s\n  help    titrate import FILE, with a compose.yaml, config/deploy.yml, fly.toml, Procfile, serverless.yml or template.yaml of this repository", name)
			}
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if write {
				for _, f := range append([]importer.File{{Name: manifest.File, Text: d.Manifest}}, d.Files...) {
					if err := s.writeImport(f, force); err != nil {
						return err
					}
				}
			}
			if !s.forPrograms() {
				showNotes(s.Err, d)
				if !write {
					showFiles(s.Err, d)
				}
				showSecrets(s.Err, d)
			}
			return s.emit(d, func(w io.Writer) {
				if !write {
					fmt.Fprint(w, d.Manifest)
				}
			})
		},
	}
	c.Flags().BoolVar(&write, "write", false, "write titrate.yaml instead of printing it")
	c.Flags().BoolVar(&force, "force", false, "with --write: also over a titrate.yaml that is there")
	c.Flags().StringSliceVar(&profiles, "profile", nil, "take services of this profile of compose too")
	c.Flags().StringVar(&stage, "stage", "", "of the Serverless Framework: the stage that is taken")
	c.Flags().StringToStringVar(&params, "param", nil, "NAME=VALUE, of the Serverless Framework or a SAM template")
	c.Flags().BoolVar(&alone, "no-package", false, "of the Serverless Framework: read the files alone, without running the project's own serverless package")
	return c
}

// toImport is the file that is meant, relative to the repository's root.
func (s *session) toImport(tree fs.FS, here string, args []string) (string, error) {
	if len(args) == 0 {
		found := importer.Find(tree)
		if len(found) == 0 {
			return "", usage("there is nothing to import in %s\n  help    titrate import FILE; titrate init looks at the code itself", s.Dir)
		}
		if len(found) > 1 {
			fmt.Fprintf(s.Err, "Taken: %s. Also there: %s.\n", found[0], strings.Join(found[1:], ", "))
		}
		return found[0], nil
	}
	return s.inRepository(here, args[0])
}

// inRepository is a file that the person names, relative to the repository's root.
func (s *session) inRepository(here, named string) (string, error) {
	full := named
	if !filepath.IsAbs(full) {
		full = filepath.Join(here, full)
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(full)); err == nil {
		full = filepath.Join(real, filepath.Base(full))
	}
	root, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	name, err := filepath.Rel(root, full)
	if err != nil || !filepath.IsLocal(name) {
		return "", usage("%s is not in the repository %s\n  help    name a file of the app's repository", named, s.Dir)
	}
	return filepath.ToSlash(name), nil
}

// writeImport writes one of the files that came of an import.
func (s *session) writeImport(file importer.File, force bool) error {
	at := filepath.Join(s.Dir, filepath.FromSlash(file.Name))
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(at, flags, 0o644) //nolint:gosec // a file to commit, for everybody to read
	if errors.Is(err, fs.ErrExist) {
		return usage("error[T0904]: %s is there already\n  where   %s\n  help    titrate import prints without --write; --force writes over it", file.Name, at)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file.Name, err)
	}
	_, err = f.WriteString(file.Text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file.Name, err)
	}
	fmt.Fprintf(s.Err, "✔ %s written (%d lines)\n", at, strings.Count(file.Text, "\n"))
	return nil
}

// showNotes lists what became of the lines that are not carried over as they stand.
func showNotes(w io.Writer, d *importer.Draft) {
	for _, part := range []struct {
		kind  importer.NoteKind
		title string
	}{
		{importer.Lost, "Not carried over:"}, {importer.Changed, "To be looked at:"}, {importer.Needless, "Not needed here:"},
	} {
		title := part.title
		for _, n := range d.Notes {
			if n.Kind != part.kind {
				continue
			}
			if title != "" {
				fmt.Fprintln(w, title)
				title = ""
			}
			fmt.Fprintf(w, "  %s  %s: %s\n", n.Place, n.Key, n.Why)
			if n.Instead != "" {
				fmt.Fprintf(w, "          %s\n", n.Instead)
			}
		}
	}
}

// showFiles shows what is written beside the manifest.
func showFiles(w io.Writer, d *importer.Draft) {
	for _, f := range d.Files {
		fmt.Fprintf(w, "To be written beside titrate.yaml, %s:\n", f.Name)
		for line := range strings.Lines(f.Text) {
			fmt.Fprint(w, "  ", line)
		}
	}
}

// showSecrets says what is to be typed before the first push.
func showSecrets(w io.Writer, d *importer.Draft) {
	if len(d.Secrets) > 0 {
		fmt.Fprintln(w, "Before the first push, once titrate is up (values are not copied):")
	}
	for _, x := range d.Secrets {
		var from []string
		for _, p := range x.From {
			from = append(from, p.String())
		}
		of := []string{""}
		if len(x.Environments) > 0 {
			of = nil
			for _, e := range x.Environments {
				of = append(of, " --env "+e)
			}
		}
		for _, e := range of {
			fmt.Fprintf(w, "  titrate secret set %s --app %s%s   # %s\n", x.Name, d.App, e, strings.Join(from, ", "))
		}
	}
}
