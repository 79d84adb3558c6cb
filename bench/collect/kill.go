package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"syscall"
	"time"

	"titrate/bench/figures"
	"titrate/examples/collect/load"
)

// blow is a kill that is planned: of whom, and how long after which moment of a release.
type blow struct {
	victim, moment string
	after          time.Duration
}

func (b *blow) String() string {
	if b == nil {
		return "nobody killed"
	}
	return fmt.Sprintf("%s killed %v after %s", b.victim, b.after.Round(time.Millisecond), b.moment)
}

// victims are struck in turn, each turn in another order.
var victims = [...]string{"node", "server", "up"}

// moments of a release's life; most can go wrong in the middle of it.
var moments = [...]string{"the push", "starting", "shifting", "shifting", "baking"}

// within is how long after its moment a blow may come.
const within = 3 * time.Second

// blows plans one for each release: the same for the same seed.
func blows(n int, seed uint64) []blow {
	random := rand.New(rand.NewPCG(seed, 0xb10b))
	all := make([]blow, 0, n+len(victims))
	for len(all) < n {
		for _, v := range random.Perm(len(victims)) {
			all = append(all, blow{victims[v], moments[random.IntN(len(moments))], time.Duration(random.Int64N(int64(within)))})
		}
	}
	return all[:n]
}

// kill is one that was done.
type kill struct {
	blow
	figures.Kill
	wait time.Duration // until it did its work again
}

// strike waits for its moment, kills, and waits until what was killed works again.
func (s *soak) strike(ctx context.Context, commit string, b blow) error {
	if err := s.await(ctx, commit, b); err != nil {
		return fmt.Errorf("before the kill: %w", err)
	}
	pid, err := s.Process(b.victim)
	if err != nil {
		return err
	}
	k := kill{blow: b, Kill: figures.Kill{Victim: b.victim, From: time.Now()}}
	if err := s.Kill(b.victim); err != nil {
		return err
	}
	// A killed process is gone only when it has been scheduled once more; until then its
	// connections take requests.
	for syscall.Kill(pid, 0) == nil && ctx.Err() == nil {
		runtime.Gosched()
	}
	k.To = time.Now()
	err = s.recovered(ctx, b.victim)
	k.wait = time.Since(k.From)
	s.kills = append(s.kills, k)
	return err
}

// await returns when the release has come to the blow's moment, or beyond it, and the time
// after it has gone by.
func (s *soak) await(ctx context.Context, commit string, b blow) error {
	for b.moment != "the push" {
		rs, err := s.rollouts(ctx, commit)
		if bear(err) != nil {
			return err
		}
		if group, ok := largest(rs); ok && reached(group.Phase, b.moment) {
			break
		}
		if err := rest(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return rest(ctx, b.after)
}

// phases are in the order of a rollout's life.
var phases = map[string]int{"queued": 0, "starting": 1, "shifting": 2, "baking": 3, "returning": 4, "retiring": 4, "ended": 5}

func reached(phase, moment string) bool { return phases[phase] >= phases[moment] }

// recovered waits until what was killed does its work again.
func (s *soak) recovered(ctx context.Context, victim string) error {
	if victim == "up" {
		before := s.Gateway
		if err := s.Up(ctx); err != nil {
			return err
		}
		if s.Gateway != before {
			return fmt.Errorf("the next up serves at %s, not at %s", s.Gateway, before)
		}
		return nil
	}
	return figures.Poll(ctx, func() (bool, error) {
		now, err := s.Client.Server(ctx)
		return err == nil && now.Node == "up", nil
	})
}

// attribute counts failed requests by what had been killed. Only what was sent before a
// node was gone may be lost with it.
func (s *soak) attribute(t *traffic, failures []load.Failure) map[string]int {
	losses := map[string]int{}
	kills := make([]figures.Kill, len(s.kills))
	for i, k := range s.kills {
		kills[i] = k.Kill
	}
	for _, f := range failures {
		cause, after := figures.Blame(kills, t.Began(f.ID), f.At)
		losses[cause]++
		fmt.Fprintf(os.Stderr, "  lost (%s): %s begun %v after it, ended %s: %d %s%.200s by %q\n",
			cause, f.Step, after.Round(time.Millisecond), f.At.Format("15:04:05.000"), f.Status, f.Err, f.Body, f.Version)
	}
	return losses
}

// struck returns how long each kill of a victim was felt.
func (s *soak) struck(victim string) (waits figures.Sample) {
	for _, k := range s.kills {
		if k.victim == victim {
			waits = append(waits, k.wait)
		}
	}
	return waits
}

// rest lets a while go by.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("waited in vain: %w", errors.Join(ctx.Err(), context.Cause(ctx)))
	case <-time.After(d):
		return nil
	}
}
