package pipeline

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

const (
	tailLines = 20  // shown with an error
	tailWidth = 400 // bytes of each
	keptLogs  = 50  // builds of an app whose logs are kept
)

// stepLog is the file of what one step printed, up to a limit, with the last
// lines at hand.
type stepLog struct {
	path string

	mu    sync.Mutex
	f     *os.File
	left  int64
	over  func() // called once when the limit is passed
	lines []string
	part  []byte
}

// openLog makes logs/builds/APP/LABEL/WORKLOAD.STEP.log, new.
func (r *run) openLog(workload, step string) (*stepLog, error) {
	dir := r.path("logs", "builds", r.job.App, r.job.Label)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keep the log of a build: %w", err)
	}
	path := filepath.Join(dir, workload+"."+step+".log")
	os.Remove(path) // it may be a second name of another workload's log
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the log of a build: %w", err)
	}
	return &stepLog{path: path, f: f, left: r.cfg.Limits.Output, over: func() {}}, nil
}

// Write never fails because of what is printed: beyond the limit it is dropped.
func (l *stepLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := p[:min(int64(len(p)), max(l.left, 0))]
	if _, err := l.f.Write(keep); err != nil {
		return 0, err
	}
	l.remember(keep)
	if l.left >= 0 && int64(len(p)) > l.left {
		fmt.Fprintf(l.f, "\n… more was printed than is kept\n")
		l.left = -1
		go l.over()
	} else if l.left >= 0 {
		l.left -= int64(len(p))
	}
	return len(p), nil
}

// say adds a line of our own.
func (l *stepLog) say(format string, args ...any) {
	fmt.Fprintf(l, format+"\n", args...)
}

func (l *stepLog) remember(p []byte) {
	l.part = append(l.part, p...)
	for {
		line, rest, ok := bytes.Cut(l.part, []byte("\n"))
		if !ok {
			break
		}
		l.lines, l.part = append(l.lines, printable(line)), rest
	}
	if extra := len(l.lines) - 50*tailLines; extra > 0 {
		l.lines = append([]string(nil), l.lines[extra:]...)
	}
	if len(l.part) > tailWidth {
		l.part = append([]byte(nil), l.part[:tailWidth]...)
	}
}

// tail returns the last lines, without our own.
func (l *stepLog) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	if len(l.part) > 0 {
		lines = append(lines[:len(lines):len(lines)], printable(l.part))
	}
	return lastOf(lines)
}

// all returns the lines that are at hand, our own left out.
func (l *stepLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, line := range append(l.lines[:len(l.lines):len(l.lines)], printable(l.part)) {
		if !strings.HasPrefix(line, "$ ") {
			out = append(out, line)
		}
	}
	return out
}

func lastOf(lines []string) []string {
	var out []string
	for _, line := range lines {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "$ ") {
			out = append(out, line)
		}
	}
	return out[max(0, len(out)-tailLines):]
}

// printable makes a line safe for a terminal.
func printable(line []byte) string {
	line = line[:min(len(line), tailWidth)]
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0):
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(line), "�"))
}

// close ends the log; also gives it other names, for workloads built together.
func (l *stepLog) close(also ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, path := range also {
		if path != l.path {
			os.Remove(path)
			if err := os.Link(l.path, path); err != nil {
				return fmt.Errorf("keep the log of a build: %w", err)
			}
		}
	}
	return l.f.Close()
}

// Logs returns the logs of a build, oldest first, by file name: WORKLOAD.STEP.log.
func (b *Builder) Logs(app, label string) ([]string, error) {
	if !logName.MatchString(app) || !logName.MatchString(label) {
		return nil, fmt.Errorf("logs of %q: %w", label, os.ErrNotExist)
	}
	dir := b.path("logs", "builds", app, label)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("logs of %s %s: %w", app, label, err)
	}
	var paths []string
	for _, e := range byAge(entries) {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths, nil
}

// trimLogs keeps the newest logs of an app.
func (b *Builder) trimLogs(app string) error {
	dir := b.path("logs", "builds", app)
	entries, err := os.ReadDir(dir)
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	entries = byAge(entries)
	for _, e := range entries[:max(0, len(entries)-keptLogs)] {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// byAge sorts oldest first.
func byAge(entries []os.DirEntry) []os.DirEntry {
	age := func(e os.DirEntry) int64 {
		info, err := e.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	sort.SliceStable(entries, func(i, j int) bool { return age(entries[i]) < age(entries[j]) })
	return entries
}

var _ io.Writer = (*stepLog)(nil)
