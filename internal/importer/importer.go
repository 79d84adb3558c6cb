// Package importer makes a titrate.yaml of the files by which other tools run an
// app (compose, Kamal, Fly.io, Procfile, the Serverless Framework, SAM), and says of every
// line of theirs that it did not carry over, and why.
//
// It is pure: files in, text and notes out. Values of secrets are never part of what
// it returns; their names are.
package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Format is a language of files that can be imported.
type Format string

// The formats, in the order in which one is preferred where several are there.
const (
	Compose  Format = "compose"
	Kamal    Format = "kamal"
	Fly      Format = "fly"
	Procfile Format = "procfile"

	Serverless Format = "serverless"
	SAM        Format = "sam"
)

// Place is a line of a file of the repository; the zero one is nowhere.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"` // 0: as a whole
}

// String is FILE:LINE, or FILE where a whole file or folder is meant.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// NoteKind says what became of a line.
type NoteKind string

// The kinds of notes.
const (
	Lost     NoteKind = "lost"     // not carried over: the app may miss it
	Changed  NoteKind = "changed"  // carried over in another way, to be looked at
	Needless NoteKind = "needless" // not carried over, because Titrate does it by itself or in its own way
)

// Note is what became of one line that was not carried over as it stands.
type Note struct {
	Place
	Key     string   `json:"key"` // services.web.privileged
	Kind    NoteKind `json:"kind"`
	Why     string   `json:"why"`
	Instead string   `json:"instead,omitempty"` // what to do
}

// Secret is a name that has to be set before the first push.
type Secret struct {
	Name     string   `json:"name"`
	From     []Place  `json:"from"`     // where its value would come from, or where it is named
	Services []string `json:"services"` // that are given it

	// Environments are those that need a value of their own, where the file says
	// which there are.
	Environments []string `json:"environments,omitempty"`
}

// Draft is what came of an import.
type Draft struct {
	File        string   `json:"file"`
	Format      Format   `json:"format"`
	App         string   `json:"app"`
	AppFrom     string   `json:"appFrom"`   // what the name is from
	Services    []string `json:"services"`  // by name, in the order of the manifest
	Functions   []string `json:"functions"` // by name, in the order of the manifest
	Accessories []string `json:"accessories"`
	Code        bool     `json:"code"`     // the services are the code's, and the accessories the file's
	Manifest    string   `json:"manifest"` // a titrate.yaml without errors
	Files       []File   `json:"files"`    // that the manifest needs beside it, and that are not there
	Guesses     []Guess  `json:"guesses"`  // what the manifest says, and why
	Secrets     []Secret `json:"secrets"`  // by name
	Notes       []Note   `json:"notes"`    // by file and line
}

// Options are what a file does not say.
type Options struct {
	App      string            // the app's name; empty: as the file or Folder says
	Host     string            // of the first service that is reached from outside and has none; empty: APP.localhost
	Folder   string            // the name of the repository's folder
	Profiles []string          // of compose, whose services are taken too
	Stage    string            // of the Serverless Framework; empty: as the file says
	Params   map[string]string // of the Serverless Framework, and of SAM's templates
	Packaged *Packaged         // what the project's own Serverless Framework makes of it; nil: nothing
	Programs []Program         // services that the code looks like, for a file that has databases alone
}

// Packaged is what the package command of a project's own Serverless Framework leaves.
type Packaged struct {
	Program  string              // serverless or osls
	Template []byte              // cloudformation-template-update-stack.json
	State    []byte              // serverless-state.json
	Zips     map[string][]string // the files in each, by the zip's name
}

// Error is why a file cannot be imported.
type Error struct {
	Code    string // `titrate explain CODE` has its page
	Where   string
	Message string
	Help    string
}

// Error says what, where, and what to do next.
func (e *Error) Error() string {
	return fmt.Sprintf("error[%s]: %s\n  where   %s\n  help    %s", e.Code, e.Message, e.Where, e.Help)
}

// The codes of what can go wrong. Once given, a code keeps its meaning.
const (
	codeUnread  = "T0901" // the file is not of its language
	codeUnknown = "T0902" // no format is known for the file
	codeNothing = "T0903" // the file runs nothing
	codeInvalid = "T0905" // what came out is no manifest
)

var candidates = []string{
	"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "config/deploy.yml", "config/deploy.yaml", "fly.toml", "Procfile",
	"serverless.yml", "serverless.yaml", "serverless.json", "serverless.js", "serverless.cjs", "serverless.mjs", "serverless.ts", "template.yaml", "template.yml", "template.json",
}

// Find returns the files of a repository that can be imported, the preferred first.
func Find(tree fs.FS) []string {
	var found []string
	for _, name := range candidates {
		if info, err := fs.Stat(tree, name); err == nil && info.Mode().IsRegular() {
			found = append(found, name)
		}
	}
	return found
}

// FormatOf says how a file is read, by its name.
func FormatOf(name string) (Format, error) {
	base := strings.ToLower(path.Base(name))
	yaml := strings.HasSuffix(base, ".yaml") || strings.HasSuffix(base, ".yml")
	switch {
	case strings.HasPrefix(base, "procfile"):
		return Procfile, nil
	case strings.Contains(base, "compose") && yaml:
		return Compose, nil
	case strings.HasPrefix(base, "deploy") && yaml:
		return Kamal, nil
	case strings.HasPrefix(base, "fly") && strings.HasSuffix(base, ".toml"):
		return Fly, nil
	case strings.HasPrefix(base, "serverless") && (yaml || strings.HasSuffix(base, ".json") || isProgram(base)):
		return Serverless, nil
	case yaml || strings.HasSuffix(base, ".json") || strings.HasSuffix(base, ".template"):
		return SAM, nil
	}
	return "", &Error{codeUnknown, name, "it is not known how to read this file", "a compose.yaml, Kamal's config/deploy.yml, a fly.toml, a Procfile, a serverless.yml or a SAM template can be imported"}
}

// isProgram reports whether a configuration of the Serverless Framework is a program, which
// the framework alone can read.
func isProgram(name string) bool {
	return slices.Contains([]string{".js", ".cjs", ".mjs", ".ts", ".mts", ".cts"}, path.Ext(name))
}

// Import reads a file of a repository: name is relative to its root. An error is an
// *Error, or is [fs.ErrNotExist].
func Import(tree fs.FS, name string, o Options) (*Draft, error) {
	b, format, err := read(tree, path.Clean(name), o)
	if err != nil {
		return nil, err
	}
	d, err := b.finish()
	if err != nil {
		return nil, err
	}
	d.File, d.Format = b.file, format
	return d, nil
}

// read collects what a file says, before the manifest's parser has seen it.
func read(tree fs.FS, name string, o Options) (*builder, Format, error) {
	src, err := readFile(tree, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	if err != nil {
		return nil, "", &Error{codeUnread, name, err.Error(), "name another file: titrate import FILE"}
	}
	format, err := FormatOf(name)
	if err != nil {
		return nil, "", err
	}
	if !utf8.Valid(src) {
		return nil, "", &Error{codeUnread, name, "the file is not UTF-8", "write it in UTF-8, or name another: titrate import FILE"}
	}
	src = []byte(strings.TrimPrefix(string(src), "\ufeff"))
	b := &builder{tree: tree, file: name, options: o}
	switch format {
	case Compose:
		err = b.compose(src)
	case Kamal:
		err = b.kamal(src)
	case Fly:
		err = b.fly(src)
	case Procfile:
		b.procfile(src)
	case Serverless:
		err = b.serverless()
	case SAM:
		err = b.sam()
	}
	return b, format, err
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// nameOf makes a name of Titrate's out of any.
func nameOf(s string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(s), "-"), "-")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = strings.Trim("app-"+name, "-")
	}
	return strings.TrimRight(name[:min(len(name), 40)], "-")
}

// repoPath makes a path of the repository out of one relative to a folder of it; ok
// is false when it leads out.
func repoPath(dir, p string) (clean string, ok bool) {
	if path.IsAbs(p) || strings.HasPrefix(p, "~") || strings.Contains(p, "://") || strings.Contains(p, "$") {
		return "", false
	}
	clean = path.Join(dir, p)
	return clean, clean != ".." && !strings.HasPrefix(clean, "../")
}

func (b *builder) exists(name string) bool {
	if !fs.ValidPath(name) {
		return false
	}
	_, err := fs.Stat(b.tree, name)
	return err == nil
}

func (b *builder) note(n *node, kind NoteKind, why, instead string) {
	if n == nil {
		return
	}
	b.notes = append(b.notes, Note{n.where(), n.path, kind, why, instead})
	n.all().told = true
}

// unique keeps the first of equal notes: a value that stands behind an anchor is
// read once for each alias.
func unique(notes []Note) []Note {
	if len(notes) == 0 {
		return []Note{}
	}
	slices.SortStableFunc(notes, func(x, y Note) int {
		if x.File != y.File {
			return strings.Compare(x.File, y.File)
		}
		return x.Line - y.Line
	})
	seen := map[Note]bool{}
	return slices.DeleteFunc(notes, func(n Note) bool {
		n.Key = n.Key[strings.LastIndexByte(n.Key, '.')+1:]
		defer func() { seen[n] = true }()
		return seen[n]
	})
}
