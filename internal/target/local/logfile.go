package local

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"titrate/internal/rollout"

	"golang.org/x/sys/unix"
)

const (
	logExt      = ".log"
	currentLog  = "current" + logExt
	rotatedForm = "20060102T150405.000000000Z" // sorts as time does, and before "current"
	logTime     = "2006-01-02T15:04:05.000000000Z07:00"
)

// logFile is what one workload writes, in a folder of files of bounded size. A
// line is time, instance, stream and text, with tabs between. Safe for many.
type logFile struct {
	dir  string
	size int64 // of one file
	keep int   // files
	now  func() time.Time
	log  *slog.Logger

	mu      sync.Mutex
	file    *os.File
	written int64
	torn    bool // the file ends within a line
	dropped int  // lines that did not fit on the disk
}

// write adds lines. What cannot be written is dropped and counted: a full disk
// must not hold a workload up.
func (l *logFile) write(instance, stream string, lines [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.now().UTC().Format(logTime)
	var b bytes.Buffer
	if l.torn {
		b.WriteByte('\n')
	}
	if l.dropped > 0 {
		fmt.Fprintf(&b, "%s\t%s\ttitrate\t%d lines were dropped: the disk was full\n", at, instance, l.dropped)
	}
	for _, line := range lines {
		b.WriteString(at + "\t" + instance + "\t" + stream + "\t")
		b.Write(line)
		b.WriteByte('\n')
	}
	err := l.append(b.Bytes())
	if err == nil {
		l.dropped = 0
		return
	}
	if l.dropped == 0 {
		l.log.Error("logs are dropped", slog.String("folder", l.dir), slog.Any("error", err))
	}
	l.dropped += len(lines)
}

func (l *logFile) append(b []byte) error {
	if l.file != nil && l.written+int64(len(b)) > l.size && l.written > 0 {
		l.rotate()
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(b)
	l.written += int64(n)
	if err != nil {
		l.torn = l.torn || n > 0
		return fmt.Errorf("write %s: %w", l.file.Name(), err)
	}
	l.torn = false
	return nil
}

func (l *logFile) open() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", l.dir, err)
	}
	f, err := os.OpenFile(filepath.Join(l.dir, currentLog), os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open a log: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open a log: %w", err)
	}
	l.file, l.written = f, st.Size()
	last := make([]byte, 1)
	if n, _ := f.ReadAt(last, l.written-1); n == 1 {
		l.torn = last[0] != '\n'
	}
	return nil
}

// rotate gives the current file its final name and removes the oldest ones.
func (l *logFile) rotate() {
	l.closeFile()
	_ = os.Rename(filepath.Join(l.dir, currentLog), filepath.Join(l.dir, l.now().UTC().Format(rotatedForm)+logExt))
	old := logFiles(l.dir)
	for len(old) > l.keep-1 {
		os.Remove(old[0])
		old = old[1:]
	}
}

func (l *logFile) closeFile() {
	if l.file != nil {
		l.file.Close()
		l.file, l.written, l.torn = nil, 0, false
	}
}

// close lets the file go; the next write opens it again.
func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeFile()
}

// remove removes one of its files. If that is the one being written, the next
// write begins another.
func (l *logFile) remove(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if filepath.Base(path) == currentLog {
		l.closeFile()
	}
	os.Remove(path)
}

func (l *logFile) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped > 0
}

// logFiles lists the files of a folder of logs, oldest first.
func logFiles(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), logExt) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(out)
	return out
}

func logDir(root string, k rollout.Key) string {
	return filepath.Join(root, k.App, k.Env, k.Workload)
}

// noSpace reports whether err says that the disk, or the share of it, is full.
func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
