package store

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// FaultError is a trouble with the stored state that a person has to hear of: what it
// is, where, and what to type.
type FaultError struct {
	Code string // "T0710"; see the codes below
	What string
	Path string
	Hint string
	Err  error // what was met; may be nil
}

// The codes of a [FaultError].
const (
	CodeCorrupt = "T0710" // the database is damaged or cut short
	CodeNewer   = "T0711" // the database was written by a newer Titrate
	CodeLocked  = "T0712" // another process holds the data folder
	CodeFull    = "T0713" // the disk is full
	CodeMissing = "T0714" // the database is gone, but what stood beside it is there
)

// Error says what is wrong, where, what was met and what to type.
func (f *FaultError) Error() string {
	s := fmt.Sprintf("error[%s]: %s\n  where   %s", f.Code, f.What, f.Path)
	if f.Err != nil {
		s += "\n  saw     " + f.Err.Error()
	}
	if f.Hint != "" {
		s += "\n  help    " + f.Hint
	}
	return s
}

func (f *FaultError) Unwrap() error { return f.Err }

// wrap turns a driver's error into what the store promises, by its typed code.
func (s *Store) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
			return corrupt(s.path, err)
		case lib.SQLITE_FULL:
			return full(s.path, err)
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return full(s.path, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// noRoom reports whether err may come from a full disk. Besides its own code,
// SQLite reports a failed write of its log or of the shared index as an I/O error.
func noRoom(err error) bool {
	var f *FaultError
	if errors.As(err, &f) {
		return f.Code == CodeFull
	}
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == lib.SQLITE_IOERR
}

func corrupt(path string, err error) *FaultError {
	return &FaultError{
		Code: CodeCorrupt, Path: path, Err: err,
		What: "the database is damaged; nothing was changed",
		Hint: fmt.Sprintf("restore a backup, or move it away to begin anew (workloads run on until then): mv %s %s.damaged", path, path),
	}
}

func full(path string, err error) *FaultError {
	return &FaultError{
		Code: CodeFull, Path: path, Err: err,
		What: "the disk is full; rollouts in progress go on from a reserve, nothing new is taken",
		Hint: "free some space on the disk of the data folder: df -h " + path,
	}
}
