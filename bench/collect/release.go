package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"titrate/client"
	"titrate/examples/collect"
	"titrate/internal/demo"
)

// soak is one run.
type soak struct {
	*demo.Platform
	options  collect.Options
	rare     bool            // functions that customers seldom call are called, too
	pushed   collect.Variant // last
	releases []release
	kills    []kill
}

// release is one that was pushed, and its rollouts as they were seen last.
type release struct {
	n        int // from 0, the first
	commit   string
	rollouts []client.Rollout
	blow     *blow
	reached  time.Duration // from the push until it had all events
}

// release pushes the other variant, strikes in the middle of it, and waits until it has
// all events: of functions that are seldom called the bake may last a week (R11), and the
// next push ends it (R3).
func (s *soak) release(ctx context.Context, n int, b *blow) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	commit, err := s.commit(ctx, n)
	if err != nil {
		return err
	}
	struck := make(chan error, 1)
	go func() {
		if b == nil {
			struck <- nil
			return
		}
		struck <- s.strike(ctx, commit, *b)
	}()
	_, err = s.Push(ctx)
	if err != nil && b != nil {
		// Who took the push was killed. Whoever pushed does it again when it is back, and
		// finds either that it was taken or that nothing has moved.
		fmt.Fprintf(os.Stderr, "  release %d: the push was cut, and is repeated: %.300v\n", n, err)
		err = s.again(ctx)
	}
	if err != nil {
		return fmt.Errorf("release %d: %w", n, err)
	}
	rs, err := s.arrived(ctx, commit)
	if serr := <-struck; serr != nil {
		return fmt.Errorf("release %d: %w", n, errors.Join(err, serr))
	}
	if err != nil {
		return fmt.Errorf("release %d: %w", n, err)
	}
	reached := time.Since(began)
	if group, _ := largest(rs); n > 0 && s.rare && !group.Over() {
		if err := s.measure(ctx); err != nil {
			return fmt.Errorf("release %d: %w", n, err)
		}
	}
	r := release{n: n, commit: commit, rollouts: rs, blow: b, reached: reached}
	s.releases = append(s.releases, r)
	group, _ := largest(rs)
	fmt.Fprintf(os.Stderr, "  release %d: %d workloads, %s %s after %v   %v\n", n, len(group.Members), group.Phase, group.Outcome, r.reached.Round(time.Millisecond), b)
	if group.Over() && group.Outcome != "promoted" {
		fmt.Fprintf(os.Stderr, "    %s\n", group.Why)
	}
	return nil
}

// commit commits V1 first, then V2 and V1 in turn, but for what already runs because the
// release before has gone back: each changes all functions.
func (s *soak) commit(ctx context.Context, n int) (string, error) {
	v, other := collect.V1, collect.V2
	if s.pushed == v {
		v, other = other, v
	}
	if s.wentBack(ctx) {
		v = other
	}
	s.pushed = v
	if err := collect.Write(s.Work(), v, s.options); err != nil {
		return "", err
	}
	if err := hasten(filepath.Join(s.Work(), "titrate.yaml")); err != nil {
		return "", err
	}
	return s.Commit(ctx, fmt.Sprintf("release %d: %s", n, v.Subject()))
}

// wentBack reports whether the last release has been undone, perhaps after it had all events.
func (s *soak) wentBack(ctx context.Context) bool {
	if len(s.releases) == 0 {
		return false
	}
	group, ok := largest(s.releases[len(s.releases)-1].rollouts)
	if !ok {
		return false
	}
	now, err := s.Client.Rollout(ctx, group.ID)
	return err == nil && now.Over() && now.Outcome != "promoted"
}

// hasten gives the demo's manifest shorter steps, and starts the time that a machine needs
// on which sixty-four of them begin at once beside a build.
func hasten(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	for old, mine := range map[string]string{
		"rollout: Linear20PercentEvery5Seconds": "rollout: Linear40PercentEvery2Seconds",
		"startTimeout: 20s":                     "startTimeout: 2m",
	} {
		if strings.Count(string(text), old) != 1 {
			return fmt.Errorf("the manifest no longer says %q once", old)
		}
		text = []byte(strings.Replace(string(text), old, mine, 1))
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}

// again pushes until the server that was killed takes it.
func (s *soak) again(ctx context.Context) error {
	for {
		_, err := s.Push(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if rest(ctx, 200*time.Millisecond) != nil {
			return err
		}
	}
}

// arrived waits until the release's rollouts are over, or bake with all events.
func (s *soak) arrived(ctx context.Context, commit string) ([]client.Rollout, error) {
	var last client.Rollout
	for {
		rs, err := s.rollouts(ctx, commit)
		if bear(err) != nil {
			return nil, err
		}
		if group, ok := largest(rs); ok {
			last = group
			over := !slices.ContainsFunc(rs, func(r client.Rollout) bool { return !r.Over() })
			if over || group.Phase == "baking" && group.Weight == 100 {
				return rs, nil
			}
		}
		if err := rest(ctx, 50*time.Millisecond); err != nil {
			return nil, fmt.Errorf("%s at %g %%: %s; it waits for %s: %w", last.Phase, last.Weight, last.Why, last.Wait.For, err)
		}
	}
}

// conclude pushes once more, which ends the last release's bake, and waits for that. What was
// pushed here is not counted.
func (s *soak) conclude(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last := s.releases[len(s.releases)-1]
	commit, err := s.commit(ctx, last.n+1)
	if err != nil {
		return err
	}
	if _, err := s.Push(ctx); err != nil {
		return fmt.Errorf("the push after the last release: %w", err)
	}
	if _, err := s.arrived(ctx, commit); err != nil {
		return fmt.Errorf("the push after the last release: %w", err)
	}
	return nil
}

// rollouts returns those of a commit's release, when it is the newest.
func (s *soak) rollouts(ctx context.Context, commit string) ([]client.Rollout, error) {
	releases, err := s.Client.Releases(ctx, app, 1)
	if err != nil || len(releases) == 0 || releases[0].Commit != commit {
		return nil, err
	}
	return s.Client.Rollouts(ctx, client.RolloutQuery{App: app, Release: releases[0].Number})
}

// largest is the rollout of the group.
func largest(rs []client.Rollout) (client.Rollout, bool) {
	if len(rs) == 0 {
		return client.Rollout{}, false
	}
	return slices.MaxFunc(rs, func(a, b client.Rollout) int { return len(a.Members) - len(b.Members) }), true
}

// bear forgives a server that is not there because it was killed.
func bear(err error) error {
	var refused *client.Problem
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		return err
	}
	return nil
}
