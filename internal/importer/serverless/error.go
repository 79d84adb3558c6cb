package serverless

import "fmt"

// Error is why a project cannot be read: where, what is wrong there, and what to do.
type Error struct {
	File string
	Line int // 0: the file as a whole
	Why  string
	Hint string
}

// Error says it in one line.
func (e *Error) Error() string {
	at := e.File
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Hint == "" {
		return at + ": " + e.Why
	}
	return at + ": " + e.Why + "; " + e.Hint
}
