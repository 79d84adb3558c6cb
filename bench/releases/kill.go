package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"time"

	"titrate/bench/figures"
	"titrate/examples/cofe/load"
)

// blow is a kill that is planned: of whom, and when in the life of a release.
type blow struct{ victim, moment string }

func (b *blow) String() string {
	if b == nil {
		return "nobody killed"
	}
	return b.victim + " killed while " + b.moment
}

// moments of a release's life, in which each victim is struck in turn. While
// shifting comes twice: this is when most can go wrong.
var moments = [...]string{"shifting", "building", "baking", "starting", "shifting"}

// blowAt plans: of twenty releases the node is struck in five, the server in
// five, and titrate up in three.
func blowAt(release int) *blow {
	turn := (release - 1) / 4 % len(moments)
	switch {
	case release%4 == 1:
		return &blow{"node", moments[turn]}
	case release%4 == 2:
		return &blow{"server", moments[turn]}
	case release%8 == 4:
		return &blow{"up", moments[turn]}
	}
	return nil
}

// kill is one that was done.
type kill struct {
	blow
	figures.Kill
	wait    time.Duration // until things were as before, as tell says of each victim
	refused int           // probes that got no answer, or another than 200
}

// strike waits for its moment, kills, and measures how long it is felt.
func (b *bench) strike(ctx context.Context, commit string, blow *blow) error {
	if blow == nil {
		return nil
	}
	if err := b.await(ctx, commit, blow.moment); err != nil {
		return fmt.Errorf("before the kill: %w", err)
	}
	k := kill{blow: *blow, Kill: figures.Kill{Victim: blow.victim}}
	pid, err := b.Process(blow.victim)
	if err != nil {
		return err
	}
	k.From = time.Now()
	if err := b.Kill(blow.victim); err != nil {
		return err
	}
	// A killed process is gone only when it has been scheduled once more; until
	// then its connections take requests.
	for syscall.Kill(pid, 0) == nil && ctx.Err() == nil {
		runtime.Gosched()
	}
	k.To = time.Now()
	err = b.recovered(ctx, &k)
	b.kills = append(b.kills, k)
	return err
}

// building is how long after a push its build is surely under way: before it the
// push is being taken, which is a moment too.
const building = 300 * time.Millisecond

func (b *bench) await(ctx context.Context, commit, moment string) error {
	if moment == "building" {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(building):
			return nil
		}
	}
	return figures.Poll(ctx, func() (bool, error) {
		rs, err := b.rollouts(ctx, commit)
		for _, r := range rs {
			if r.Phase == moment || moment == "starting" && r.Phase == "shifting" { // a start may be over at once
				return true, nil
			}
			if r.Over() {
				return false, fmt.Errorf("%s ended %s before it was %s", r.Members[0].Workload, r.Outcome, moment)
			}
		}
		return false, err
	})
}

// recovered waits until what was killed does its work again.
func (b *bench) recovered(ctx context.Context, k *kill) error {
	switch k.victim {
	case "node":
		err := figures.Poll(ctx, func() (bool, error) {
			_, err := probe(ctx, b.Gateway)
			if err != nil {
				k.refused++
				fmt.Fprintln(os.Stderr, "  the node is killed, and", err)
			}
			return err == nil, nil
		})
		k.wait = time.Since(k.From)
		return err
	case "server":
		err := figures.Poll(ctx, func() (bool, error) {
			_, err := b.Client.Server(ctx)
			return err == nil, nil
		})
		k.wait = time.Since(k.From)
		return err
	}
	watching, enough := context.WithCancel(ctx)
	before, watched := b.Gateway, make(chan struct{})
	go func() { defer close(watched); k.watch(watching, before) }()
	err := b.Up(ctx)
	enough()
	<-watched
	if err == nil && b.Gateway != before {
		return fmt.Errorf("the next up serves at %s, not at %s", b.Gateway, before)
	}
	return err
}

// watch asks the gateway again and again until ctx ends, for the longest time that
// it takes to answer.
func (k *kill) watch(ctx context.Context, gateway string) {
	for ctx.Err() == nil {
		took, err := probe(context.WithoutCancel(ctx), gateway)
		if err != nil {
			k.refused++
			fmt.Fprintf(os.Stderr, "  %s is killed, and %v\n", k.victim, err)
		}
		k.wait = max(k.wait, took)
	}
}

// probe sends a request on a connection of its own and returns how long the
// answer took. It asks once: a refused connection, or another answer than 200,
// is an error.
func probe(ctx context.Context, gateway string) (time.Duration, error) {
	began := time.Now()
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway+"/healthz", nil)
	if err != nil {
		return 0, fmt.Errorf("a probe cannot be made: %w", err)
	}
	req.Host = host
	res, err := c.Do(req)
	if err != nil {
		return 0, fmt.Errorf("a probe was lost: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, fmt.Errorf("a probe was cut: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("a probe was answered %d: %.200s", res.StatusCode, body)
	}
	return time.Since(began), nil
}

// attribute counts failed requests by what had been killed.
func (b *bench) attribute(l *traffic, failures []load.Failure) map[string]int {
	losses := map[string]int{}
	for _, k := range b.kills {
		switch k.victim {
		case "node": // the probe is sent after the kill
			losses["node, later"] += k.refused
		default:
			losses[k.victim] += k.refused
		}
	}
	kills := make([]figures.Kill, len(b.kills))
	for i, k := range b.kills {
		kills[i] = k.Kill
	}
	for _, f := range failures {
		cause, after := figures.Blame(kills, l.Began(f.ID), f.At)
		losses[cause]++
		fmt.Fprintf(os.Stderr, "  lost (%s): %s begun %v after it, ended %s: %d %s%.200s by %q\n",
			cause, f.Step, after.Round(time.Millisecond), f.At.Format("15:04:05.000"), f.Status, f.Err, f.Body, f.Version)
	}
	return losses
}

func (b *bench) count(victim string) (n int) {
	for _, k := range b.kills {
		if k.victim == victim {
			n++
		}
	}
	return n
}

func (b *bench) waits(victim string) (s figures.Sample) {
	for _, k := range b.kills {
		if k.victim == victim {
			s = append(s, k.wait)
		}
	}
	return s
}
