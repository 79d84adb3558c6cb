// Package backup writes a data folder into one file while everything in it is in use,
// and puts it back into an empty one. It knows what of a data folder is to be kept and
// in which order it is to be read, and nothing of what it means.
//
// The file is a tar archive, packed with zstd, that the usual programs read: first
// what it is ([Header]), then the database as it was at one moment, then all else, and
// last the sha-256 of each file. One without that last entry is not whole.
package backup

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// format is that of the archive. One of a newer format is refused.
const format = 1

// The entries of an archive that are no files of the data folder.
const (
	headerName = "titrate-backup.json"
	sumsName   = "titrate-backup.sha256"
	database   = "server/titrate.db"
)

// Header says what an archive is.
type Header struct {
	Format  int       `json:"format"`
	Folder  int       `json:"folder"`  // the format of the data folder
	Version string    `json:"version"` // of the program that wrote it
	Made    time.Time `json:"made"`
	Logs    bool      `json:"logs"` // they are in it
}

// Backup says what to write, and where.
type Backup struct {
	Dir    string // the data folder
	File   string // has its name only when it is whole and on the disk; one of that name is replaced
	Header Header // Format is set here
	// Database writes the database, as it is at one moment, to a file that is not there yet.
	Database func(ctx context.Context, to string) error
}

// Report says what was written or put back.
type Report struct {
	File    string    `json:"file"`
	Made    time.Time `json:"made"`
	Version string    `json:"version"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"` // of the archive
	Logs    bool      `json:"logs"`
	// Changing lists files that were written to while they were read: each is in it as
	// far as it was.
	Changing []string `json:"changing,omitempty"`
	// Without lists accessories whose data is not in it; their own backups are.
	Without []string `json:"without,omitempty"`
	// Lost lists those of which nothing is in it: they have data and no backup of their own.
	Lost []string `json:"lost,omitempty"`
}

// Write writes the archive. What does not end well leaves nothing behind, or, if the
// process is killed, files that the next one of the same name removes.
func Write(ctx context.Context, b Backup) (r Report, err error) {
	b.Header.Format = format
	part, err := claim(b.Dir, b.File)
	if err != nil {
		return r, err
	}
	defer part.Close()
	copied := part.Name() + ".db"
	defer os.Remove(copied)
	defer os.Remove(part.Name()) // it has another name by then if all is well
	if err := os.Remove(copied); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, fmt.Errorf("remove what a killed backup left: %w", err)
	}
	// First of all: what it names is there, and stays for a while.
	if err := b.Database(ctx, copied); err != nil {
		return r, full(b.File, fmt.Errorf("copy the database: %w", err))
	}
	if err := os.Chmod(copied, 0o600); err != nil {
		return r, fmt.Errorf("keep the database from others: %w", err)
	}
	w := &writer{ctx: ctx, root: b.Dir, logs: b.Header.Logs}
	if err := w.archive(part, b.Header, copied); err != nil {
		return r, full(b.File, err)
	}
	if err := errors.Join(part.Sync(), os.Rename(part.Name(), b.File), syncDir(filepath.Dir(b.File))); err != nil {
		return r, full(b.File, fmt.Errorf("name the backup: %w", err))
	}
	info, err := os.Stat(b.File)
	if err != nil {
		return r, fmt.Errorf("look at the backup: %w", err)
	}
	return Report{
		File: b.File, Made: b.Header.Made, Version: b.Header.Version, Files: len(w.sums), Bytes: info.Size(), Logs: b.Header.Logs,
		Changing: w.changing, Without: w.without, Lost: w.lost,
	}, nil
}

// claim opens the file that becomes the archive. It is ours alone while it is open.
func claim(dir, file string) (*os.File, error) {
	inside, err := filepath.Rel(dir, file)
	if err == nil && filepath.IsLocal(inside) {
		return nil, &Error{Code: "T0731", Saw: "a backup in the data folder would hold itself, and go with it", Where: file, Help: "name a file elsewhere, best on another disk"}
	}
	// A rename would put the archive in the place of a device, which everybody needs.
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return nil, &Error{Code: "T0731", Saw: "what is there is no file that a backup could take the place of", Where: file, Help: "name a file; the archive cannot be written to a folder, a device or a pipe"}
	}
	path := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".part")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &Error{Code: "T0731", Saw: "the backup cannot be written: " + cause(err), Where: file, Help: "name a file in a folder that you may write to"}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &Error{Code: "T0731", Saw: "another backup to that file is going on", Where: file, Help: "wait until it has ended, or name another file"}
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("begin the backup: %w", err)
	}
	return f, nil
}

// archive writes all of it.
func (w *writer) archive(to io.Writer, h Header, db string) error {
	buffered := bufio.NewWriterSize(to, 1<<20)
	packed, err := zstd.NewWriter(buffered)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	w.tar = tar.NewWriter(packed)
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return fmt.Errorf("write what it is: %w", err)
	}
	err = w.text(headerName, text, h.Made)
	if err == nil {
		err = w.file(db, database)
	}
	if err == nil {
		err = w.folder(".")
	}
	if err == nil {
		err = w.text(sumsName, []byte(strings.Join(w.sums, "")), h.Made)
	}
	if err == nil {
		err = errors.Join(w.tar.Close(), packed.Close(), buffered.Flush())
	}
	return err
}

func (w *writer) text(name string, b []byte, at time.Time) error {
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b)), ModTime: at, Typeflag: tar.TypeReg}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err := w.tar.Write(b)
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
