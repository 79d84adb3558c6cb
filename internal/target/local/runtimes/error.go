package runtimes

import "strings"

// Kind says which promise about a runtime or a handler is broken, for callers to branch on.
type Kind string

// The kinds, in the order in which a release meets them.
const (
	// UnknownRuntime is a name that Parse does not know.
	UnknownRuntime Kind = "unknown runtime"
	// InterpreterMissing is an interpreter that is not on PATH.
	InterpreterMissing Kind = "interpreter missing"
	// InterpreterBroken is an interpreter that is there and does not tell its version.
	InterpreterBroken Kind = "interpreter broken"
	// InterpreterTooOld is an interpreter older than the name asks for, or than the client is written for.
	InterpreterTooOld Kind = "interpreter too old"
	// HandlerMalformed is a handler's name that has not the form of its language.
	HandlerMalformed Kind = "handler malformed"
	// FileMissing is a handler's file, a file that it imports, or a bootstrap that is not there.
	FileMissing Kind = "file missing"
	// ExportMissing is a file without the function that the handler names.
	ExportMissing Kind = "export missing"
	// NotRunnable is a bootstrap that this machine cannot execute.
	NotRunnable Kind = "not runnable"
	// LoadFailed is a handler whose own code failed while it was loaded.
	LoadFailed Kind = "load failed"
	// LoadTimedOut is a handler that was not loaded within the deadline.
	LoadTimedOut Kind = "load timed out"
)

// Error is what is wrong with a runtime or a handler, in the words of a person who can mend it.
type Error struct {
	Kind    Kind
	Runtime string // the name as it was written
	What    string // what is wrong
	Where   string // the file, folder or command it concerns; may be empty
	Why     string // what was found; may be empty
	Next    string // what to do or type next
	Trace   []string
	Err     error // the cause, where one was an error of Go's
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.What)
	if e.Where != "" {
		b.WriteString(" (" + e.Where + ")")
	}
	if e.Why != "" {
		b.WriteString(": " + e.Why)
	}
	if e.Next != "" {
		b.WriteString("; " + e.Next)
	}
	return b.String()
}

// Unwrap returns the cause, so that errors.Is finds context.DeadlineExceeded and the like.
func (e *Error) Unwrap() error { return e.Err }
