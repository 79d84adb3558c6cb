package pipeline

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// limitError turns a limit that a step has passed into the error that says so;
// nil when it was none. A step that runs no program has no log.
func limitError(w Workload, name string, log *stepLog, end outcome, err error) *BuildError {
	e := fault(w, CodeLimit, name, end.Stopped, "")
	if log != nil {
		e.Exit, e.Log, e.Tail = end.Exit, log.path, log.tail()
	}
	switch {
	case errors.Is(err, errNoSpace):
		e.Code, e.Saw, e.Help = CodeNoSpace, "less than 256 MiB are free on the disk of the data folder", "free some room, then push again: df -h"
	case errors.Is(err, errTime):
		e.Saw, e.Help = "it was not done in time (the limit is 10 minutes unless it was set)", "make the build quicker, or commit what takes long to make"
	case errors.Is(err, errOutput):
		e.Saw, e.Help = "it printed more than is kept", "make the build print less"
	case errors.Is(err, errDisk):
		e.Saw, e.Help = "it wrote more than a build may", "make the build leave less behind"
	case err == nil && end.Stopped != "":
		e.Help = "look for what starts processes without end"
	default:
		return nil
	}
	return e
}

func isLimit(err error) bool {
	var e *BuildError
	return errors.As(err, &e) && (e.Code == CodeLimit || e.Code == CodeNoSpace)
}

// notOurs drops an error that limitError has told already.
func notOurs(err error) error {
	for _, limit := range []error{errNoSpace, errTime, errOutput, errDisk} {
		if errors.Is(err, limit) {
			return nil
		}
	}
	return err
}

// nameFault gives each workload an error of its own, for one that hit several.
func nameFault(err error, w Workload) error {
	var e *BuildError
	if !errors.As(err, &e) {
		return err
	}
	own := *e
	own.Workload, own.Where = w.Name, where(w)
	return &own
}

// copyEntry copies a file, or a link as what it leads to.
func copyEntry(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
