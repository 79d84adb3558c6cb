package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"titrate/client"
)

const (
	redrawEvery    = 200 * time.Millisecond
	heartbeatEvery = 30 * time.Second
	lookIn         = 5 * time.Second // for the server to answer one look
)

func (s *session) rolloutWatch() *cobra.Command {
	var until string
	var timeout duration
	c := &cobra.Command{
		Use: "watch " + targetUse, Short: "live until it is over; the exit code says how it ended", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if until != "released" && until != "paused" {
				return usage("--until %s: released or paused", until)
			}
			rs, c, err := s.find(cmd.Context(), args, false)
			if err != nil {
				return err
			}
			if err := s.unbuilt(cmd.Context(), c, args, rs); err != nil {
				return err
			}
			ctx := cmd.Context()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Duration(timeout))
				defer cancel()
			}
			return s.watch(ctx, c, rs, until == "paused")
		},
	}
	c.Flags().StringVar(&until, "until", "released", "released or paused: with paused, a pause is success")
	c.Flags().Var(&timeout, "timeout", "stop watching after this long; the rollout goes on")
	return c
}

// unbuilt is an error when an app is watched whose last push failed, after the rollouts
// that are over: git ends with 0 then, and a script that watches next must not take the
// release before for the one that it pushed.
func (s *session) unbuilt(ctx context.Context, c *client.Client, args []string, rs []client.Rollout) error {
	if len(args) > 0 {
		if t, err := parseTarget(args[0]); err != nil || t.rollout != 0 || t.release != 0 || t.version != 0 {
			return err
		}
	}
	if slices.ContainsFunc(rs, func(r client.Rollout) bool { return !r.Over() }) {
		return nil
	}
	a, err := c.App(ctx, rs[0].App)
	if err != nil || len(a.Pushes) == 0 || s.env != "" && len(a.Environments) > 1 { // it may have been for another
		return err
	}
	if p := a.Pushes[0]; p.Stage == "failed" && p.At.After(rs[0].Opened) {
		return &exitError{exitBuild, fmt.Errorf("push %.7s failed, and nothing of it moves: %s\n  help    titrate logs --build %s; titrate rollout status %s shows the last rollout",
			p.Commit, firstLine(p.Problem), a.Name, a.Name)}
	}
	return nil
}

// watch follows rs until all are over. Ctrl-C detaches.
func (s *session) watch(ctx context.Context, c *client.Client, rs []client.Rollout, pauseIsSuccess bool) error {
	asking := *c
	asking.Patience = lookIn
	v := &watcher{session: s, client: &asking, rollouts: rs, said: map[int64]string{}}
	live := !s.forPrograms() && s.live(s.Out)
	every := redrawEvery
	if !live {
		every = time.Second / 2
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := v.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if live {
			v.redraw()
		} else if err := v.lines(); err != nil {
			return err
		}
		if over, code := ended(v.rollouts, live, pauseIsSuccess); over {
			return result(code)
		}
		select {
		case <-ctx.Done():
			return v.detach(ctx)
		case <-tick.C:
		}
	}
}

type watcher struct {
	*session
	client   *client.Client
	rollouts []client.Rollout
	said     map[int64]string
	spoke    time.Time
	height   int  // lines of the region drawn last
	silent   bool // the server gave no answer to the last look
}

func (v *watcher) look(ctx context.Context) error {
	for i, r := range v.rollouts {
		if r.Over() {
			continue
		}
		now, err := v.client.Rollout(ctx, r.ID)
		if err != nil {
			var refused *client.Problem
			if errors.As(err, &refused) {
				return err
			}
			if !v.silent && ctx.Err() == nil {
				fmt.Fprintf(v.Err, "The server does not answer; the rollout goes on, and so does the watch: %s\n", firstLine(err.Error()))
				v.height = 0 // what is on the screen stays
			}
			v.silent = true
			continue // it restarts, usually
		}
		v.rollouts[i], v.silent = now, false
	}
	return nil
}

// redraw replaces the region, at most as tall as the window.
func (v *watcher) redraw() {
	var b bytes.Buffer
	for _, r := range v.rollouts {
		drawRollout(&b, r, time.Now())
	}
	if slices.ContainsFunc(v.rollouts, func(r client.Rollout) bool { return !r.Over() }) {
		fmt.Fprintln(&b, v.typed("Ctrl-C detaches; the rollout goes on. titrate rollout abort stops it."))
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	width, height := 80, 24
	if f, ok := screen(v.Out); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			width, height = w, h
		}
	}
	lines = lines[:min(len(lines), height-1)]
	var out strings.Builder
	if v.height > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", v.height)
	}
	for _, l := range lines {
		if r := []rune(l); len(r) >= width {
			l = string(r[:width-1])
		}
		out.WriteString("\r\x1b[K" + l + "\n")
	}
	out.WriteString("\x1b[J")
	v.height = len(lines)
	io.WriteString(v.Out, out.String()) //nolint:errcheck // a terminal that is gone shows nothing
}

// lines writes one line for each change, and a heartbeat.
func (v *watcher) lines() error {
	now := time.Now()
	for _, r := range v.rollouts {
		text := fmt.Sprintf("%s  %s  %s", title(r), percent(r.Weight), plain(r))
		if v.said[r.ID] == text {
			continue
		}
		v.said[r.ID], v.spoke = text, now
		if v.forPrograms() {
			if err := v.emitLine(r); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(v.Out, "%s  %s\n", now.Format(time.RFC3339), text)
		if r.Outcome != "" && r.Outcome != "promoted" && v.variable("GITHUB_ACTIONS") != "" {
			fmt.Fprintf(v.Out, "::error title=%s::%s\n", title(r), r.Why)
		}
	}
	if now.Sub(v.spoke) > heartbeatEvery && !v.forPrograms() {
		v.spoke = now
		for _, r := range v.rollouts {
			if !r.Over() {
				fmt.Fprintf(v.Out, "%s  %s  %s\n", now.Format(time.RFC3339), title(r), progress(r, now))
			}
		}
	}
	return nil
}

// plain is progress without the countdown, which would make every line new.
func plain(r client.Rollout) string {
	if r.Outcome == "" {
		r.Wait.Until = time.Time{}
	}
	return progress(r, time.Now())
}

func (v *watcher) detach(ctx context.Context) error {
	for _, r := range v.rollouts {
		if !r.Over() {
			text := fmt.Sprintf("Detached. %s is at %s and continues. Stop it: titrate rollout abort %d", title(r), percent(r.Weight), r.ID)
			fmt.Fprintln(v.Err, v.typed(text))
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return exit(exitTimeout)
	}
	return exit(exitInterrupt)
}

// ended reports whether nothing more is to be seen, and the exit code. Whoever is
// not at a terminal cannot answer a pause, and is told at once.
func ended(rs []client.Rollout, live, pauseIsSuccess bool) (bool, int) {
	code := exitDone
	for _, r := range rs {
		waits := r.Pause != nil || r.Wait.Person
		switch {
		case r.Over():
			code = max(code, outcomeCode(r))
		case waits && pauseIsSuccess:
		case waits && !live:
			code = max(code, exitWaiting)
		default:
			return false, 0
		}
	}
	return true, code
}

func outcomeCode(r client.Rollout) int {
	switch r.Outcome {
	case "rolled-back", "aborted":
		return exitRefused
	case "failed":
		for _, m := range r.Members {
			if m.Stable == 0 {
				return exitUnhealthy
			}
		}
		return exitBuild
	case "superseded":
		return exitPolicy
	}
	return exitDone
}

func result(code int) error {
	if code == exitDone {
		return nil
	}
	return exit(code)
}
