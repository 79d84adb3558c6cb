package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"titrate/internal/manifest"
)

func (s *session) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "what titrate.yaml says here", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use: "explain KEY", Short: "what a key of titrate.yaml means, and where each service's value comes from here", Args: between(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return s.explainConfig(args[0]) },
	})
	return c
}

// configAnswer is what there is to say of a key.
type configAnswer struct {
	Name     string             `json:"name"`
	Page     string             `json:"page"`
	File     string             `json:"file,omitempty"` // absent: there is no manifest here
	Written  []manifest.Written `json:"written"`
	Services []manifest.Origin  `json:"services,omitempty"`
}

func (s *session) explainConfig(key string) error {
	page, ok := manifest.ExplainKey(key)
	if !ok {
		return usage("there is no key %q\n  help    %stitrate explain lists what there is", key, nearPage(key))
	}
	a := configAnswer{Name: key, Page: page, Written: []manifest.Written{}}
	path := filepath.Join(s.Dir, manifestName)
	src, err := readManifest(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.emit(a, func(w io.Writer) { fmt.Fprintf(w, "%s\nThere is no %s here.\n", page, manifestName) })
	case err != nil:
		return &exitError{exitUsage, err}
	}
	app, err := parseManifest(src, path)
	if err != nil {
		return err
	}
	written, origins := manifest.Where(src, app, key)
	a.File, a.Written = manifestName, append(a.Written, written...)
	for _, o := range origins {
		if s.env == "" || s.env == o.Env {
			a.Services = append(a.Services, o)
		}
	}
	return s.emit(a, func(w io.Writer) { drawConfig(w, a) })
}

func drawConfig(w io.Writer, a configAnswer) {
	fmt.Fprintf(w, "%s\n## Here\n\n", a.Page)
	var rows [][]string
	for _, p := range a.Written {
		rows = append(rows, []string{"  " + a.File + ":" + strconv.Itoa(p.Line), p.Path, p.Value})
	}
	table(w, rows)
	if len(rows) == 0 {
		fmt.Fprintf(w, "  It stands nowhere in %s.\n", a.File)
	}
	rows = nil
	for _, o := range a.Services {
		from := strings.Join(o.From, " + ")
		if from == "" {
			from = "the default"
		}
		rows = append(rows, []string{"  " + o.Env, o.Service, from})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		table(w, append([][]string{{"  environment", "service", "goes by"}}, rows...))
	}
}
