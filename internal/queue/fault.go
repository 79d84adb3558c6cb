package queue

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// The errors that a caller may tell apart by [errors.Is].
var (
	ErrUnknown = errors.New("it does not exist")
	ErrStale   = errors.New("the receipt is stale: the message was received again, deleted or moved")
	ErrClosed  = errors.New("the store of queues is closed; nothing was accepted")
	ErrInUse   = errors.New("it is in use")
	ErrLimit   = errors.New("over a limit")
)

// LimitError says which limit a request does not keep; it is an [ErrLimit].
type LimitError struct {
	What     string // "body", "delay", …
	Got      int64
	Min, Max int64
	Unit     string
}

func (l *LimitError) Error() string {
	return fmt.Sprintf("%s is %d %s: the limits are %d and %d %s; nothing was accepted", l.What, l.Got, l.Unit, l.Min, l.Max, l.Unit)
}

// Unwrap returns [ErrLimit].
func (l *LimitError) Unwrap() error { return ErrLimit }

// FaultError is a trouble with the database that a person has to hear of. The change
// that met it was not made.
type FaultError struct {
	Code string
	What string
	Path string
	Hint string
	Err  error // what was met; may be nil
}

// The codes of a [FaultError].
const (
	CodeBroken = "T0760" // the database is damaged
	CodeFull   = "T0761" // the disk is full
	CodeNewer  = "T0762" // the database was written by a newer Titrate
	CodeIO     = "T0763" // the disk does not read or write
)

// Error says what is wrong, where, what was met and what to type.
func (f *FaultError) Error() string {
	s := fmt.Sprintf("error[%s]: %s\n  where   %s", f.Code, f.What, f.Path)
	if f.Err != nil {
		s += "\n  saw     " + f.Err.Error()
	}
	return s + "\n  help    " + f.Hint
}

func (f *FaultError) Unwrap() error { return f.Err }

func broken(path string, err error) *FaultError {
	return &FaultError{
		Code: CodeBroken, Path: path, Err: err, What: "the database of queues is damaged; nothing was changed",
		Hint: fmt.Sprintf("restore a backup, or begin with empty queues: mv %s %s.damaged", path, path),
	}
}

// wrap turns a driver's error into a fault, by its typed code.
func (s *Store) wrap(doing string, err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
			return broken(s.path, err)
		case lib.SQLITE_FULL:
			return s.full(err)
		case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY:
			return &FaultError{
				Code: CodeIO, Path: s.path, Err: err, What: "the disk of the queues does not work; the event was not accepted",
				Hint: "look at the disk and its free space: df -h " + s.path,
			}
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return s.full(err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func (s *Store) full(err error) *FaultError {
	return &FaultError{
		Code: CodeFull, Path: s.path, Err: err, What: "the disk is full; the event was not accepted",
		Hint: "free some space on the disk of the queues: df -h " + s.path,
	}
}

// driver reports whether err comes from the database and not from a rule of ours.
func driver(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e)
}
