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
	"go.yaml.in/yaml/v4"

	"titrate/internal/explain"
	"titrate/internal/manifest"
)

func (s *session) validateCommand() *cobra.Command {
	var expand bool
	c := &cobra.Command{
		Use: "validate [FILE]", Short: "check titrate.yaml: all errors at once", Args: between(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := manifestName
			if len(args) > 0 {
				path = args[0]
			}
			full := path
			if !filepath.IsAbs(full) {
				full = filepath.Join(s.Dir, path)
			}
			src, err := readManifest(full)
			if errors.Is(err, fs.ErrNotExist) {
				return usage("%v\n  help    titrate init writes one", err)
			}
			if err != nil {
				return &exitError{exitUsage, err}
			}
			root := filepath.Dir(full)
			if strings.HasPrefix(full, "/dev/") { // what a shell passes: the files are here
				root = s.Dir
			}
			folders, err := manifest.FoldersIn(os.DirFS(root), src)
			if err != nil {
				return err
			}
			app, problems := manifest.Parse(src, path, folders...)
			if expand && app != nil {
				fmt.Fprint(s.Err, problems.String()) // warnings, beside what was asked for
				return s.expand(app)
			}
			if err := s.showProblems(problems); err != nil {
				return err
			}
			if app == nil {
				return exit(exitUsage)
			}
			if !s.forPrograms() {
				fmt.Fprintf(s.Out, "✔ %s: %s\n", path, describeApp(app))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&expand, "expand", false, "print it with every default and every long form")
	return c
}

// expand writes a manifest with all that it leaves out; as JSON where that was asked
// for.
func (s *session) expand(app *manifest.App) error {
	text := manifest.Expand(app)
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Errorf("read the expanded manifest: %w", err)
	}
	return s.emit(v, func(w io.Writer) { fmt.Fprint(w, text) })
}

// readManifest reads a file that says it is a manifest, and stops where none ends.
func readManifest(path string) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	defer f.Close()
	src, err := manifest.Read(f)
	if err != nil {
		return nil, fmt.Errorf("read the manifest %s: %w", path, err)
	}
	return src, nil
}

func (s *session) showProblems(ps manifest.Problems) error {
	if s.forPrograms() {
		if ps == nil {
			ps = manifest.Problems{}
		}
		return s.emitLine(ps)
	}
	if len(ps) == 0 {
		return nil
	}
	text := ps.String()
	if s.variable("GITHUB_ACTIONS") != "" {
		text += "\n" + ps.Annotations()
	}
	fmt.Fprintln(s.Err, strings.TrimRight(text, "\n"))
	return nil
}

func describeApp(app *manifest.App) string {
	var envs []string
	for _, e := range app.Environments {
		envs = append(envs, e.Name)
	}
	services, functions := 0, 0
	for _, s := range app.Environments[0].Services { // every environment has all of them
		if s.Function != nil {
			functions++
		} else {
			services++
		}
	}
	var what []string
	for _, n := range []struct {
		count int
		word  string
	}{{services, "service"}, {functions, "function"}} {
		if n.count > 0 {
			what = append(what, fmt.Sprintf("%d %s", n.count, plural(n.word, n.count)))
		}
	}
	return fmt.Sprintf("app %s, %s, %s", app.Name, strings.Join(what, ", "), strings.Join(envs, ", "))
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// parseManifest reads a manifest, at the root of its repository, for a command that
// needs a good one.
func parseManifest(src []byte, path string) (*manifest.App, error) {
	folders, err := manifest.FoldersIn(os.DirFS(filepath.Dir(path)), src)
	if err != nil {
		return nil, err
	}
	app, problems := manifest.Parse(src, filepath.Base(path), folders...)
	if app == nil {
		return nil, &exitError{exitUsage, problems.Err()}
	}
	return app, nil
}

func (s *session) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "the JSON Schema of titrate.yaml, for editors", Args: between(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := s.Out.Write(manifest.Schema())
			return err
		},
	}
}

func (s *session) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain KEY|CODE", Short: "a key of titrate.yaml, or an error's code", Args: between(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return s.listPages()
			}
			page, ok := manifest.ExplainKey(args[0])
			if !ok {
				page, ok = explain.Page(args[0])
			}
			if !ok {
				return usage("there is no page about %q\n  help    %stitrate explain lists what there is; for a release: titrate rollout explain", args[0], nearPage(args[0]))
			}
			return s.emit(struct {
				Name string `json:"name"`
				Page string `json:"page"`
			}{args[0], page}, func(w io.Writer) { fmt.Fprint(w, page) })
		},
	}
}

// nearPage asks back with the page whose name is like a word, if there is one. The
// library knows that of commands.
func nearPage(word string) string {
	if near := manifest.NearKey(word); near != "" {
		return "did you mean " + near + "? "
	}
	pages := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, name := range explain.Codes() {
		pages.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	if near := pages.SuggestionsFor(word); len(near) > 0 {
		return "did you mean " + near[0] + "? "
	}
	return ""
}

// listPages names what can be explained: keys, then codes with their titles.
func (s *session) listPages() error {
	var list struct {
		Keys  []string `json:"keys"`
		Codes []string `json:"codes"`
	}
	for _, k := range manifest.Keys() {
		list.Keys = append(list.Keys, k.Name)
	}
	list.Codes = explain.Codes()
	return s.emit(list, func(w io.Writer) {
		fmt.Fprintf(w, "Keys of titrate.yaml: %s\n\n", strings.Join(list.Keys, ", "))
		for _, code := range list.Codes {
			page, _ := explain.Page(code)
			fmt.Fprintln(w, strings.TrimPrefix(firstLine(page), "# "))
		}
	})
}
