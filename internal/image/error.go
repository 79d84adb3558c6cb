package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Kind says what is wrong with an image.
type Kind string

// The kinds.
const (
	NotFound      Kind = "not-found"      // no such image or tag, or not for who asks
	Refused       Kind = "refused"        // the registry wants a login, or another one
	Busy          Kind = "busy"           // the registry takes no more requests now
	Unreachable   Kind = "unreachable"    // the registry does not answer, or went away
	WrongPlatform Kind = "wrong-platform" // it is for other machines
	TooLarge      Kind = "too-large"      // larger than what may be written
	Malformed     Kind = "malformed"      // what is in it cannot be unpacked
)

// Error says why an image cannot be had: nothing of it stays.
type Error struct {
	Kind Kind
	Saw  string // what happened, one line
	Help string // what to type or write next
	err  error
}

// Error is what was seen.
func (e *Error) Error() string { return e.Saw }

// Unwrap is what lies below.
func (e *Error) Unwrap() error { return e.err }

// cause keeps the innermost text of an error about files.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// explained turns what a registry or the disk answered into an [Error]. What ended
// because ctx did stays what it is.
func explained(ref string, err error) error {
	var known *Error
	var answer *transport.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return noSpace(err)
	case strings.HasPrefix(ref, "oci:"), strings.HasPrefix(ref, "tar:"):
		return &Error{Kind: Malformed, Saw: "the image cannot be read: " + err.Error(), Help: "make it anew and commit it whole", err: err}
	case !errors.As(err, &answer):
		return &Error{Kind: Unreachable, Saw: "the registry did not answer, or went away: " + err.Error(), Help: "push again when it is back; what was pulled whole is not pulled again", err: err}
	}
	say := func(k Kind, saw, help string) error {
		return &Error{Kind: k, Saw: fmt.Sprintf("%s (the registry answered %d)", saw, answer.StatusCode), Help: help, err: err}
	}
	const add = "add the registry to registries: in titrate.yaml, with the secret that holds the password"
	switch answer.StatusCode {
	case http.StatusNotFound:
		return say(NotFound, "there is no image "+ref, "look its name and tag up; if it is private, "+add)
	case http.StatusUnauthorized, http.StatusForbidden:
		return say(Refused, "the registry does not let us pull "+ref, add+", or set the secret anew: titrate secret set")
	case http.StatusTooManyRequests:
		return say(Busy, "the registry takes no more pulls for now", "push again later; "+add+": most give more to who is known")
	default:
		return say(Unreachable, "the registry failed", "push again when it is well")
	}
}

func noSpace(err error) error {
	return &Error{Kind: TooLarge, Saw: "the image is larger than what is free on the disk of the data folder", Help: "free some room, then push again: df -h", err: err}
}
