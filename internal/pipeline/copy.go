package pipeline

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// allow is asked before n more bytes are written, and says why they may not be.
type allow func(n int64) error

// allowance lets the copies of what a build has left be as large as what it may
// write: a sparse file, or many links to one, take more room in an artifact than
// they did where the build's own limits were watched.
func (b *Builder) allowance(ctx context.Context) allow {
	left := b.cfg.Limits.Disk
	return func(n int64) error {
		if left -= n; left < 0 {
			return errDisk
		}
		if almostFull(b.cfg.Dir) {
			return errNoSpace
		}
		return ctx.Err()
	}
}

// copyTree copies a folder of this machine that we own.
func copyTree(from, to string) error {
	tree, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer tree.Close() //nolint:errcheck // only read
	return copyInto(to, tree, func(int64) error { return nil })
}

// copyInto copies files, folders and links into the folder to.
func copyInto(to string, tree *os.Root, may allow) error {
	return fs.WalkDir(tree.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		at := filepath.Join(to, filepath.FromSlash(name))
		switch {
		case d.IsDir():
			return os.Mkdir(at, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := tree.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(target, at)
		}
		return copyFile(at, tree, name, may)
	})
}

// piece is how much is copied between two questions whether it may be.
const piece = 16 << 20

// copyFile copies a regular file, and refuses all else: whoever opens a FIFO waits
// for one who writes to it.
func copyFile(to string, tree *os.Root, name string, may allow) error {
	in, err := tree.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file, a folder nor a link", name)
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	for left := info.Size(); left > 0 && err == nil; left -= piece {
		n := min(left, piece)
		if err = may(n); err == nil {
			_, err = io.CopyN(out, in, n)
		}
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
