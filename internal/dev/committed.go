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

// committed builds what HEAD holds, when that has moved.
func (d *dev) committed(ctx context.Context, at time.Time) error {
	head, err := d.git(ctx, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return fmt.Errorf("error[T0729]: there is no commit to compare with\n  where   %s\n  help    --split needs a git repository with a commit: git commit first", d.Root)
	}
	commit := strings.TrimSpace(string(head))
	if commit == d.commit {
		return nil
	}
	root := d.path("committed")
	if err := os.RemoveAll(root); err != nil {
		return fmt.Errorf("export the commit: %w", err)
	}
	files, err := d.git(ctx, "archive", "--format=tar", commit)
	if err == nil {
		err = unpack(bytes.NewReader(files), root)
	}
	if err != nil {
		return fmt.Errorf("export the commit: %w", err)
	}
	a, err := d.read(root)
	if err != nil {
		return fmt.Errorf("the commit %.12s: %w", commit, err)
	}
	d.commit = commit
	d.build(ctx, a, root, at, func(w *work) *slot { return &w.saved })
	return nil
}

func (d *dev) git(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = d.Root
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
