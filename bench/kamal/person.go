package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"titrate/bench/figures"
)

// walk is what one tool asked of a person, and what its users got meanwhile.
type walk struct {
	tool  string
	parts []*part
}

// part is one piece of a walk.
type part struct {
	name     string
	commands []string
	files    []string
	notes    []string
	took     time.Duration
	load     tally
}

// person types commands in the app's folder.
type person struct {
	w       *world
	dir     string
	verbose bool
	*part
}

// begin makes the app's repository for a tool.
func (w *world) begin(ctx context.Context, tool string, verbose bool) (*walk, *person, error) {
	p := &person{w: w, dir: filepath.Join(w.dir, tool, "shop"), verbose: verbose, part: &part{}}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("make the app's folder: %w", err)
	}
	if err := p.app(good); err != nil {
		return nil, nil, err
	}
	_, err := p.types(ctx, `git init -q && git add -A && git commit -qm "a shop"`)
	return &walk{tool: tool}, p, err
}

// next begins a part of the walk.
func (k *walk) next(p *person, name string) {
	p.part = &part{name: name}
	k.parts = append(k.parts, p.part)
}

// types runs one command, as typed. What it prints is returned.
func (p *person) types(ctx context.Context, command string) (string, error) {
	p.commands = append(p.commands, command)
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	cmd.Dir, cmd.Env = p.dir, p.w.env()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if p.verbose {
		fmt.Fprintf(os.Stderr, "\n$ %s\n", command)
		cmd.Stdout = io.MultiWriter(&out, os.Stderr)
		cmd.Stderr = cmd.Stdout
	}
	began := time.Now()
	err := cmd.Run()
	p.took += time.Since(began)
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", command, err, out.String())
	}
	return out.String(), err
}

// edits writes a file of the app.
func (p *person) edits(name, text string) error {
	if !slices.Contains(p.files, name) {
		p.files = append(p.files, name)
	}
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // a file to commit
		return fmt.Errorf("edit %s: %w", name, err)
	}
	return nil
}

// The commits of the app differ in one line.
const (
	good      = ``
	better    = "  // better\n"
	broken    = `  if (Math.random() < 0.5) { res.statusCode = 500; return res.end("oops\n"); }` + "\n"
	unhealthy = `  res.statusCode = 500; return res.end("oops\n");` + "\n"
)

// app writes the app, with a fault in it. Kamal asks for /up and Titrate for the front
// page, so what is not healthy fails at both, and what is broken passes both often enough.
func (p *person) app(fault string) error {
	server := "const http = require(\"http\");\nhttp.createServer((req, res) => {\n"
	if fault == unhealthy {
		server += fault
	}
	server += "  if (req.url === \"/up\") return res.end(\"ok\\n\");\n"
	if fault != unhealthy {
		server += fault
	}
	server += "  res.end(\"hello\\n\");\n}).listen(process.env.PORT || 80);\n"
	docker := "FROM node:20-bookworm-slim\nWORKDIR /app\nCOPY server.js .\nEXPOSE 80\nCMD [\"node\", \"server.js\"]\n"
	return errors.Join(p.edits("server.js", server), os.WriteFile(filepath.Join(p.dir, "Dockerfile"), []byte(docker), 0o644)) //nolint:gosec // a file to commit
}

// print writes a walk part by part.
func (k *walk) print(out io.Writer) {
	fmt.Fprintf(out, "  %s\n", k.tool)
	for _, p := range k.parts {
		figures.Line(out, "  "+p.name, fmt.Sprintf("%v, %d commands, %d files", p.took.Round(100*time.Millisecond), len(p.commands), len(p.files)), "")
		if p.load.sent > 0 {
			figures.Line(out, "    requests", p.load.String(), "")
		}
		for _, n := range p.notes {
			figures.Line(out, "    ", n, "")
		}
		for _, c := range p.commands {
			fmt.Fprintf(out, "      $ %s\n", c)
		}
		for _, f := range p.files {
			fmt.Fprintf(out, "      edited: %s\n", f)
		}
	}
}

// commits commits the app with a fault in it.
func (p *person) commits(ctx context.Context, fault string) error {
	if err := p.app(fault); err != nil {
		return err
	}
	_, err := p.types(ctx, `git commit -qam "a better front page"`)
	return err
}

// rest lets a while go by.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
