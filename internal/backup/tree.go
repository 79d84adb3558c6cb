package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// writer writes a data folder that changes meanwhile.
type writer struct {
	ctx  context.Context //nolint:containedctx // it lives as long as one call
	root string
	logs bool
	tar  *tar.Writer

	sums     []string // "SHA256  NAME\n", quoted where it must be
	changing []string
	without  []string
	lost     []string
}

// left are what is not kept, by path.Match: what is made anew, what belongs to the
// processes of this machine, and what cannot be read while it is in use.
var left = []string{
	"up.json", "up.lock", ".restore", "builds", "*.sock",
	database, database + "-*", "server/lock", "server/reserve",
	"artifacts/.tmp-*",
	"git/*.lock", "git/*/*.lock",
	"volumes/*/*/*/*.lock",
	"accessories/*/*/*/accessory.json", "accessories/*/*/*/files",
}

// state is what is kept of the node's own folder: the data of workloads.
const state = "node/local/workloads/*/*/*/state"

func (w *writer) keeps(name string) bool {
	for _, pattern := range left {
		if ok, _ := path.Match(pattern, name); ok { // the patterns are right
			if strings.HasSuffix(pattern, "/files") {
				w.accessory(path.Dir(name))
			}
			return false
		}
	}
	if !w.logs && (name == "logs" || strings.HasPrefix(name, "logs/")) {
		return false
	}
	if strings.HasPrefix(name, "node/") { // all above and below the state
		n := min(strings.Count(name, "/"), strings.Count(state, "/")) + 1
		have, want := strings.Split(name, "/")[:n], strings.Split(state, "/")[:n]
		ok, _ := path.Match(strings.Join(want, "/"), strings.Join(have, "/"))
		return ok
	}
	return true
}

// accessory notes one whose data is left out: a database that runs cannot be copied as
// files.
func (w *writer) accessory(dir string) {
	own, _ := filepath.Glob(filepath.Join(w.root, dir, "backups", "*.dump")) // the pattern is right
	switch name := strings.TrimPrefix(dir, "accessories/"); {
	case len(own) > 0:
		w.without = append(w.without, name)
	case hasFile(filepath.Join(w.root, dir, "files")):
		w.lost = append(w.lost, name)
	}
}

// hasFile reports whether there is a file somewhere in a folder, as far as we may look.
func hasFile(dir string) bool {
	return errors.Is(filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			return fs.ErrExist
		}
		return nil
	}), fs.ErrExist)
}

// late is which names of a folder come last. In a git repository what is named must
// not be read before its name is: a name that is packed meanwhile is found
// packed then, and what it names was there before it.
func late(name string) int { return slices.Index([]string{"packed-refs", "objects"}, name) }

// folder writes a folder and all below. One in which something went away meanwhile is
// looked through again: it may be there under another name, as git packs it.
func (w *writer) folder(name string) error {
	done := map[string]bool{}
	for again := true; again; {
		again = false
		entries, err := os.ReadDir(filepath.Join(w.root, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the data folder: %w", err)
		}
		slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return late(a.Name()) - late(b.Name()) })
		for _, e := range entries {
			at := path.Join(name, e.Name())
			if done[at] || !w.keeps(at) {
				continue
			}
			switch err := w.entry(at); {
			case errors.Is(err, fs.ErrNotExist):
				again = true
			case err != nil:
				return err
			default:
				done[at] = true
			}
		}
	}
	return nil
}

func (w *writer) entry(name string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	from := filepath.Join(w.root, name)
	info, err := os.Lstat(from)
	switch {
	case err != nil:
		return err
	case info.Mode().IsRegular():
		return w.file(from, name)
	case info.IsDir():
		if err := w.header(name+"/", "", info); err != nil {
			return err
		}
		return w.folder(name)
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return w.header(name, to, info)
	default:
		return nil // a socket, a FIFO: of a process that is not there
	}
}

func (w *writer) header(name, link string, info fs.FileInfo) error {
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	h.Name, h.Format = name, tar.FormatPAX
	h.Uname, h.Gname = "", "" // a number is the same on each machine
	return w.tar.WriteHeader(h)
}

// file writes a file as long as it was when it was opened: what is longer by then is
// cut, and what is shorter has zeros at its end.
func (w *writer) file(from, name string) error {
	f, err := os.OpenFile(from, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.header(name, "", info); err != nil {
		return err
	}
	sum := sha256.New()
	to := io.MultiWriter(w.tar, sum)
	n, err := io.Copy(to, io.LimitReader(f, info.Size()))
	if err == nil && n < info.Size() {
		_, err = io.CopyN(to, zeros{}, info.Size()-n)
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if now, err := f.Stat(); err == nil && (now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime())) {
		w.changing = append(w.changing, name)
	}
	w.sums = append(w.sums, line(hex.EncodeToString(sum.Sum(nil)), name))
	return nil
}

// line is one of the list of sums.
func line(sum, name string) string { return fmt.Sprintf("%s  %q\n", sum, name) }

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
