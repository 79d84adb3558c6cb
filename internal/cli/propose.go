package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"titrate/internal/importer"
	"titrate/internal/manifest"
	"titrate/internal/pipeline"
)

// wish is what the flags of titrate init say.
type wish struct {
	host, from string
	profiles   []string
	programs   []importer.Program // what the code looks like
}

// fromCode is the value of --from that means the code itself.
const fromCode = "code"

// proposal is a titrate.yaml to be.
type proposal struct {
	from string // the file that it was made of, or fromCode
	sum  string // what is in it, in a few words
	app  string
	text string
	code bool // its services are the code's
	also []importer.File
	show func(w io.Writer)
}

// programs are the services that the code looks like.
func programs(seen pipeline.Detection) []importer.Program {
	var all []importer.Program
	for _, svc := range seen.Services {
		p := importer.Program{Name: svc.Name, Dir: svc.Dir, Port: svc.Port, Health: svc.Health, Worker: svc.Worker}
		for _, x := range seen.Secrets {
			if len(seen.Services) == 1 {
				p.Secrets = append(p.Secrets, x.Name)
			}
		}
		all = append(all, p)
	}
	return all
}

// propose makes a manifest of what the repository has. Where several files say how
// the app runs, the person says which is meant; --yes is the first.
func (s *session) propose(ctx context.Context, here string, wish wish) (proposal, error) {
	tree := folder(s.Dir)
	code, seen, codeErr := s.fromCode(tree, wish)
	if wish.from == fromCode {
		return code, codeErr
	}
	wish.programs = programs(seen)
	if wish.from != "" {
		name, err := s.inRepository(here, wish.from)
		if err != nil {
			return proposal{}, err
		}
		p, err := s.fromFile(tree, name, wish)
		if errors.Is(err, fs.ErrNotExist) {
			return proposal{}, usage("there is no file %s\n  help    titrate init --from FILE, or titrate init --from code", name)
		}
		return p, err
	}
	var all []proposal
	var fileErr error
	both := false // a file was read beside the code
	for _, name := range importer.Find(tree) {
		p, err := s.fromFile(tree, name, wish)
		if err == nil {
			all = append(all, p)
			both = both || p.code
			continue
		}
		if fileErr == nil {
			fileErr = err
		}
		if codeErr == nil { // it is no reason to end
			message, _, _ := strings.Cut(err.Error(), "\n")
			fmt.Fprintf(s.Err, "%s is left aside: %s\n", name, message)
		}
	}
	if codeErr == nil && !both {
		all = append(all, code)
	}
	switch len(all) {
	case 0:
		if fileErr != nil {
			return proposal{}, fileErr
		}
		return proposal{}, codeErr
	case 1:
		return all[0], nil
	}
	var rows []string
	for _, p := range all {
		rows = append(rows, fmt.Sprintf("%s: %s", p.from, p.sum))
	}
	i, err := s.choose(ctx, "Several files say how the app runs:", rows, "--from "+all[0].from)
	if err != nil {
		return proposal{}, err
	}
	return all[i], nil
}

// fromFile proposes what a file of another tool says.
func (s *session) fromFile(tree fs.FS, name string, wish wish) (proposal, error) {
	d, err := importer.Import(tree, name, importer.Options{
		App: s.app, Host: wish.host, Folder: filepath.Base(s.Dir), Profiles: wish.profiles, Programs: wish.programs,
	})
	if errors.Is(err, fs.ErrNotExist) {
		return proposal{}, err
	}
	if err != nil {
		return proposal{}, &exitError{exitUsage, err}
	}
	lost := 0
	for _, n := range d.Notes {
		if n.Kind == importer.Lost {
			lost++
		}
	}
	sum := counted(len(d.Services), "service")
	if d.Code {
		sum += " of the code"
	}
	if len(d.Accessories) > 0 {
		sum += ", " + counted(len(d.Accessories), "accessory")
	}
	if lost > 0 {
		sum += ", " + counted(lost, "line") + " not carried over"
	}
	return proposal{name, sum, d.App, d.Manifest, d.Code, d.Files, func(w io.Writer) { showDraft(w, d) }}, nil
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// showDraft says what was read, with the line that each thing is from, and what was
// not carried over.
func showDraft(w io.Writer, d *importer.Draft) {
	fmt.Fprintf(w, "Looked at: %s\n", d.File)
	rows := [][]string{{"  app", d.App, d.AppFrom}}
	of := ""
	for _, g := range d.Guesses {
		if g.Of != of {
			of = g.Of
			rows = append(rows, []string{"  " + of})
		}
		rows = append(rows, []string{"    " + g.Key, shortened(g.Value), g.From.String()})
	}
	table(w, rows)
	showNotes(w, d)
	fmt.Fprintf(w, "\n%s\n", d.Manifest)
	showFiles(w, d)
	showSecrets(w, d)
}

// shortened is a text that leaves room for what stands beside it.
func shortened(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// fromCode proposes what the code itself looks like.
func (s *session) fromCode(tree fs.FS, wish wish) (proposal, pipeline.Detection, error) {
	seen, err := pipeline.Detect(tree)
	if err != nil {
		return proposal{}, seen, &exitError{exitUsage, err}
	}
	name := s.app
	if name == "" {
		name = appName(filepath.Base(s.Dir))
	}
	text := draft(name, wish.host, seen)
	if _, problems := manifest.Parse([]byte(text), manifest.File); problems.Err() != nil {
		return proposal{}, seen, &exitError{exitUsage, problems.Err()}
	}
	show := func(w io.Writer) { showDetection(w, name, seen, text) }
	return proposal{fromCode, counted(len(seen.Services), "service"), name, text, true, nil, show}, seen, nil
}

// draft is the manifest for what was detected.
func draft(name, host string, seen pipeline.Detection) string {
	var b strings.Builder
	fmt.Fprintf(&b, "titrate: 1\napp: %s\n\nservices:\n", name)
	first := true
	for _, svc := range seen.Services {
		parts := []string{"build: " + svc.Dir}
		if svc.Network != "" {
			parts[0] = "build: { dir: " + svc.Dir + ", network: true }"
		}
		switch {
		case svc.Worker:
			parts = append(parts, "worker: true")
		default:
			if svc.Port != 0 {
				parts = append(parts, fmt.Sprintf("port: %d", svc.Port))
			}
			if svc.Health != "" {
				parts = append(parts, "health: "+svc.Health)
			}
			at := svc.Name + "." + name + ".localhost"
			if first {
				at = name + ".localhost"
				if host != "" {
					at = host
				}
			}
			first = false
			parts = append(parts, "host: "+at)
		}
		if len(seen.Secrets) > 0 && len(seen.Services) == 1 {
			var names []string
			for _, x := range seen.Secrets {
				names = append(names, x.Name)
			}
			parts = append(parts, "secrets: ["+strings.Join(names, ", ")+"]")
		}
		fmt.Fprintf(&b, "  %s: { %s }\n", svc.Name, strings.Join(parts, ", "))
	}
	return b.String()
}

// showDetection says what was guessed, and from what.
func showDetection(w io.Writer, name string, seen pipeline.Detection, text string) {
	fmt.Fprintf(w, "Looked at: %s\n", strings.Join(seen.Looked, ", "))
	rows := [][]string{{"  app", name, "from the folder's name, or --app"}}
	for _, svc := range seen.Services {
		rows = append(rows, []string{"  service", svc.Name, svc.From})
		switch {
		case svc.Worker:
			rows = append(rows, []string{"  worker", "yes", "it does not seem to listen"})
		case svc.Port != 0:
			rows = append(rows, []string{"  port", fmt.Sprint(svc.Port), svc.PortFrom})
		default:
			rows = append(rows, []string{"  port", "$PORT", svc.PortFrom})
		}
		if svc.Network != "" {
			rows = append(rows, []string{"  network", "while it builds", svc.Network})
		}
		if svc.Health != "" {
			rows = append(rows, []string{"  health", svc.Health, svc.HealthFrom})
		}
	}
	for _, x := range seen.Secrets {
		rows = append(rows, []string{"  secret", x.Name, x.From + "; values are not read"})
	}
	rows = append(rows, []string{"  rollout", "Linear10PercentEvery1Minute", "default"})
	table(w, rows)
	for _, n := range seen.Notes {
		fmt.Fprintln(w, "  note:", n)
	}
	fmt.Fprintf(w, "\n%s\n", text)
	for _, x := range seen.Secrets {
		fmt.Fprintf(w, "Before the first push: titrate secret set %s\n", x.Name)
	}
}
