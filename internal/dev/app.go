package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"titrate/internal/manifest"
)

// app is what the files of a folder ask for.
type app struct {
	name     string
	services []manifest.Service  // those whose files are here
	further  []string            // repositories beside the app's own that what is to run is built from
	of       map[string][]string // the services of each of these
	logins   map[string]manifest.Registry
	vars     map[string]string // of .env
}

// read reads the manifest of a folder and the .env of the working one.
func (d *dev) read(root string) (*app, error) {
	path := filepath.Join(root, manifest.File)
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	folders, err := manifest.FoldersIn(os.DirFS(root), src)
	if err != nil {
		return nil, err
	}
	m, problems := manifest.Parse(src, path, folders...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	e := m.Environments[len(m.Environments)-1]
	if d.Env != "" {
		var ok bool
		if e, ok = m.Environment(d.Env); !ok {
			return nil, fmt.Errorf("%s has no environment %s", m.Name, d.Env)
		}
	}
	a := &app{name: m.Name, of: map[string][]string{}, logins: m.Registries}
	for _, s := range e.Services {
		if d.wanted(s.Name) {
			a.from(s.Repo, s.Name)
		}
		if d.repo(s.Repo) != nil {
			a.services = append(a.services, s)
		} else if slices.Contains(d.Only, s.Name) {
			return nil, fmt.Errorf("%s is built from another repository, %s, whose files are not here\n  help    titrate dev --repo %s=PATH, or a git checkout at %s", s.Name, s.Repo, s.Repo, d.beside(s.Repo))
		}
	}
	for _, name := range d.Only {
		if !slices.Contains(names(a.services), name) {
			return nil, fmt.Errorf("%s has no service %s\n  help    --only %s", m.Name, name, strings.Join(names(a.services), ","))
		}
	}
	a.vars, err = readDotenv(filepath.Join(d.Root, ".env"))
	return a, err
}

func names(all []manifest.Service) (out []string) {
	for _, s := range all {
		out = append(out, s.Name)
	}
	return out
}

// wanted reports whether a service is to run.
func (d *dev) wanted(name string) bool { return len(d.Only) == 0 || slices.Contains(d.Only, name) }

// hosts are those by which a service is reached here: its own, which leads to this
// machine only where somebody says so, and one that always does. The last is the one
// to show.
func (a *app) hosts(s manifest.Service) []string {
	first := ""
	for _, o := range a.services {
		if o.Host != "" {
			first = o.Host
			break
		}
	}
	out := []string{s.Host}
	if s.Host == first { // what most apps have only one of is reached by the bare address
		return append(out, "localhost", "127.0.0.1")
	}
	if !strings.HasSuffix(s.Host, ".localhost") {
		out = append(out, s.Host+".localhost")
	}
	return out
}

// secrets are the values of those that a service names: of .env, else of the
// caller's environment.
func (d *dev) secrets(a *app, s manifest.Service) (map[string]string, error) {
	out := map[string]string{}
	var missing []string
	for _, name := range s.Secrets {
		value, ok := d.value(a, name)
		if !ok {
			missing = append(missing, name)
		}
		out[name] = value
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("error[T0728]: %s needs secrets that have no value here: %s\n  where   %s\n  help    a line %s=VALUE there, or in the environment of titrate dev; keep the file out of git",
			s.Name, strings.Join(missing, ", "), filepath.Join(d.Root, ".env"), missing[0])
	}
	return out, nil
}

// value is that of a secret.
func (d *dev) value(a *app, name string) (string, bool) {
	if value, ok := a.vars[name]; ok {
		return value, true
	}
	for _, kv := range d.Vars {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// readDotenv reads KEY=VALUE lines; there may be no file. Values are taken as they
// are, but for quotes around them: no variable is filled in.
func readDotenv(path string) (map[string]string, error) {
	out := map[string]string{}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read .env: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !isName(name) {
			return nil, fmt.Errorf("error[T0728]: line %d of .env is no KEY=VALUE\n  where   %s", n, path) // the line may hold a secret
		}
		if value, ok = unquote(value); !ok {
			return nil, fmt.Errorf("error[T0728]: the value of %s has a quote without its end\n  where   %s:%d", name, path, n)
		}
		out[name] = value
	}
	return out, nil
}

func isName(s string) bool {
	for i, c := range []byte(s) {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

var escapes = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\"`, `"`, `\\`, `\`)

// unquote takes quotes off, and a comment behind a value.
func unquote(s string) (string, bool) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		if i := strings.Index(s, " #"); i >= 0 {
			s = strings.TrimSpace(s[:i])
		}
		return s, true
	}
	quote, rest := s[0], s[1:]
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && quote == '"':
			i++
		case rest[i] == quote && quote == '"':
			return escapes.Replace(rest[:i]), true
		case rest[i] == quote:
			return rest[:i], true
		}
	}
	return "", false
}
