package local

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	longestLine = 64 << 10
	// pipeSize is what a workload can write while no supervisor reads. Not the
	// largest that there is: a user who is not root has 64 MiB for all pipes.
	pipeSize  = 256 << 10
	tailLines = 20
	keptLines = 40
	// drainMost ends a drain of an output that is written faster than it is read.
	drainMost = 4 << 20
)

var streamNames = [2]string{"stdout", "stderr"}

// outputs carries what one process writes from its FIFOs to a log. The process
// holds its ends open for reading too, so that the death of the reader neither
// breaks nor empties them. Nil is of a process of which nothing is read.
type outputs struct {
	dir     string
	streams [2]*stream
	readers sync.WaitGroup

	mu   sync.Mutex
	tail []string // the last lines, redacted
	all  int      // lines that were written
}

// sink takes complete, redacted lines.
type sink func(stream string, lines [][]byte)

// openOutputs begins to read the FIFOs in dir, which exist.
func openOutputs(dir string, r *redactor, to sink) (*outputs, error) {
	o := &outputs{dir: dir}
	for i, name := range streamNames {
		fd, err := unix.Open(filepath.Join(dir, name), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			o.close()
			return nil, fmt.Errorf("open the FIFO %s of %s: %w", name, dir, err)
		}
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize) // refused when the user's pipes are too many: then it keeps its size
		st := &stream{name: name, fifo: os.NewFile(uintptr(fd), name), redact: r, buf: make([]byte, 16<<10)}
		st.emit = func(lines [][]byte) {
			o.remember(lines)
			to(name, lines)
		}
		o.streams[i] = st
		o.readers.Go(st.read)
	}
	return o, nil
}

// writers opens the ends for the process: its input (nothing), output and errors.
// They are descriptions of their own, because ours do not block and its must.
func (o *outputs) writers() ([]*os.File, error) {
	files := make([]*os.File, 0, 3)
	for _, path := range []string{os.DevNull, filepath.Join(o.dir, streamNames[0]), filepath.Join(o.dir, streamNames[1])} {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		files = append(files, os.NewFile(uintptr(fd), path))
	}
	return files, nil
}

func (o *outputs) remember(lines [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all += len(lines)
	for _, l := range lines[max(0, len(lines)-keptLines):] {
		o.tail = append(o.tail, string(l[:min(len(l), 1000)]))
	}
	o.tail = o.tail[max(0, len(o.tail)-keptLines):]
}

// lastLines returns the last n lines that were written.
func (o *outputs) lastLines(n int) []string {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.tail[max(0, len(o.tail)-n):]...)
}

// written returns how many lines were written, for since.
func (o *outputs) written() int {
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all
}

// since returns the last of the lines that were written after the first n.
func (o *outputs) since(n int) []string {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.tail[max(0, len(o.tail)-max(0, o.all-n)):]...)
}

// lastWords returns the last n lines that were written, and before them the one that
// says what went wrong, where a stack is longer than that.
func (o *outputs) lastWords(n int) []string {
	return telling(o.lastLines(keptLines), n)
}

var wentWrong = regexp.MustCompile(`^\s*(?:Uncaught )?(?:(?:[A-Za-z_][\w.$]*)?(?:Error|Exception)\b|panic: |Exception in thread|fatal error: |thread '.*' panicked)`)

// telling returns the last n of some lines, and in front the last one before them that
// names an error, where none of the n does.
func telling(lines []string, n int) []string {
	cut := max(0, len(lines)-n)
	if slices.ContainsFunc(lines[cut:], wentWrong.MatchString) {
		return lines[cut:]
	}
	for _, l := range slices.Backward(lines[:cut]) {
		if wentWrong.MatchString(l) {
			return append([]string{l, "…"}, lines[cut+2:]...)
		}
	}
	return lines[cut:]
}

// forget makes lastLines begin anew, for the next process.
func (o *outputs) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = nil
}

// drain returns when all that has been written before is in the log, and ends the lines
// that are not complete.
func (o *outputs) drain() {
	if o == nil {
		return
	}
	for _, st := range o.streams {
		st.drain()
		st.endLine()
	}
}

// catchUp is drain for a process that goes on: a line that is not complete stays so.
func (o *outputs) catchUp() {
	for _, st := range o.streams {
		st.drain()
	}
}

// close drains and ends. What is written later stays in the FIFOs, if the process
// lives, for the next reader.
func (o *outputs) close() {
	if o == nil {
		return
	}
	for _, st := range o.streams {
		if st != nil {
			st.drain()
			st.endLine()
			_ = st.fifo.Close() // ends read
		}
	}
	o.readers.Wait()
}

// stream is one of the outputs. Whoever wants to know that nothing is on its way to the
// log reads it himself: read holds mu from the pipe to the log.
type stream struct {
	name   string
	fifo   *os.File
	redact *redactor
	emit   func([][]byte)

	mu      sync.Mutex
	buf     []byte
	pending []byte // the line that is not complete yet
	begun   bool   // a line was emitted: the first one may be the rest of another reader's
}

// read carries lines until the stream is closed.
func (st *stream) read() {
	conn, err := st.fifo.SyscallConn()
	for err == nil {
		err = conn.Read(func(fd uintptr) bool { return st.takeSome(int(fd)) > 0 })
	}
}

// drain takes what is in the FIFO now.
func (st *stream) drain() {
	conn, err := st.fifo.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		for total := 0; total < drainMost; {
			n := st.takeSome(int(fd))
			if n == 0 {
				return
			}
			total += n
		}
	})
}

// takeSome takes what one read returns: 0, there is nothing.
func (st *stream) takeSome(fd int) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	for {
		n, err := unix.Read(fd, st.buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 || err != nil {
			return 0
		}
		st.take(st.buf[:n])
		return n
	}
}

// endLine ends the line that is not complete.
func (st *stream) endLine() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.pending) > 0 {
		st.lines(append(st.redact.cleanEnd(st.pending), '\n'))
		st.pending = nil
	}
}

// take adds what was read, and emits the lines that are complete.
func (st *stream) take(b []byte) {
	if len(b) == 0 {
		return
	}
	if end := bytes.LastIndexByte(b, '\n') + 1; end > 0 {
		st.lines(append(st.pending, b[:end]...))
		st.pending, b = nil, b[end:]
	}
	st.pending = append(st.pending, b...)
	if len(st.pending) >= longestLine {
		// Never cut where a secret may have begun: its halves would not be known.
		clean := st.redact.clean(st.pending)
		cut := len(clean) - st.redact.open(clean)
		st.lines(append(bytes.Clone(clean[:cut]), '\n'))
		st.pending = bytes.Clone(clean[cut:])
	}
}

// lines emits a text of whole lines, in pieces of at most longestLine.
func (st *stream) lines(text []byte) {
	var out [][]byte
	text = st.redact.clean(text)
	if !st.begun {
		st.begun = true
		text = st.redact.cleanStart(text)
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		for len(line) > longestLine {
			out = append(out, line[:longestLine])
			line = line[longestLine:]
		}
		out = append(out, line)
	}
	if len(out) > 0 {
		st.emit(out)
	}
}
