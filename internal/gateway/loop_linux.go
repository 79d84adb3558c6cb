package gateway

import (
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"titrate/internal/http1"
)

const (
	bufferBytes = 16 << 10  // of what is read ahead of a connection; a request must fit, or it is moved
	headBytes   = 256 << 10 // of the longest head of an answer
	turnReads   = 16        // of one connection before others have their turn
	mostEvents  = 256       // taken from the kernel at a time
	mostFree    = 256       // of what is kept for the next connection that needs it
	sweepEvery  = 200 * time.Millisecond
	calmAfter   = 2 * time.Millisecond // what it has readied may wait as long for another processor
)

// loop is one thread that serves plain HTTP/1.1 for as many connections as there are, by
// epoll(7), edge-triggered. All that belongs to one of its connections is touched by its
// thread alone; others leave what they have for it with post.
//
// Its thread waits in the kernel while nothing is to be done, and the runtime is told so only
// when nothing has come for calmAfter: until then the loop keeps its processor (one of those
// that Loops adds), which would otherwise be taken away and given back at every wait, by a
// monitor that would have no rest either. What the runtime wants of a thread that waits so,
// it says by a signal, and the wait ends.
type loop struct {
	g       *Gateway
	shard   int
	ep      int
	wake    int // an eventfd: something was posted
	now     time.Time
	events  [mostEvents]unix.EpollEvent
	socks   []*sock // by descriptor
	gen     int32
	free    [][]byte              // buffers of bufferBytes that nobody uses
	out     []byte                // scratch: a head that is being written
	date    []byte                // of responses that have none (RFC 9110, 6.6.1)
	dated   int64                 // the second that date tells
	idle    map[*instance][]*link // that wait for a request, the one used last standing last
	later   []func()              // what goes on when others have had their turn
	reqs    []*http1.Request      // that nobody uses
	hurried bool                  // connections on which nothing is under way are closed

	requests, answers http1.Limits // of their heads

	conns counter // of clients

	mu     sync.Mutex
	posted []func()
	woken  bool          // for what is posted
	left   atomic.Bool   // something is
	ended  chan struct{} // closed when run has returned
	stop   bool          // run is to return
	at     *sock         // whose event or turn it is
}

func newLoop(g *Gateway, shard int) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep) //nolint:errcheck // nothing was written
		return nil, err
	}
	l := &loop{g: g, shard: shard % shards, ep: ep, wake: wake, idle: map[*instance][]*link{}, ended: make(chan struct{})}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)}); err != nil {
		l.closeOwn()
		return nil, err
	}
	return l, nil
}

func (l *loop) closeOwn() {
	unix.Close(l.ep)   //nolint:errcheck // nothing was written
	unix.Close(l.wake) //nolint:errcheck // likewise
}

// post has do called by the loop's thread, soon. It may be called from anywhere; what is
// posted after the loop's end is never called.
func (l *loop) post(do func()) {
	l.mu.Lock()
	l.posted = append(l.posted, do)
	l.left.Store(true)
	first := !l.woken
	l.woken = true // in one with left: else what takes it in between leaves this set, and the next wakes nobody
	l.mu.Unlock()
	if first {
		one := [8]byte{1}
		_, _ = unix.Write(l.wake, one[:])
	}
}

// leave is post of what can wait until the loop has something else to do.
func (l *loop) leave(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posted = append(l.posted, do)
	l.left.Store(true)
}

// takePosted does what was posted.
func (l *loop) takePosted() {
	if !l.left.Load() {
		return
	}
	l.mu.Lock()
	todo := l.posted
	l.posted, l.woken = nil, false
	l.left.Store(false)
	l.mu.Unlock()
	for _, do := range todo {
		l.guarded(do)
	}
}

// run is the loop's life. It ends when stop has been set by something posted.
func (l *loop) run() {
	runtime.LockOSThread()
	defer close(l.ended)
	defer l.closeOwn()
	next := time.Now().Add(sweepEvery)
	for !l.stop {
		n := l.wait(next)
		l.now = time.Now()
		l.takePosted()
		for i := range n {
			l.guarded(func() { l.event(&l.events[i]) })
		}
		later := l.later
		l.later = nil
		for _, do := range later {
			l.guarded(do)
		}
		if !l.now.Before(next) {
			next = l.now.Add(sweepEvery)
			l.sweep()
		}
	}
}

// wait returns how many events have come: at once if there are any, else when one comes or
// the time has.
func (l *loop) wait(until time.Time) int {
	n := l.poll(0)
	if n == 0 && len(l.later) == 0 {
		n = l.poll(min(calmAfter, time.Until(until)))
	}
	if n == 0 && len(l.later) == 0 && !l.left.Load() {
		n = l.rest(time.Until(until))
	}
	return n
}

// guarded calls do. What is wrong with one connection must not end the others: it is told,
// and the connection that was at work is closed.
func (l *loop) guarded(do func()) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		l.g.log.Error("a connection was given up", slog.Any("fault", fault), slog.String("stack", string(debug.Stack())))
		if s := l.at; s != nil && !s.closed {
			s.holder.fault()
		}
	}()
	l.at = nil
	do()
}

// poll is epoll_pwait, of which the runtime is not told.
func (l *loop) poll(atMost time.Duration) int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), uintptr(unsafe.Pointer(&l.events)), mostEvents, millis(atMost), 0, 0)
	return came(n, e)
}

// rest is poll for a long wait: the processor is another's meanwhile.
func (l *loop) rest(atMost time.Duration) int {
	n, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), uintptr(unsafe.Pointer(&l.events)), mostEvents, millis(atMost), 0, 0)
	return came(n, e)
}

func millis(d time.Duration) uintptr { return uintptr(max(0, d.Milliseconds())) }

func came(n uintptr, e syscall.Errno) int {
	if e != 0 { // EINTR
		return 0
	}
	return int(n)
}

// event is one of a socket, or of the wake.
func (l *loop) event(ev *unix.EpollEvent) {
	if int(ev.Fd) == l.wake {
		var count [8]byte
		_, _ = unix.Read(l.wake, count[:])
		l.takePosted()
		return
	}
	if int(ev.Fd) >= len(l.socks) {
		return
	}
	s := l.socks[ev.Fd]
	if s == nil || s.gen != ev.Pad { // it was closed, and its number given to another
		return
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.readable = true
		s.ended = s.ended || ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		s.broken = s.broken || ev.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0
	}
	if ev.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.writable = true
	}
	l.at = s
	s.holder.ready()
}

// sweep looks at what is late.
func (l *loop) sweep() {
	for _, s := range l.socks {
		if s != nil {
			l.guarded(func() {
				l.at = s
				s.holder.tick()
			})
		}
	}
	l.tidy()
}

// holder is what a socket is to its loop.
type holder interface {
	ready() // it can be read or written, or has ended
	tick()  // from time to time
	fault() // something was wrong in one of these
}

// sock is one connection of a loop.
type sock struct {
	loop   *loop
	holder holder
	fd     int
	gen    int32

	readable, writable bool // until the kernel says no
	ended, broken      bool // the peer sends no more; … and takes no more
	closed             bool

	in       []byte // nil while nothing is there
	from, to int    // of in: what was read and not used
	out      []byte // what the peer has not taken yet
}

// adopt makes a socket of a descriptor, which is the loop's from then on.
func (l *loop) adopt(s *sock, fd int, of holder) error {
	l.gen++
	*s = sock{loop: l, holder: of, fd: fd, gen: l.gen, writable: s.writable}
	for fd >= len(l.socks) {
		l.socks = append(l.socks, make([]*sock, max(64, len(l.socks)))...)
	}
	l.socks[fd] = s
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd), Pad: l.gen}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		l.socks[fd] = nil
		return err
	}
	l.g.looped.Add(1)
	return nil
}

// read reads what there is room for: n bytes have come; 0 and more: none have yet, or there
// is no room; 0 and not: the peer sends no more, or the connection is broken.
func (s *sock) read() (n int, more bool) {
	if !s.readable {
		return 0, true
	}
	if s.in == nil {
		s.in = s.loop.buffer()
	}
	if s.from == s.to {
		s.from, s.to = 0, 0
	}
	if s.to == len(s.in) {
		if s.from == 0 {
			return 0, true
		}
		copy(s.in, s.in[s.from:s.to])
		s.from, s.to = 0, s.to-s.from
	}
	for {
		got, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(&s.in[s.to])), uintptr(len(s.in)-s.to))
		switch {
		case e == unix.EINTR:
		case e == unix.EAGAIN:
			s.readable = false
			return 0, true
		case e != 0:
			s.broken = true
			return 0, false
		case got == 0:
			s.ended = true
			return 0, false
		default:
			// Less than was asked for is all there is, unless the end is behind it.
			s.readable = int(got) == len(s.in)-s.to || s.ended
			s.to += int(got)
			return int(got), true
		}
	}
}

// full reports whether no more can be read before something is used.
func (s *sock) full() bool { return s.in != nil && s.from == 0 && s.to == len(s.in) }

// grow makes room for more than a buffer holds, at most so much.
func (s *sock) grow(most int) bool {
	if 2*len(s.in) > most {
		return false
	}
	in := make([]byte, 2*len(s.in))
	n := copy(in, s.in[s.from:s.to])
	s.giveBuffer()
	s.in, s.to = in, n
	return true
}

// unread is what was read and not used.
func (s *sock) unread() []byte {
	if s.in == nil {
		return nil
	}
	return s.in[s.from:s.to]
}

// rest gives the buffer back where nothing is in it.
func (s *sock) rest() {
	if s.from == s.to {
		s.giveBuffer()
	}
}

// giveBuffer lets another connection have the buffer.
func (s *sock) giveBuffer() {
	if len(s.in) == bufferBytes && len(s.loop.free) < mostFree {
		s.loop.free = append(s.loop.free, s.in)
	}
	s.in, s.from, s.to = nil, 0, 0
}

func (l *loop) buffer() []byte {
	if n := len(l.free); n > 0 {
		b := l.free[n-1]
		l.free = l.free[:n-1]
		return b
	}
	return make([]byte, bufferBytes)
}

// write sends b after what is still to be sent, and keeps a copy of what the peer does not
// take now. It reports whether the connection is whole.
func (s *sock) write(b []byte) bool {
	if len(s.out) > 0 {
		s.out = append(s.out, b...)
		return s.flush()
	}
	n, ok := s.send(b)
	if n < len(b) {
		s.out = append(s.out[:0], b[n:]...)
	}
	return ok
}

// flush sends what is still to be sent.
func (s *sock) flush() bool {
	if len(s.out) == 0 {
		return true
	}
	n, ok := s.send(s.out)
	if n == len(s.out) {
		s.out = nil
	} else {
		s.out = s.out[n:]
	}
	return ok
}

func (s *sock) send(b []byte) (n int, ok bool) {
	for n < len(b) && s.writable {
		put, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&b[n])), uintptr(len(b)-n), unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case e == unix.EINTR:
		case e == unix.EAGAIN:
			s.writable = false
		case e != 0:
			s.broken = true
			return n, false
		default:
			n += int(put)
		}
	}
	return n, true
}

// forget takes the descriptor out of the loop; it is the caller's then.
func (s *sock) forget() int {
	s.closed = true
	s.loop.g.looped.Add(-1)
	s.loop.socks[s.fd] = nil
	s.giveBuffer()
	s.out = nil
	return s.fd
}

// close ends the connection.
func (s *sock) close() {
	if !s.closed {
		unix.Close(s.forget()) //nolint:errcheck // nothing can be done about it
	}
}
