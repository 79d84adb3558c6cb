package within

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
)

// Line is the side outside: what holds a first process. It is a [shim.Network], and its
// methods are safe for many goroutines.
type Line struct {
	wire    wire
	replies chan answer   // closed when the other side is gone
	gone    chan struct{} // the same
	end     *End          // valid then; nil: it did not say

	asking sync.Mutex // one request at a time
}

var _ shim.Network = (*Line)(nil)

// answer is a reply with what came along.
type answer struct {
	reply
	fds []int
}

// NewLine takes f over, the end of a connection of packets whose other end the first
// process has.
func NewLine(f *os.File) (*Line, error) {
	w, err := newWire(f)
	if err != nil {
		return nil, err
	}
	l := &Line{wire: w, replies: make(chan answer), gone: make(chan struct{})}
	go l.listen()
	return l, nil
}

// listen takes what the other side says, until it is gone.
func (l *Line) listen() {
	defer l.wire.conn.Close() //nolint:errcheck // the other side is gone
	defer close(l.gone)
	defer close(l.replies)
	for {
		var a answer
		var err error
		if a.fds, err = l.wire.receive(&a.reply); err != nil {
			return
		}
		if a.End != nil {
			l.end = a.End
			continue
		}
		l.replies <- a
	}
}

// ErrGone says that the first process has ended.
var ErrGone = errors.New("the first process within has ended")

// answer waits for a reply. What comes along is the caller's.
func (l *Line) answer() (answer, error) {
	a, ok := <-l.replies
	switch {
	case !ok:
		return a, ErrGone
	case a.Error != "" && a.Errno != 0:
		return a, &innerError{a.Error, a.Errno}
	case a.Error != "":
		return a, errors.New(a.Error)
	}
	return a, nil
}

// ask sends a request and waits for its reply.
func (l *Line) ask(r request, fds ...int) (answer, error) {
	l.asking.Lock()
	defer l.asking.Unlock()
	if err := l.wire.send(r, fds...); err != nil {
		return answer{}, ErrGone
	}
	return l.answer()
}

// innerError is an error of the other side.
type innerError struct {
	text  string
	errno unix.Errno
}

func (e *innerError) Error() string { return e.text }
func (e *innerError) Unwrap() error { return e.errno }

// Ready waits until all is there for the program, and says why if it will not be. It
// is called once, before anything else.
func (l *Line) Ready() error {
	_, err := l.answer()
	return err
}

// Keep gives the program its outputs, which are this process's own, and what else it
// is to keep open as long as any of it lives, such as locks.
func (l *Line) Keep(files []*os.File) error {
	fds := []int{0, 1, 2}
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	_, err := l.ask(request{Keep: true}, fds...)
	return err
}

// Start starts the program. What is within is ended when it has more than memory bytes in
// memory, as a look once a second finds; 0: nobody looks.
func (l *Line) Start(memory int64) error {
	_, err := l.ask(request{Start: true, Memory: memory})
	return err
}

// Signal sends a signal to the program; SIGKILL ends all that is within.
func (l *Line) Signal(sig unix.Signal) {
	if sig == unix.SIGKILL {
		l.Hang()
		return
	}
	_, _ = l.ask(request{Signal: sig}) // of a program that has ended there is nothing to tell
}

// Hang ends the line, and with it all that is within.
func (l *Line) Hang() { _ = l.wire.conn.CloseWrite() }

// Gone is closed when the first process is gone.
func (l *Line) Gone() <-chan struct{} { return l.gone }

// End returns how the program ended, when the first process is gone; nil: it did not say.
func (l *Line) End() *End {
	<-l.gone
	return l.end
}

// PID returns the number of the first process, in this process's view, where it has
// connected by itself; 0: it cannot be seen from here.
func (l *Line) PID() (int, error) {
	raw, err := l.wire.conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("look at the first process: %w", err)
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) { cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, fmt.Errorf("look at the first process: %w", err)
	}
	if cerr != nil {
		return 0, fmt.Errorf("look at the first process: %w", cerr)
	}
	return int(cred.Pid), nil
}
