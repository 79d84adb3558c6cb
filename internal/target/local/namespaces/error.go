package namespaces

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Error says what this machine lacks for running images without a container engine.
type Error struct {
	Saw  string // what it refuses, one line
	Help string // what to type
	err  error
}

// Error is what was seen, and what to do about it.
func (e *Error) Error() string { return "error[T0560]: " + e.Saw + "; " + e.Help }

// Unwrap is what the machine answered.
func (e *Error) Unwrap() error { return e.err }

// cannot explains an error of the machine. What it was asked for is in the infinitive.
func cannot(what string, err error) error {
	saw := fmt.Sprintf("this machine does not let us %s: %v", what, err)
	if help := AppArmor(); help != "" {
		return &Error{Saw: fmt.Sprintf("%s (%s is 1)", saw, appArmorKnob), Help: help, err: err}
	}
	for _, k := range knobs {
		if v, ok := k.read(); ok && k.closed(v) {
			return &Error{Saw: fmt.Sprintf("%s (%s is %s)", saw, k.name, v), Help: k.help, err: err}
		}
	}
	return &Error{Saw: saw, Help: help(err), err: err}
}

func help(err error) string {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS) {
		return "sysctl user shows how many namespaces a user may have: raise the one that is used up"
	}
	return "in a container start it with --privileged; or install an engine: apt install podman"
}

// knob is a setting of the kernel that keeps users from making namespaces.
type knob struct {
	name   string
	closed func(string) bool
	help   string
}

func is(want string) func(string) bool { return func(v string) bool { return v == want } }

var knobs = []knob{
	{"user.max_user_namespaces", is("0"), "sudo sysctl -w user.max_user_namespaces=15000"},
	{"kernel.unprivileged_userns_clone", func(v string) bool { return v == "0" && os.Geteuid() != 0 }, "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
}

func (k knob) read() (string, bool) {
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(k.name, ".", "/"))
	return strings.TrimSpace(string(b)), err == nil
}
