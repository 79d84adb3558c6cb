package controller

import (
	"errors"
	"fmt"

	"titrate/internal/rollout"
)

// Problem is an error for the person who asked: something cannot be done, and
// here is why and what to do instead. Every other error is Titrate's own.
type Problem struct { //nolint:errname // a problem is what people are shown, on the wire too (RFC 9457)
	Kind    ProblemKind
	Message string
	Hint    string // what to type next; may be empty
}

func (p *Problem) Error() string { return p.Message }

// ProblemKind says what sort of problem it is, for those who must branch.
type ProblemKind string

// The kinds of problem.
const (
	NotFound    ProblemKind = "not-found"   // no such app, rollout, release or version
	Conflict    ProblemKind = "conflict"    // cannot be done as things stand now
	Invalid     ProblemKind = "invalid"     // cannot be done at all
	Rejected    ProblemKind = "rejected"    // a rollout is in progress and `overlap: reject` was written (R3)
	BuildFailed ProblemKind = "build"       // the pushed code could not be built
	Unavailable ProblemKind = "unavailable" // not now, through no fault of the caller
)

func problem(kind ProblemKind, hint, format string, args ...any) *Problem {
	return &Problem{Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// unknown turns a store's ErrUnknown into a problem, and leaves other errors.
func unknown(err error, hint, format string, args ...any) error {
	if errors.Is(err, rollout.ErrUnknown) {
		return problem(NotFound, hint, format, args...)
	}
	return err
}
