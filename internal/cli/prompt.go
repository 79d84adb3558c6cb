package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
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

// askHidden asks at a terminal for what must not be seen.
func (s *session) askHidden(ctx context.Context, terminal *os.File, question string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("look at the terminal: %w", err)
	}
	fmt.Fprint(s.Err, question)
	text, err := answer(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	fmt.Fprintln(s.Err)
	if err != nil {
		_ = term.Restore(fd, before) // Ctrl-C came while it did not echo
		return "", err
	}
	return string(text), nil
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
