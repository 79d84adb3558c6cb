package pipeline

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyTree copies a folder of this machine that we own.
func copyTree(from, to string) error {
	tree, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer tree.Close() //nolint:errcheck // only read
	return copyInto(to, tree)
}

// copyInto copies files, folders and links into the folder to.
func copyInto(to string, tree *os.Root) error {
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
		return copyFile(at, tree, name)
	})
}

// copyFile copies a regular file, and refuses all else: whoever opens a FIFO waits
// for one who writes to it.
func copyFile(to string, tree *os.Root, name string) error {
	in, err := tree.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
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
	_, err = out.ReadFrom(in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
