package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ask asks a yes-or-no question; yes is the default, and the answer of --yes.
func (s *session) ask(ctx context.Context, question string) (bool, error) {
	if s.yes {
		return true, nil
	}
	if s.noInput || !s.live(s.Out) {
		return false, usage("an answer is needed: %s\n  help    --yes", strings.TrimSpace(question))
	}
	fmt.Fprint(s.Out, question)
	line, err := answer(ctx, func() (string, error) { return bufio.NewReader(s.In).ReadString('\n') })
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	said := strings.ToLower(strings.TrimSpace(line))
	return said == "" || said == "y" || said == "yes", nil
}

// choose asks which of several is meant; the first is the default, and the answer
// of --yes. flag is what says it without being asked.
func (s *session) choose(ctx context.Context, question string, options []string, flag string) (int, error) {
	if !s.yes && (s.noInput || !s.live(s.Out)) {
		return 0, usage("%s\n  saw     %s\n  help    %s, or --yes for the first", question, strings.Join(options, "\n          "), flag)
	}
	w := s.told()
	fmt.Fprintln(w, question)
	for i, o := range options {
		fmt.Fprintf(w, "  %d  %s\n", i+1, o)
	}
	if s.yes {
		fmt.Fprintln(w, "Taken: 1")
		return 0, nil
	}
	fmt.Fprintf(w, "Which one? [1] ")
	line, err := answer(ctx, func() (string, error) { return bufio.NewReader(s.In).ReadString('\n') })
	if err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(line)
	if err != nil || n < 1 || n > len(options) {
		return 0, usage("%q is none of 1 to %d\n  help    %s", line, len(options), flag)
	}
	return n - 1, nil
}

// askHidden asks at a terminal for what must not be seen. The echo is off before the
// question stands there, and on again whatever ends it: a read that goes on behind
// a Ctrl-C must not turn it off once more, as term.ReadPassword does.
func (s *session) askHidden(ctx context.Context, terminal *os.File, question string) (string, error) {
	fd := int(terminal.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("look at the terminal: %w", err)
	}
	hidden := *before
	hidden.Lflag = hidden.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
		return "", fmt.Errorf("turn the terminal's echo off: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }()
	fmt.Fprint(s.Err, question)
	line, err := answer(ctx, func() (string, error) { return bufio.NewReader(terminal).ReadString('\n') })
	fmt.Fprintln(s.Err)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(line, "\n"), nil
}

// answer is what read returns, or the end of ctx: Ctrl-C ends a prompt. Nothing ends
// the read itself, which the program does not outlive.
func answer[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	got := make(chan result, 1)
	go func() {
		v, err := read()
		got <- result{v, err}
	}()
	select {
	case r := <-got:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, exit(exitInterrupt)
	}
}
