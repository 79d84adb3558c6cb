package local

import (
	"bytes"
	"sync"
	"time"
)

// openAfter is how long a call may be at work before the log says so though the function
// has written nothing.
const openAfter = time.Second

// callLines puts Lambda's lines about an invocation into the log of the function where
// they belong: START before the first that the function writes in it, or when it has been
// at work for a while, and END and REPORT behind the last, so that the log of a process
// that runs, or was killed, reads in order. A call that writes nothing, goes well and is
// soon over has none: its lines would drive out those that say something.
type callLines struct {
	write func(lines ...string)

	mu      sync.Mutex
	pending string // the START that was not written
	begun   *time.Timer
}

// begin says that a call has begun, and with what it opens.
func (c *callLines) begin(start string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.begun = start, time.AfterFunc(openAfter, c.open)
}

// open writes the START of the call at work, once.
func (c *callLines) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != "" {
		c.write(c.pending) // with the lock: what the function wrote comes after it
		c.pending = ""
	}
}

// end says that the call is over, and writes with what it closes: where it was opened, or
// must be told of.
func (c *callLines) end(told bool, lines ...string) {
	if told {
		c.open()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun != nil {
		c.begun.Stop()
	}
	if c.pending == "" && len(lines) > 0 {
		c.write(lines...)
	}
	c.pending, c.begun = "", nil
}

// lines are texts as lines of a log.
func (r *redactor) lines(texts []string) [][]byte {
	var out [][]byte
	for _, l := range texts {
		out = append(out, r.clean(bytes.ReplaceAll([]byte(l), []byte("\n"), []byte(" "))))
	}
	return out
}
