package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"sort"

	"titrate/internal/durable"
)

// Everything that a build is made of goes into one digest. What was made of it
// is remembered under that digest, so that nothing is built twice (R1).

// recipe collects what a build is made of. The order of its parts counts, the
// order of calls to files does not.
type recipe struct {
	h     hash.Hash
	files []string
}

func newRecipe(kind string) *recipe {
	r := &recipe{h: sha256.New()}
	r.add("titrate build 1", kind)
	return r
}

// add takes words, kept apart whatever they contain.
func (r *recipe) add(words ...string) {
	for _, w := range words {
		fmt.Fprintf(r.h, "%d:%s\n", len(w), w)
	}
}

// file takes a file of the tree at root, by name, content and executable bit. A
// link is what it leads to: that goes into the program, or along with it.
func (r *recipe) file(root, name string) error {
	path := filepath.Join(root, filepath.FromSlash(name))
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	dir := os.DirFS(filepath.Dir(path))
	entry := dirEntry{info}
	kind, sum, _, err := describe(dir, info.Name(), entry)
	if err != nil {
		return err
	}
	r.files = append(r.files, fmt.Sprintf("%s %s %q\n", kind, sum, name))
	return nil
}

type dirEntry struct{ os.FileInfo }

func (d dirEntry) Type() os.FileMode          { return d.Mode().Type() }
func (d dirEntry) Info() (os.FileInfo, error) { return d.FileInfo, nil }

// tree takes everything under dir of root.
func (r *recipe) tree(root, dir string) error {
	lines, _, err := listFiles(os.DirFS(filepath.Join(root, filepath.FromSlash(dir))))
	r.files = append(r.files, lines...)
	return err
}

func (r *recipe) digest() string {
	sort.Strings(r.files)
	last := ""
	for _, f := range r.files {
		if f != last {
			r.add(f)
		}
		last = f
	}
	return hex.EncodeToString(r.h.Sum(nil))
}

// made remembers what was made of inputs.
type made struct {
	Digest  string   `json:"digest"`
	Command []string `json:"command"`
}

// recall returns the artifact that was made of inputs before, if it is still there.
func (b *Builder) recall(inputs string) (Artifact, bool) {
	text, err := os.ReadFile(b.path("builds", "inputs", inputs))
	if err != nil {
		return Artifact{}, false
	}
	var m made
	if json.Unmarshal(text, &m) != nil {
		return Artifact{}, false
	}
	art, err := b.artifacts.Renew(m.Digest)
	if err != nil {
		return Artifact{}, false
	}
	art.Command, art.Inputs = m.Command, inputs
	return art, true
}

func (b *Builder) remember(art Artifact) error {
	text, err := json.Marshal(made{Digest: art.Digest, Command: art.Command})
	if err != nil {
		return fmt.Errorf("remember a build: %w", err)
	}
	return durable.WriteFile(b.path("builds", "inputs", art.Inputs), text)
}
