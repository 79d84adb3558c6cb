package source

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// maxFiles bounds the files of one commit.
const maxFiles = 200_000

// treeError is the commit's fault, not ours.
type treeError struct{ why string }

func (e *treeError) Error() string { return e.why }

// unpack writes an archive of git into dir. The folder is entered through
// os.Root, so that nothing is ever written outside of it; links are written
// last, so that nothing is written through one.
func unpack(in io.Reader, dir string, max int64) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing is written through it any more
	links := map[string]string{}
	var names []string
	archive, files, size := tar.NewReader(in), 0, int64(0)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		files, size = files+1, size+h.Size
		switch {
		case files > maxFiles:
			return &treeError{fmt.Sprintf("it has more than %d files", maxFiles)}
		case size > max:
			return &treeError{fmt.Sprintf("its files hold more than %d MiB", max>>20)}
		case h.Typeflag == tar.TypeXGlobalHeader || name == ".":
			continue
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeReg:
			err = unpackFile(root, name, archive, h)
		case tar.TypeSymlink:
			links[name], names = h.Linkname, append(names, name)
		default:
			err = &treeError{fmt.Sprintf("%s is neither a file, a folder nor a link", h.Name)}
		}
		if err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := unpackLink(root, name, links[name]); err != nil {
			return err
		}
	}
	// A chain of links, each of them harmless, can still lead out.
	for _, name := range names {
		if _, err := root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ELOOP) {
			return &treeError{fmt.Sprintf("the link %s leads out of it, to %s", name, links[name])}
		}
	}
	return nil
}

func unpackFile(root *os.Root, name string, in io.Reader, h *tar.Header) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if h.Mode&0o100 != 0 {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func unpackLink(root *os.Root, name, target string) error {
	inside := path.Join(path.Dir(name), target)
	if path.IsAbs(target) || inside == ".." || strings.HasPrefix(inside, "../") {
		return &treeError{fmt.Sprintf("the link %s leads out of it, to %s", name, target)}
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return root.Symlink(target, name)
}
