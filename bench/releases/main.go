// Command releases pushes one good release after the other of the coffee
// marketplace under its customers' load, on a Titrate that really runs, and kills
// server, titrate up and node with SIGKILL in the middle of them. It prints how
// many requests each kind of kill lost, how fast the node was back, and whether
// the books hold. Repeat with
//
//	go run ./bench/releases -n 20
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"titrate/bench/figures"
	"titrate/client"
	"titrate/examples/cofe"
	"titrate/examples/cofe/load"
	"titrate/internal/demo"
)

func main() {
	n := flag.Int("n", 20, "releases after the first")
	rate := flag.Float64("rate", 150, "requests a second")
	program := flag.String("program", "", "path of the titrate binary; empty: it is built")
	flag.Parse()
	if err := run(context.Background(), *program, *n, *rate); err != nil {
		log.Fatal(err)
	}
}

// app is the marketplace's app, and host where it answers.
const (
	app  = "cofe"
	host = "cofe.localhost"
)

// patience is how long one release may take; it says so when it takes longer.
const patience = 2 * time.Minute

func run(ctx context.Context, program string, n int, rate float64) error {
	p, stop, err := figures.Start(ctx, program, app)
	if err != nil {
		return err
	}
	defer stop()
	b := &bench{Platform: p, outcomes: map[string]int{}}
	if err := b.release(ctx, cofe.V1, 0, nil); err != nil {
		return err
	}
	l := startLoad(ctx, p.Gateway, rate)
	for i := 1; i <= n; i++ {
		variant := cofe.V2
		if i%2 == 0 {
			variant = cofe.Config
		}
		if err := b.release(ctx, variant, i, blowAt(i)); err != nil {
			said, _ := os.ReadFile(p.LogPath())
			fmt.Fprintf(os.Stderr, "%s\n", said[max(0, len(said)-8000):])
			_, lerr := l.Stop()
			return errors.Join(err, lerr)
		}
	}
	report, err := l.Stop()
	if err != nil {
		return err
	}
	books, err := load.Check(ctx, report, load.CheckConfig{URLs: load.AllAt(p.Gateway), Host: host, Fresh: true})
	if err != nil {
		return fmt.Errorf("check the books: %w", err)
	}
	figures.Head(os.Stdout, fmt.Sprintf("go run ./bench/releases -n %d -rate %g", n, rate))
	return b.tell(os.Stdout, l, report, books)
}

// bench is one run.
type bench struct {
	*demo.Platform
	kills    []kill
	outcomes map[string]int // of rollouts
	replays  int            // rollouts whose stored history says the same again
}

// release pushes a variant, strikes in the middle of it, and waits until all its
// rollouts have ended.
func (b *bench) release(ctx context.Context, v cofe.Variant, n int, blow *blow) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	if err := write(b.Work(), v, n); err != nil {
		return err
	}
	commit, err := b.Commit(ctx, fmt.Sprintf("release %d: %s", n, v.Subject()))
	if err != nil {
		return err
	}
	struck := make(chan error, 1)
	go func() { struck <- b.strike(ctx, commit, blow) }()
	_, err = b.Push(ctx)
	if serr := <-struck; serr != nil {
		return fmt.Errorf("release %d, %s: %w", n, blow, serr)
	}
	if err != nil && blow != nil && blow.victim != "node" {
		// The server that took the push was killed. Whoever pushed does it again,
		// and finds either that it was taken or that nothing has moved.
		_, err = b.Push(ctx)
	}
	if err != nil {
		return fmt.Errorf("release %d, %s: %w", n, blow, err)
	}
	rollouts, err := b.ended(ctx, commit)
	if err != nil {
		return fmt.Errorf("release %d, %s: %w", n, blow, err)
	}
	for _, r := range rollouts {
		b.outcomes[r.Outcome]++
		if r.Outcome != "promoted" {
			fmt.Fprintf(os.Stderr, "  release %d, %s of %s: %s\n", n, r.Outcome, r.Members[0].Workload, r.Why)
			if e, err := b.Client.Explain(ctx, r.ID); err == nil {
				fmt.Fprintf(os.Stderr, "    %q\n", e.Requests)
			}
		}
		replay, err := b.Client.Replay(ctx, r.ID)
		if err != nil {
			return fmt.Errorf("replay rollout %d: %w", r.ID, err)
		}
		if replay.Agrees {
			b.replays++
			continue
		}
		fmt.Fprintf(os.Stderr, "  rollout %d of release %d does not replay alike after %d looks: %s\n", r.ID, n, replay.Looks, replay.Differs)
	}
	fmt.Fprintf(os.Stderr, "  release %d: %d rollouts ended after %v   %s\n", n, len(rollouts), time.Since(began).Round(time.Millisecond), blow)
	return nil
}

// ended waits until all rollouts of a commit have ended.
func (b *bench) ended(ctx context.Context, commit string) (rs []client.Rollout, err error) {
	err = figures.Poll(ctx, func() (bool, error) {
		if rs, err = b.rollouts(ctx, commit); err != nil || len(rs) == 0 {
			return false, bear(err)
		}
		for _, r := range rs {
			if !r.Over() {
				return false, nil
			}
		}
		return true, nil
	})
	for _, r := range rs {
		if err != nil && !r.Over() {
			err = fmt.Errorf("%s %s, %s: %w", r.Members[0].Workload, r.Phase, r.Wait.For, err)
		}
	}
	return rs, err
}

// rollouts returns those of a commit's release.
func (b *bench) rollouts(ctx context.Context, commit string) ([]client.Rollout, error) {
	releases, err := b.Client.Releases(ctx, app, 1)
	if err != nil || len(releases) == 0 || releases[0].Commit != commit {
		return nil, err
	}
	return b.Client.Rollouts(ctx, client.RolloutQuery{App: app, Release: releases[0].Number})
}

// bear forgives a server that is not there because it was killed.
func bear(err error) error {
	var refused *client.Problem
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		return err
	}
	return nil
}

// tell prints what was measured. Its error says that a promise was broken.
func (b *bench) tell(w io.Writer, l *traffic, r *load.Report, books load.Verdict) error {
	losses := b.attribute(l, r.Failures)
	figures.Line(w, "requests", fmt.Sprintf("%d, p50 %v, p99 %v", r.Sent, r.P50.Round(time.Millisecond), r.P99.Round(time.Millisecond)), "")
	for _, victim := range []string{"server", "up"} {
		figures.Line(w, "lost with "+victim+" killed", fmt.Sprintf("%d in %d kills", losses[victim], b.count(victim)), "0")
	}
	figures.Line(w, "lost with the node killed, in flight", fmt.Sprintf("%d in %d kills", losses["node"], b.count("node")), "")
	figures.Line(w, "lost with the node killed, begun later", fmt.Sprint(losses["node, later"]), "0")
	figures.Line(w, "lost otherwise", fmt.Sprint(losses["nothing"]), "0")
	figures.Line(w, "sent again on a new connection by the client", fmt.Sprint(r.Redialed), "")
	figures.Line(w, "node killed → first answer", b.waits("node").String(), "300 ms")
	figures.Line(w, "server killed → its API answers", b.waits("server").String(), "")
	figures.Line(w, "up killed, taken over: longest answer", b.waits("up").String(), "")
	figures.Line(w, "rollouts", fmt.Sprintf("%v, %d replay alike", b.outcomes, b.replays), "")
	figures.Line(w, "books", fmt.Sprintf("%d orders, %d entries, hold: %v", books.Orders, books.Entries, books.OK), "")
	for _, problem := range books.Problems {
		fmt.Fprintln(w, "    ", problem)
	}
	rollouts := 0
	for _, n := range b.outcomes {
		rollouts += n
	}
	switch {
	case losses["server"]+losses["up"]+losses["node, later"]+losses["nothing"] > 0:
		return errors.New("requests were lost")
	case !books.OK:
		return errors.New("the books do not hold")
	case b.outcomes["promoted"] != rollouts || b.replays != rollouts:
		return errors.New("not every rollout was promoted and replays alike")
	}
	return nil
}
