package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"

	"titrate/client"
)

// The exit codes; docs/reference/exit-codes.md is the page about them.
const (
	exitDone      = 0
	exitFailed    = 1   // the tool or the server failed
	exitUsage     = 2   // used wrongly, or an invalid manifest
	exitRefused   = 3   // taken back: by an alarm or a failure, or by a person; or a function failed its call
	exitSignIn    = 4   // no credential, or a wrong one
	exitWaiting   = 5   // waits for a person
	exitBuild     = 6   // a build or hook failed, or nothing became ready: no traffic moved
	exitPolicy    = 7   // a policy stopped it: overlap, loop guard
	exitTimeout   = 8   // --timeout passed; the rollout goes on
	exitUnhealthy = 9   // unhealthy, and no version to go back to
	exitDiffers   = 10  // differences found
	exitInterrupt = 130 // Ctrl-C
)

// exitError carries an exit code. Without an error it is silent: all has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exit(code int) error { return &exitError{code: code} }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func exitCode(ctx context.Context, err error) int {
	var e *exitError
	var p *client.Problem
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return e.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupt
	case errors.As(err, &p):
		return problemCode(p)
	}
	return exitFailed
}

func problemCode(p *client.Problem) int {
	switch p.Status {
	case http.StatusUnauthorized:
		return exitSignIn
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		return exitUsage
	case http.StatusConflict, http.StatusForbidden:
		return exitPolicy
	}
	return exitFailed
}

// complain writes an error to stderr: a sentence, or where JSON was asked for an
// object. Where the call names a data folder, so does what is to be typed next.
func (s *session) complain(err error, asJSON bool) {
	text := s.typed(sentence(err))
	if !asJSON {
		fmt.Fprintln(s.Err, text)
		return
	}
	m := codedForm.FindStringSubmatch(text)
	p := struct {
		Code    string `json:"code,omitempty"`
		Message string `json:"message"`
		Help    string `json:"help,omitempty"`
	}{Code: m[1]}
	helps := false // the line before was help: what is indented further goes on with it
	for line := range strings.Lines(m[2]) {
		help, ok := strings.CutPrefix(line, "  help    ")
		if !ok && helps {
			help, ok = strings.CutPrefix(line, "          ")
		}
		if helps = ok; ok {
			p.Help += help
		} else {
			p.Message += line
		}
	}
	p.Message, p.Help = strings.TrimRight(p.Message, "\n"), strings.TrimRight(p.Help, "\n")
	_ = json.NewEncoder(s.Err).Encode(p) // nobody is left to tell
}

// codedForm takes the code off an error's sentence.
var codedForm = regexp.MustCompile(`(?s)^error(?:\[(T\d{4})\])?: (.*)$`)

// commandForm finds this program's commands in what is to be typed.
var commandForm = regexp.MustCompile(`\btitrate (up|down|init|deploy|status|logs|diff|history|rollback|(rollout|secret|accessory|certificate|token|fn|queue) [a-z-]+|version)\b( --data)?`)

// typed names the data folder that the call names in every command to type: without
// it, the next call would mean another server.
func (s *session) typed(text string) string {
	if s.data == "" {
		return text
	}
	word := s.data
	if !plainWord.MatchString(word) {
		word = quote(word)
	}
	return commandForm.ReplaceAllStringFunc(text, func(command string) string {
		if strings.HasSuffix(command, " --data") { // the keeper has said it, who was told the folder
			return command
		}
		return command + " --data " + word
	})
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

// sentence writes an error for a person: what, and what to type next.
func sentence(err error) string {
	text := err.Error()
	var p *client.Problem
	if errors.As(err, &p) {
		text = p.Error()
		if p.Code != "" && !strings.Contains(text, p.Code) {
			text = "error[" + p.Code + "]: " + text
		}
		if p.Status == http.StatusUnauthorized {
			text += "\n  help    TITRATE_TOKEN, or run titrate as the user who ran titrate up"
		}
	}
	if errors.Is(err, client.ErrSilent) {
		text += "\n  help    it may fail to start: read logs/titrate.log in its data folder; traffic flows on without it"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" && !strings.HasPrefix(text, "error[") {
		text += "\n  help    titrate up starts a server on this machine; --server URL names another"
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) && !strings.HasPrefix(text, "error[") {
		text = "error[T0724]: " + text + "\n  help    titrate explain T0724; titrate login URL --ca FILE names a CA of your own"
	}
	if strings.HasPrefix(text, "error") {
		return text
	}
	return "error: " + text
}
