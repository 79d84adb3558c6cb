package dev

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// committed builds what HEAD of a repository holds, when that or the manifest that was
// committed has moved. The app's own comes first: the manifest is in it.
func (d *dev) committed(ctx context.Context, r *repo, at time.Time) error {
	head, err := r.git(ctx, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return fmt.Errorf("error[T0729]: there is no commit to compare with\n  where   %s\n  help    --split needs a git repository with a commit: git commit first", r.dir)
	}
	commit := strings.TrimSpace(string(head))
	if commit == r.commit && r.base == d.base {
		return nil
	}
	root := d.path(strings.TrimSuffix("committed-"+r.name, "-"))
	if err := os.RemoveAll(root); err != nil {
		return fmt.Errorf("export the commit: %w", err)
	}
	files, err := r.git(ctx, "archive", "--format=tar", commit)
	if err == nil {
		err = unpack(bytes.NewReader(files), root)
	}
	if err != nil {
		return fmt.Errorf("export the commit: %w", err)
	}
	if r.own() {
		a, err := d.read(root)
		if err != nil {
			return fmt.Errorf("the commit %.12s: %w", commit, err)
		}
		d.base = a
	}
	r.commit, r.base = commit, d.base
	d.build(ctx, d.base, r, root, at, func(w *work) *slot { return &w.saved })
	return nil
}

func (r *repo) git(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.dir
	return cmd.Output()
}

// unpack writes the files of git archive: its names are below the root by themselves,
// and os.Root keeps them there.
func unpack(r io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written to it
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.FromSlash(strings.TrimSuffix(h.Name, "/"))
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = root.Symlink(h.Linkname, name)
		case tar.TypeReg:
			var f *os.File
			if f, err = root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fs.FileMode(h.Mode).Perm()); err == nil {
				_, err = io.Copy(f, t)
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			return err
		}
	}
}
