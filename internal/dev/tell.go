package dev

import (
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"sync"

	"titrate/internal/world"
)

// teller writes for the person at the terminal: what happens, and between it what
// processes write, each line with its service before it.
type teller struct {
	out    io.Writer
	colour bool
	logs   []string // prefixes of services whose lines are shown; empty: all

	mu    sync.Mutex
	width int
}

func (t *teller) line(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// fault says what is wrong with what was saved.
func (t *teller) fault(err error) { t.line("✖ %s", strings.TrimPrefix(err.Error(), "error: ")) }

// log shows a line that a process wrote.
func (t *teller) log(l world.LogLine) {
	name := l.Key.Workload
	shown := len(t.logs) == 0
	for _, p := range t.logs {
		shown = shown || strings.HasPrefix(name, p)
	}
	if !shown {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.width = max(t.width, len(name))
	head := fmt.Sprintf("%-*s %s │", t.width, name, l.Version)
	if t.colour {
		head = paint(name, head)
	}
	fmt.Fprintf(t.out, "%s %s\n", head, l.Text)
}

// colours can be told apart on light and dark ground; none is red or green, which
// mean something.
var colours = []int{33, 136, 37, 133, 61, 166, 31, 97}

func paint(name, text string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("\x1b[38;5;%dm%s\x1b[0m", colours[h.Sum32()%uint32(len(colours))], text)
}

// progress shows what was built, and not what was there.
type progress struct{ say *teller }

func (p *progress) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasSuffix(line, " unchanged") {
			p.say.line("  %s", line)
		}
	}
	return len(b), nil
}
