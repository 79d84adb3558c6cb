package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// titrate walks with Titrate, as docs/tutorials/your-own-app.md does.
func titrate(ctx context.Context, w *world, o options) (*walk, error) {
	k, p, err := w.begin(ctx, "titrate", o.verbose)
	if err != nil {
		return nil, err
	}
	k.next(p, "setup until it serves")
	if _, err := p.types(ctx, "titrate up"); err != nil {
		return nil, err
	}
	defer func() {
		p.part = &part{}
		_, _ = p.types(context.WithoutCancel(ctx), "titrate down") // the namespace ends what is left
	}()
	for _, c := range []string{"titrate init --yes", `git add . && git commit -qm "Titrate" && git push titrate HEAD`} {
		if _, err := p.types(ctx, c); err != nil {
			return nil, err
		}
	}
	l := begin(ctx, "http://127.0.0.1:7080/", o.rate)
	defer l.stop()
	if o.good {
		k.next(p, "a good commit until all users have it")
		if err := p.pushes(ctx, l, better, 0); err != nil {
			return nil, err
		}
	}
	k.next(p, "a commit that fails half of its requests")
	if err := p.pushes(ctx, l, broken, 3); err != nil {
		return nil, err
	}
	k.next(p, "a commit that is not healthy")
	return k, p.pushes(ctx, l, unhealthy, 6)
}

// pushes pushes a commit and watches until its rollout ends with an exit code: 0 is
// promoted, 3 rolled back, 6 not started.
func (p *person) pushes(ctx context.Context, l *load, fault string, code int) error {
	if err := p.commits(ctx, fault); err != nil {
		return err
	}
	l.take()
	if _, err := p.types(ctx, "git push titrate HEAD"); err != nil {
		return err
	}
	began := p.took
	out, err := p.types(ctx, "titrate rollout watch")
	p.commands = p.commands[:len(p.commands)-1] // nobody needs to look
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == code {
		err = nil
	}
	if err != nil {
		return err
	}
	p.load = l.take()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	p.notes = append(p.notes, fmt.Sprintf("%v after the push returned: %s", (p.took-began).Round(100*time.Millisecond), lines[len(lines)-1]))
	return nil
}
