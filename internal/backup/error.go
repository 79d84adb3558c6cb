package backup

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Error says what is wrong, where, and what to type.
type Error struct{ Code, Saw, Where, Help string }

// Error is all of it.
func (e *Error) Error() string {
	return fmt.Sprintf("error[%s]: %s\n  where   %s\n  help    %s", e.Code, e.Saw, e.Where, e.Help)
}

// full explains a disk that has no room.
func full(where string, err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return &Error{Code: "T0731", Saw: "no space is left on the disk", Where: where, Help: "free some room (df -h), or name a file on another disk; nothing of this one stays"}
	}
	return err
}

// cause keeps the innermost text of an error about files.
func cause(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
