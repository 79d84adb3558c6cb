// Command upgrade has one Titrate take over from the other every two seconds under load:
// requests over kept and over new connections, bodies that come slowly, WebSockets and
// streams of events. Then it kills the node again and again. It prints what failed, whether
// what all nodes counted is what came to the service, and how long the first answer took
// after a kill. Repeat with
//
//	go run ./bench/upgrade
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
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"titrate/bench/figures"
	"titrate/client"
	"titrate/internal/demo"
	"titrate/internal/node"
)

const (
	app  = "app"
	host = "app.localhost"
)

// betweenKills is longer than a process must live not to be one that dies young, which is
// started again more and more slowly.
const betweenKills = 2 * time.Second

// plan is what is done.
type plan struct {
	length, every  time.Duration
	rate           float64
	sockets, feeds int
	kills          int
}

func main() {
	var p plan
	flag.DurationVar(&p.length, "for", time.Minute, "how long to upgrade")
	flag.DurationVar(&p.every, "every", 2*time.Second, "from one upgrade to the next")
	flag.Float64Var(&p.rate, "rate", 200, "requests a second, half of them over new connections")
	flag.IntVar(&p.sockets, "websockets", 1000, "WebSockets")
	flag.IntVar(&p.feeds, "streams", 200, "streams of events")
	flag.IntVar(&p.kills, "kills", 10, "of the node, after the upgrades")
	program := flag.String("program", "", "path of the titrate binary; empty: it is built")
	flag.Parse()
	if err := run(context.Background(), *program, p); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, program string, plan plan) error {
	p, stop, err := figures.Start(ctx, program, app)
	if err != nil {
		return err
	}
	defer stop()
	if err := deploy(ctx, p); err != nil {
		return err
	}
	l := startLoad(ctx, strings.TrimPrefix(p.Gateway, "http://"), plan)
	defer l.stop()
	if err := l.awaitOpen(ctx); err != nil {
		return err
	}
	var took figures.Sample
	turn := time.NewTicker(plan.every)
	defer turn.Stop()
	for end := time.Now().Add(plan.length); time.Now().Before(end); {
		<-turn.C
		began := time.Now()
		if err := p.Replace(ctx); err != nil {
			return fmt.Errorf("upgrade: %w", err)
		}
		took = append(took, time.Since(began))
	}
	up := l.stop()
	counted, came, err := settle(ctx, p)
	if err != nil {
		return err
	}
	calm := plan
	calm.sockets, calm.feeds = 0, 0
	l = startLoad(ctx, strings.TrimPrefix(p.Gateway, "http://"), calm)
	defer l.stop()
	var back figures.Sample
	for range plan.kills {
		d, err := l.kill(ctx, p)
		if err != nil {
			return err
		}
		back = append(back, d)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(betweenKills):
		}
	}
	down := l.stop()

	out := os.Stdout
	figures.Head(out, fmt.Sprintf("go run ./bench/upgrade -for %v -every %v -rate %v -websockets %d -streams %d -kills %d", plan.length, plan.every, plan.rate, plan.sockets, plan.feeds, plan.kills))
	figures.Line(out, "upgrades", fmt.Sprintf("%d; until the next one answers %s", len(took), took), "")
	figures.Line(out, "requests, of which failed", fmt.Sprintf("%d, %d", up.requests, len(up.failed)), "0")
	figures.Line(out, "longest answer over a new, a kept connection", fmt.Sprintf("%v, %v", up.longestNew.Round(time.Millisecond), up.longestKept.Round(time.Millisecond)), "")
	figures.Line(out, "WebSockets, streams, slow bodies: cut", fmt.Sprintf("%d, %d, %d: %d", plan.sockets, plan.feeds, up.bodies, len(up.cut)), "0")
	figures.Line(out, "counted by all nodes, came to the service", fmt.Sprintf("%d, %d", counted, came), "equal")
	figures.Line(out, "kill -9 of the node → the first answer", back.String(), "300 ms")
	figures.Line(out, "failed with a kill: in flight, sent later, refused", fmt.Sprintf("%d, %d, %d", down.flight, down.later, down.refused), "any, 0, 0")
	for _, err := range append(up.failed, up.cut...) {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(up.failed)+len(up.cut)+down.later+down.refused > 0 || counted != came {
		return errors.New("a promise was broken")
	}
	return nil
}

// deploy pushes the service and waits until it has all traffic.
func deploy(ctx context.Context, p *demo.Platform) error {
	for name, text := range map[string]string{
		"go.mod": "module app\n\ngo 1.24\n", "main.go": source,
		"titrate.yaml": "titrate: 1\napp: app\nservices:\n  web: { build: ., health: /healthz, host: " + host + ", rollout: AllAtOnce }\n",
	} {
		if err := os.WriteFile(filepath.Join(p.Work(), name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the app: %w", err)
		}
	}
	if _, err := p.Commit(ctx, "one service"); err != nil {
		return err
	}
	if said, err := p.Push(ctx); err != nil {
		return fmt.Errorf("push: %w\n%s", err, strings.Join(said, "\n"))
	}
	return figures.Poll(ctx, func() (bool, error) {
		rs, err := p.Client.Rollouts(ctx, client.RolloutQuery{App: app})
		return err == nil && len(rs) == 1 && rs[0].Outcome == "promoted", err
	})
}

// settle sums what all nodes counted, by what the last one tells, until that is what came
// to the service, or for a while.
func settle(ctx context.Context, p *demo.Platform) (counted, came uint64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Gateway+"/hits", nil)
	if err != nil {
		return 0, 0, err
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, fmt.Errorf("ask the service: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, 0, fmt.Errorf("ask the service: %w", err)
	}
	if came, err = strconv.ParseUint(string(text), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("ask the service: %w", err)
	}
	token, err := os.ReadFile(filepath.Join(p.Data(), "keys", "node.token"))
	if err != nil {
		return 0, 0, fmt.Errorf("read the node's token: %w", err)
	}
	n := node.NewClient(filepath.Join(p.Data(), "node", "node.sock"), strings.TrimSpace(string(token)))
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for after := uint64(0); counted < came && ctx.Err() == nil; {
		asking, done := context.WithTimeout(ctx, 2*time.Second)
		ws, err := n.Windows(asking, after)
		done()
		if err != nil && ctx.Err() == nil {
			return counted, came, err
		}
		for _, w := range ws {
			after = w.Cursor
			counted += w.Requests
		}
	}
	return counted, came, nil
}
