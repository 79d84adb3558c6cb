package backup

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// Unfinished is the folder in a data folder in which a restore is made. While it is
// there nothing else in the data folder means anything.
const Unfinished = ".restore"

// Restore says what to put back, and where.
type Restore struct {
	File   string
	Dir    string // the data folder: empty, or not there
	Folder int    // the newest format of a data folder that this program knows
}

// Read puts an archive back. Nothing of it has its place before all of it was read and is
// what it was; what does not end well leaves the data folder empty, or, if the process is
// killed, so that the next one begins anew.
func Read(ctx context.Context, r Restore) (Report, error) {
	f, err := os.Open(r.File)
	if err != nil {
		return Report{}, &Error{Code: "T0732", Saw: "the backup cannot be read: " + cause(err), Where: r.File, Help: "name the file that titrate server backup wrote"}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Report{}, fmt.Errorf("look at the backup: %w", err)
	}
	packed, err := zstd.NewReader(bufio.NewReaderSize(f, 1<<20), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return Report{}, fmt.Errorf("unpack: %w", err)
	}
	defer packed.Close()
	in := &reader{ctx: ctx, tar: tar.NewReader(packed), file: r.File, sums: map[string]string{}}
	h, err := in.header(r.Folder)
	if err != nil {
		return Report{}, err
	}
	if err := begin(r.Dir); err != nil {
		return Report{}, err
	}
	into := filepath.Join(r.Dir, Unfinished)
	if err := in.all(into); err != nil {
		return Report{}, errors.Join(full(r.Dir, err), os.RemoveAll(into))
	}
	if err := finish(r.Dir, into); err != nil {
		return Report{}, fmt.Errorf("put the backup in its place: %w", err)
	}
	return Report{File: r.File, Made: h.Made, Version: h.Version, Files: len(in.sums), Bytes: info.Size(), Logs: h.Logs}, nil
}

// begin makes the data folder, and refuses one in which something is.
func begin(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look into the data folder: %w", err)
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == Unfinished }) {
		for _, e := range entries { // an earlier restore was killed: the folder was empty before
			if e.Name() != Unfinished {
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					return fmt.Errorf("clear what a killed restore left: %w", err)
				}
			}
		}
		if err := os.RemoveAll(filepath.Join(dir, Unfinished)); err != nil {
			return fmt.Errorf("clear what a killed restore left: %w", err)
		}
		entries = nil
	}
	if len(entries) > 0 {
		return &Error{Code: "T0734", Saw: "the data folder is not empty: a backup is put back into an empty one only", Where: dir, Help: "name another one: --data FOLDER; or, with titrate down, move this one away: mv " + dir + " " + dir + ".before"}
	}
	return os.Mkdir(filepath.Join(dir, Unfinished), 0o700)
}

// finish gives all its place. The data folder is one only with the last name.
func finish(dir, into string) error {
	d, err := os.Open(into)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(into, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := os.Remove(into); err != nil {
		return err
	}
	return syncDir(dir)
}

// reader reads an archive.
type reader struct {
	ctx  context.Context //nolint:containedctx // it lives as long as one call
	tar  *tar.Reader
	file string
	sums map[string]string // by name
	dirs []*tar.Header
}

func (r *reader) damaged(saw string) error {
	return &Error{Code: "T0732", Saw: saw, Where: r.file, Help: "take another backup; nothing was put back"}
}

// header reads the first entry, and refuses what this program does not know.
func (r *reader) header(folder int) (h Header, err error) {
	const most = 1 << 16
	e, err := r.tar.Next()
	if err == nil && e.Name == headerName {
		err = json.NewDecoder(io.LimitReader(r.tar, most)).Decode(&h)
	}
	switch {
	case err != nil || h.Format < 1:
		return h, r.damaged("it is no backup of titrate, or its beginning is damaged")
	case h.Format > format || h.Folder > folder:
		return h, &Error{
			Code: "T0733", Saw: fmt.Sprintf("the backup was written by a newer titrate, %s: format %d of folder %d, and this one knows %d of %d", h.Version, h.Format, h.Folder, format, folder),
			Where: r.file, Help: "restore it with titrate " + h.Version + " or newer",
		}
	}
	return h, nil
}

// all puts everything under into, and sees that it is all there and what it was.
func (r *reader) all(into string) error {
	root, err := os.OpenRoot(into)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer root.Close() //nolint:errcheck // what was written is synced by itself
	for {
		h, err := r.tar.Next()
		if err == nil {
			err = r.ctx.Err()
		}
		switch {
		case errors.Is(err, io.EOF):
			return r.damaged("the backup was cut short: the list of what is in it is missing")
		case r.ctx.Err() != nil:
			return r.ctx.Err()
		case err != nil:
			return r.damaged("the backup is damaged: " + err.Error())
		case h.Name == sumsName:
			if err := r.compare(); err != nil {
				return err
			}
			if err := settle(root, r.dirs); err != nil {
				return err
			}
			return dropHalves(root)
		}
		if err := r.entry(root, h); err != nil {
			return err
		}
	}
}

func (r *reader) entry(root *os.Root, h *tar.Header) error {
	name := strings.TrimSuffix(h.Name, "/")
	if !filepath.IsLocal(name) {
		return r.damaged(fmt.Sprintf("it would write outside of the data folder: %q", h.Name))
	}
	switch h.Typeflag {
	case tar.TypeDir:
		r.dirs = append(r.dirs, h)
		return wrapped(name, root.MkdirAll(name, 0o700))
	case tar.TypeSymlink:
		return wrapped(name, errors.Join(root.Symlink(h.Linkname, name), own(root, name, h)))
	case tar.TypeReg:
	default:
		return r.damaged(fmt.Sprintf("%q is no file", h.Name))
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return wrapped(name, err)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return wrapped(name, err)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), r.tar)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), r.ctx.Err() != nil:
		return wrapped(name, err)
	case err != nil:
		return r.damaged("the backup is damaged: " + err.Error())
	}
	r.sums[h.Name] = hex.EncodeToString(sum.Sum(nil))
	return wrapped(name, errors.Join(own(root, name, h), root.Chmod(name, h.FileInfo().Mode().Perm()), root.Chtimes(name, time.Time{}, h.ModTime)))
}

func wrapped(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("restore %s: %w", name, err)
}

// own gives a file to whose it was, where we may.
func own(root *os.Root, name string, h *tar.Header) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return root.Lchown(name, h.Uid, h.Gid)
}

// compare reads the last entry and compares it with what was read.
func (r *reader) compare() error {
	listed := 0
	lines := bufio.NewScanner(r.tar)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var sum, name string
		if _, err := fmt.Sscanf(lines.Text(), "%s %q", &sum, &name); err != nil {
			return r.damaged("the list of what is in it is damaged")
		}
		listed++
		switch got, there := r.sums[name]; {
		case !there:
			return r.damaged(name + " is not in it")
		case got != sum:
			return r.damaged(name + " is not what it was")
		}
	}
	if err := lines.Err(); err != nil || listed != len(r.sums) {
		return r.damaged("the list of what is in it is cut short")
	}
	return nil
}

// settle gives folders their modes, now that all is in them: some are read-only.
func settle(root *os.Root, dirs []*tar.Header) error {
	for _, h := range slices.Backward(dirs) {
		name := strings.TrimSuffix(h.Name, "/")
		if err := errors.Join(own(root, name, h), root.Chmod(name, h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSticky)), root.Chtimes(name, time.Time{}, h.ModTime)); err != nil {
			return wrapped(name, err)
		}
	}
	return nil
}

// dropHalves removes artifacts that were being removed while they were read: without
// a description they are none, and another of that name would be taken for whole.
func dropHalves(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), "artifacts")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look through the artifacts: %w", err)
	}
	for _, e := range entries {
		name := "artifacts/" + e.Name()
		if !e.IsDir() {
			continue
		}
		if _, err := root.Lstat(name + ".json"); errors.Is(err, fs.ErrNotExist) {
			if err := root.RemoveAll(name); err != nil {
				return wrapped(name, err)
			}
		}
	}
	return nil
}
