package runtimeapi

import (
	"net/http"
	"sync"
	"time"
)

// Config is what an environment is made with.
type Config struct {
	Function Function
	Clock    func() time.Time // default time.Now
	// NewID makes the identifiers of extensions; it must be set where there may be any.
	NewID func() string
}

// Environment is one execution environment: one process of one version of a function,
// which works on one invocation at a time. Its methods may be called from any
// goroutine. It is an http.Handler, to be served at an address of its own that the
// process is given as AWS_LAMBDA_RUNTIME_API.
type Environment struct {
	cfg Config
	mux *http.ServeMux

	mu         sync.Mutex
	changed    chan struct{} // closed with the next change of what stands below; nil: nobody waits for one
	after      []func()      // to be called when the lock is given back
	call       *call         // under way; nil: idle
	due        *call         // begins when all is quiet; nil: none does
	polling    bool          // the runtime waits for work
	waits      *conn         // on this connection; nil: on one of net/http
	shut       bool          // nobody serves connections any more
	extensions map[string]*extension
	ready      bool  // it was quiet once
	gone       error // why there will be no work any more; nil: there may be
	leaving    bool  // it ends in peace: who waits for work is left waiting
}

// New makes an environment whose process is about to start.
func New(cfg Config) *Environment {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	e := &Environment{cfg: cfg, mux: http.NewServeMux(), extensions: map[string]*extension{}}
	e.mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.next)
	e.mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", e.respond)
	e.mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", e.fail)
	e.mux.HandleFunc("POST /2018-06-01/runtime/init/error", e.failInit)
	e.mux.HandleFunc("POST /2020-01-01/extension/register", e.register)
	e.mux.HandleFunc("GET /2020-01-01/extension/event/next", e.nextEvent)
	e.mux.HandleFunc("POST /2020-01-01/extension/init/error", e.failExtension)
	e.mux.HandleFunc("POST /2020-01-01/extension/exit/error", e.failExtension)
	return e
}

// ServeHTTP answers the runtime and its extensions.
func (e *Environment) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.mux.ServeHTTP(w, r) }

// change runs do with the lock, does what follows from it, and wakes whoever waits.
func (e *Environment) change(do func()) {
	e.mu.Lock()
	do()
	e.follow()
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
	after := e.after
	e.after = nil
	e.mu.Unlock()
	for _, do := range after {
		do()
	}
}

// follow has the call that is due begin, and the runtime that waits hear of it. The lock is
// held.
func (e *Environment) follow() {
	if e.quiet() {
		e.ready = true
		if e.due != nil {
			e.call, e.due = e.due, nil
			e.tell(invoked(e.call))
		}
	}
	if e.due != nil && e.gone != nil {
		e.ends(e.due, result{failure: ErrGone})
		e.due = nil
	}
	e.serveWaiting()
}

// ends has who waits for a call hear how it ended. The lock is held.
func (e *Environment) ends(c *call, r result) {
	e.after = append(e.after, func() { c.done(r) })
}

// quiet reports whether the runtime and all of its extensions wait for work.
func (e *Environment) quiet() bool {
	if !e.polling || e.call != nil || e.gone != nil {
		return false
	}
	for _, x := range e.extensions {
		if !x.polling || len(x.events) > 0 {
			return false
		}
	}
	return true
}

// await blocks until so says so, with the lock held, or the channel is closed; it
// reports which.
func (e *Environment) await(done <-chan struct{}, so func() bool) bool {
	for {
		e.mu.Lock()
		ok := so()
		if !ok && e.changed == nil {
			e.changed = make(chan struct{})
		}
		changed := e.changed
		e.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

// Ready waits until the process has asked for work for the first time. The error is a
// [*InvocationError] where it said, or the supervisor did, that it never will.
func (e *Environment) Ready(done <-chan struct{}) error {
	if !e.await(done, func() bool { return e.ready || e.gone != nil }) {
		return ErrGone
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ready {
		return nil
	}
	return e.gone
}

// Exited says that the process has ended, and how. The invocation that it had fails of
// it; every later one is refused with [ErrGone].
func (e *Environment) Exited(f *InvocationError) { e.end(f) }

// end lets nothing more in, and ends what is under way. The first reason stays.
func (e *Environment) end(f *InvocationError) { e.endOf(nil, f) }

// endOf is end as long as a call is under way; nil: whatever is.
func (e *Environment) endOf(only *call, f *InvocationError) {
	e.change(func() {
		if only != nil && e.call != only {
			return
		}
		if e.gone == nil {
			e.gone = f
		}
		c := e.call
		if c == nil {
			return
		}
		e.call = nil
		if c.delivered {
			e.ends(c, result{failure: f})
		} else {
			e.ends(c, result{failure: ErrGone})
		}
	})
}
