package runtimeapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// The events of extensions.
const (
	eventInvoke   = "INVOKE"
	eventShutdown = "SHUTDOWN"
)

// maxExtensions is how many an environment may have ("Lambda quotas").
const maxExtensions = 10

// extension is a process beside the runtime that hears of invocations.
type extension struct {
	name    string
	asked   []string // events
	events  []event
	polling bool
}

// event is what an extension hears.
type event struct {
	Type     string `json:"eventType"`
	Deadline int64  `json:"deadlineMs"`
	Request  string `json:"requestId,omitempty"`
	ARN      string `json:"invokedFunctionArn,omitempty"`
	Tracing  *trace `json:"tracing,omitempty"`
	Reason   string `json:"shutdownReason,omitempty"`
}

type trace struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// invoked is the event of a call.
func invoked(c *call) event {
	ev := event{Type: eventInvoke, Deadline: c.Deadline.UnixMilli(), Request: c.ID, ARN: c.ARN}
	if c.TraceID != "" {
		ev.Tracing = &trace{Type: "X-Amzn-Trace-Id", Value: c.TraceID}
	}
	return ev
}

// tell lets the extensions hear that asked for it, and returns how many these are. The
// lock is held.
func (e *Environment) tell(ev event) (told int) {
	for _, x := range e.extensions {
		if slices.Contains(x.asked, ev.Type) {
			x.events = append(x.events, ev)
			told++
		}
	}
	return told
}

// Shutdown tells the extensions that the environment ends: reason is "spindown",
// "timeout" or "failure". Signals to the processes are the supervisor's. No invocation
// begins after it. The runtime is left waiting for one, as Lambda leaves it: it would
// take a refusal for a failure, and end before it is asked to.
//
// It returns how many hear of it: the others need not be waited for.
func (e *Environment) Shutdown(reason string, by time.Time) (told int) {
	e.change(func() {
		told = e.tell(event{Type: eventShutdown, Deadline: by.UnixMilli(), Reason: reason})
		if e.gone == nil {
			e.gone, e.leaving = ErrGone, true
		}
	})
	return told
}

// Extensions is how many have registered.
func (e *Environment) Extensions() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.extensions)
}

// Registered waits until extensions of these names have registered, or the channel is
// closed: then missing is one that has not. The error is a [*InvocationError] where one has
// ended or failed meanwhile.
func (e *Environment) Registered(names []string, done <-chan struct{}) (missing string, err error) {
	look := func() bool {
		missing = ""
		for _, name := range names {
			if !e.registered(name) {
				missing = name
			}
		}
		return missing == "" || e.gone != nil
	}
	e.await(done, look)
	e.mu.Lock()
	defer e.mu.Unlock()
	if look(); missing == "" {
		return "", nil
	}
	return missing, e.gone
}

// registered reports whether an extension of that name has. The lock is held.
func (e *Environment) registered(name string) bool {
	for _, x := range e.extensions {
		if x.name == name {
			return true
		}
	}
	return false
}

const (
	headerName = "Lambda-Extension-Name"
	headerID   = "Lambda-Extension-Identifier"
)

// register takes an extension in, before the runtime asks for work.
func (e *Environment) register(w http.ResponseWriter, r *http.Request) {
	name := r.Header.Get(headerName)
	if name == "" || e.cfg.NewID == nil {
		refuse(w, http.StatusBadRequest, "Extension.InvalidExtensionName", "the header "+headerName+" is missing")
		return
	}
	body, whole, err := read(r.Body, 64<<10)
	var asked struct {
		Events []string `json:"events"`
	}
	if err != nil || !whole || len(body) > 0 && json.Unmarshal(body, &asked) != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestFormat", "the body is no {\"events\": […]}")
		return
	}
	for _, ev := range asked.Events {
		if ev != eventInvoke && ev != eventShutdown {
			refuse(w, http.StatusBadRequest, "Extension.InvalidEventType", "there is no event "+ev)
			return
		}
	}
	id, why := e.cfg.NewID(), ""
	e.change(func() {
		switch {
		case e.ready:
			why = "extensions register before the runtime has asked for work"
		case len(e.extensions) >= maxExtensions:
			why = "ten extensions have registered already"
		default:
			e.extensions[id] = &extension{name: name, asked: asked.Events}
		}
	})
	if why != "" {
		refuse(w, http.StatusForbidden, "Extension.RegistrationFailed", why)
		return
	}
	w.Header().Set(headerID, id)
	reply(w, http.StatusOK, map[string]string{"functionName": e.cfg.Function.Name, "functionVersion": e.cfg.Function.Version, "handler": e.cfg.Function.Handler})
}

// nextEvent gives an extension its next event, when there is one.
func (e *Environment) nextEvent(w http.ResponseWriter, r *http.Request) {
	var x *extension
	known, refused := false, false
	e.change(func() {
		if x, known = e.extensions[r.Header.Get(headerID)]; known {
			refused = x.polling
			x.polling = true
		}
	})
	switch {
	case !known:
		refuse(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "no extension has registered with this identifier")
		return
	case refused:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the extension waits for an event already")
		return
	}
	came := e.await(r.Context().Done(), func() bool { return len(x.events) > 0 })
	var ev event
	e.change(func() {
		x.polling = false
		if came {
			ev, x.events = x.events[0], x.events[1:]
		}
	})
	if came {
		w.Header().Set("Lambda-Extension-Event-Identifier", ev.Request)
		reply(w, http.StatusOK, ev)
	}
}

// failExtension ends an environment whose extension cannot go on.
func (e *Environment) failExtension(w http.ResponseWriter, r *http.Request) {
	name, known := "", false
	e.change(func() {
		var x *extension
		if x, known = e.extensions[r.Header.Get(headerID)]; known {
			name = x.name
		}
	})
	if !known {
		refuse(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "no extension has registered with this identifier")
		return
	}
	body, _, err := read(r.Body, 64<<10)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestFormat", "the error broke off")
		return
	}
	f := told(Exit, r.Header.Get("Lambda-Extension-Function-Error-Type"), body)
	f.Message = "the extension " + name + " failed: " + f.Message
	e.end(f)
	accept(w)
}
