// Command breach releases one bad version after the other of a small service
// under load, on a Titrate that really runs, and prints how long each took from
// the end of the window that broke its alarm until the gateway had acknowledged
// 0 %, and from the push to the candidate's readiness. Repeat with
//
//	go run ./bench/breach -n 20
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"

	"titrate/bench/figures"
	"titrate/client"
	"titrate/internal/demo"
)

func main() {
	n := flag.Int("n", 20, "bad releases")
	rate := flag.Float64("rate", 200, "requests a second")
	program := flag.String("program", "", "path of the titrate binary; empty: it is built")
	flag.Parse()
	if err := run(context.Background(), *program, *n, *rate); err != nil {
		log.Fatal(err)
	}
}

// patience is how long one release may take; it says so when it takes longer.
const patience = 2 * time.Minute

func run(ctx context.Context, program string, n int, rate float64) error {
	p, stop, err := figures.Start(ctx, program, app)
	if err != nil {
		return err
	}
	defer stop()
	if err := write(p.Work(), 0); err != nil {
		return err
	}
	first, _, err := release(ctx, p, 1)
	if err != nil {
		return err
	}
	if first.Outcome != "promoted" {
		return fmt.Errorf("the good release ended %s: %s", first.Outcome, first.Why)
	}
	l := startLoad(ctx, p.Gateway, rate)
	var back, ready figures.Sample
	for i := range n {
		if err := write(p.Work(), i+1); err != nil {
			return err
		}
		r, pushed, err := release(ctx, p, i+2)
		if err != nil {
			return err
		}
		if r.Outcome != "rolled-back" || r.Evidence == nil {
			return fmt.Errorf("bad release %d ended %s: %s", i+1, r.Outcome, r.Why)
		}
		took, err := demo.BreachToZero(ctx, p.Client, r)
		if err != nil {
			return err
		}
		back = append(back, took)
		if took, err = started(ctx, p.Client, r, pushed); err != nil {
			return err
		}
		ready = append(ready, took)
		fmt.Fprintf(os.Stderr, "  %d of %d: ready after %v, at 0 %% %v after the breach\n", i+1, n, ready[i].Round(time.Millisecond), back[i].Round(time.Millisecond))
	}
	sent, lost := l.stop()
	out := os.Stdout
	figures.Head(out, fmt.Sprintf("go run ./bench/breach -n %d -rate %g", n, rate))
	figures.Line(out, "breaching window closed → candidate at 0 %", back.String(), "p99 1 s")
	figures.Line(out, "git push → candidate ready, nothing to build", ready.String(), "p99 1 s")
	figures.Line(out, "requests without an answer", fmt.Sprintf("%d of %d", lost, sent), "0")
	return nil
}

// release commits, pushes, and waits for what comes of it. It also returns when
// it pushed.
func release(ctx context.Context, p *demo.Platform, n int) (r client.Rollout, pushed time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := p.Commit(ctx, fmt.Sprintf("release %d", n)); err != nil {
		return r, pushed, err
	}
	pushed = time.Now()
	if _, err := p.Push(ctx); err != nil {
		return r, pushed, err
	}
	err = figures.Poll(ctx, func() (bool, error) {
		rs, err := p.Client.Rollouts(ctx, client.RolloutQuery{App: app, Release: n})
		if err != nil || len(rs) == 0 {
			return false, err
		}
		r = rs[0]
		return r.Over(), nil
	})
	if err != nil {
		return r, pushed, fmt.Errorf("release %d (%s: %s): %w", n, r.Phase, r.Why, err)
	}
	return r, pushed, nil
}

// started reads from the stored history when the candidate was ready.
func started(ctx context.Context, c *client.Client, r client.Rollout, pushed time.Time) (time.Duration, error) {
	looks, err := c.History(ctx, r.ID)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(looks, func(l client.Look) bool { return l.From == "starting" && l.To != "starting" })
	if i < 0 {
		return 0, fmt.Errorf("rollout %d never started", r.ID)
	}
	return looks[i].At.Sub(pushed), nil
}

// write writes the app: a service that fails every second request when bad is
// not 0. Only its environment changes from release to release.
func write(dir string, bad int) error {
	for name, text := range map[string]string{
		"go.mod":       "module " + app + "\n\ngo 1.24\n",
		"main.go":      source,
		"titrate.yaml": fmt.Sprintf(manifest, bad),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the app: %w", err)
		}
	}
	return nil
}

// app is the service's app, and host where it answers.
const (
	app  = "breach"
	host = "breach.localhost"
)

const manifest = `titrate: 1
app: breach
services:
  web:
    build: .
    host: breach.localhost
    health: /healthz
    env: { BAD: "%d" }
    rollout: Linear20PercentEvery5Seconds
    bake: 1s
    drain: 1s
    alarms: { errors: 5xx > 1%% for 2s }
`

const source = `package main

import (
	"net/http"
	"os"
	"sync/atomic"
)

func main() {
	bad := os.Getenv("BAD") != "0"
	var n atomic.Int64
	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		if bad && n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		panic(err)
	}
}
`
