package runtimeapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Class is what an invocation failed of: what alarms count apart.
type Class string

// The classes.
const (
	Unhandled Class = "unhandled" // the function said so: an exception, or an error that it returned
	Timeout   Class = "timeout"   // it was not done in its time
	Memory    Class = "memory"    // it was ended for using more memory than it may
	Exit      Class = "exit"      // its process ended
	Init      Class = "init"      // it never came to ask for work
	TooLarge  Class = "too-large" // its response was larger than may be
)

// InvocationError is how an invocation failed. What a caller of Lambda is shown is Payload.
type InvocationError struct {
	Class   Class
	Type    string // as AWS names it: Runtime.ExitError, Sandbox.Timeout, TypeError …
	Message string // one sentence, or what the function said
	Payload []byte // JSON: {"errorMessage", "errorType", …}
}

// Error says what failed.
func (f *InvocationError) Error() string { return f.Type + ": " + f.Message }

// failure makes one whose payload says what it is itself.
func failure(class Class, kind, message string) *InvocationError {
	payload, err := json.Marshal(reported{Message: message, Type: kind})
	if err != nil {
		payload = []byte(`{}`) // two strings cannot fail
	}
	return &InvocationError{Class: class, Type: kind, Message: message, Payload: payload}
}

// TimedOut is the failure of an invocation that was not done after so long.
func TimedOut(after time.Duration) *InvocationError {
	return failure(Timeout, "Sandbox.Timeout", fmt.Sprintf("Task timed out after %.2f seconds", after.Seconds()))
}

// OutOfMemory is the failure of a process that was ended for its memory.
func OutOfMemory(limit string) *InvocationError {
	return failure(Memory, "Runtime.OutOfMemory", "Runtime was killed: it used more memory than its limit of "+limit)
}

// Ended is the failure of a process that ended: how is "exit status 1" or
// "signal: segmentation fault".
func Ended(how string) *InvocationError {
	return failure(Exit, "Runtime.ExitError", "Runtime exited with error: "+how)
}

// ExtensionEnded is the failure of an environment whose extension ended before it.
func ExtensionEnded(name, how string) *InvocationError {
	return failure(Exit, "Extension.Crash", "the extension "+name+" ended before the function: "+how)
}

// NotStarted is the failure of an invocation whose process never came to ask for work.
func NotStarted(kind, message string) *InvocationError { return failure(Init, kind, message) }

// reported is what a runtime says of an error.
type reported struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

// told is the failure that a runtime reports: the type is that of the header, or of the
// body where there is none. What does not say what it is, is told as it is.
func told(class Class, header string, body []byte) *InvocationError {
	const unknown = "Runtime.Unknown"
	var r reported
	if err := json.Unmarshal(body, &r); err != nil || r.Message == "" && r.Type == "" {
		return failure(class, cmp.Or(header, unknown), string(body))
	}
	kind := cmp.Or(header, r.Type, unknown)
	if r.Type == "" {
		return failure(class, kind, r.Message)
	}
	return &InvocationError{Class: class, Type: kind, Message: r.Message, Payload: body}
}

// The errors of [Environment.Invoke] that are no failures of the function: none of them
// has reached it.
var (
	ErrBusy    = errors.New("the environment is at work")
	ErrGone    = errors.New("the environment has ended")
	ErrPayload = errors.New("the event is larger than 6 MiB")
)
