package engine

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Context is the files that an image is built from, as the builder sees them.
type Context struct {
	tree       fs.FS
	dockerfile string // in tree
	ignored    *patternmatcher.PatternMatcher
}

// OpenContext returns the context of a folder. Its .dockerignore is honoured, or
// DOCKERFILE.dockerignore where there is one, with the engine's own rules for
// patterns. dockerfile is relative to the folder; empty: Dockerfile.
func OpenContext(tree fs.FS, dockerfile string) (*Context, error) {
	if dockerfile == "" {
		dockerfile = "Dockerfile"
	}
	dockerfile = path.Clean(dockerfile)
	if !fs.ValidPath(dockerfile) {
		return nil, fmt.Errorf("the Dockerfile %q lies outside of the folder that is built", dockerfile)
	}
	info, err := fs.Stat(tree, dockerfile)
	if err != nil {
		return nil, fmt.Errorf("no file %s: %w", dockerfile, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", dockerfile)
	}
	c := &Context{tree: tree, dockerfile: dockerfile}
	for _, name := range []string{dockerfile + ".dockerignore", ".dockerignore"} {
		f, err := tree.Open(name)
		if err != nil {
			continue
		}
		patterns, err := ignorefile.ReadAll(f)
		f.Close() //nolint:errcheck // only read
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if c.ignored, err = patternmatcher.New(patterns); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		break
	}
	return c, nil
}

// Dockerfile returns its text.
func (c *Context) Dockerfile() ([]byte, error) {
	text, err := fs.ReadFile(c.tree, c.dockerfile)
	if err != nil {
		return nil, fmt.Errorf("read the Dockerfile: %w", err)
	}
	return text, nil
}

// Digest returns the sha-256, in hex, of all that the builder sees: equal contexts
// have equal ones, whenever and by whom their files were written.
func (c *Context) Digest() (string, error) {
	h := sha256.New()
	if err := c.Pack(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Pack writes the context as a tar archive: files in order of their names, owned
// by root, without times, so that the engine's cache and [Context.Digest] go by
// names, modes and contents alone.
func (c *Context) Pack(w io.Writer) error {
	out := tar.NewWriter(w)
	err := fs.WalkDir(c.tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		skip, into, err := c.skips(name)
		if err != nil {
			return err
		}
		if skip && d.IsDir() && !into {
			return fs.SkipDir
		}
		if skip {
			return nil
		}
		return c.add(out, name, d)
	})
	if err != nil {
		return fmt.Errorf("pack the build context: %w", err)
	}
	return out.Close()
}

// skips reports whether a file stays out, and whether something in it, if it is a
// folder, may come in again by an exception. What tells the builder what to do goes
// in always, as docker sends it too.
func (c *Context) skips(name string) (skip, into bool, err error) {
	if c.ignored == nil || name == c.dockerfile || name == ".dockerignore" {
		return false, false, nil
	}
	skip, err = c.ignored.MatchesOrParentMatches(name)
	if err != nil {
		return false, false, fmt.Errorf("match .dockerignore: %w", err)
	}
	return skip, c.ignored.Exclusions() || strings.HasPrefix(c.dockerfile, name+"/"), nil
}

// modeOf is the mode that git would check a file out with: anybody can read it, and only
// whether it is a program differs. That of the disk is also by the umask of who wrote it:
// under systemd ours leaves nothing to an image's USER.
func modeOf(info fs.FileInfo) int64 {
	if info.IsDir() || info.Mode()&0o100 != 0 {
		return 0o755
	}
	return 0o644
}

func (c *Context) add(out *tar.Writer, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: modeOf(info), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	switch {
	case d.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case d.Type()&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = fs.ReadLink(c.tree, name); err != nil {
			return err
		}
	case info.Mode().IsRegular():
		h.Typeflag, h.Size = tar.TypeReg, info.Size()
	default:
		return nil // sockets and the like, as docker leaves them out
	}
	if err := out.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := c.tree.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	_, err = io.Copy(out, f)
	return err
}
