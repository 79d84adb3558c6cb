// Command functions measures functions through a Titrate that really runs: warm and cold
// calls beside the same handler as a plain service and beside AWS's runtime interface
// emulator, sixty-four of them idle, and a release of all. Repeat with
//
//	go run ./bench/functions [-emulator PATH]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"titrate/bench/figures"
	"titrate/client"
	"titrate/internal/demo"
)

const app = "bench"

// many is how many functions are released together.
const many = 64

type settings struct {
	program, emulator string
	rate              float64
	lasting, idle     time.Duration
	colds             int
}

func main() {
	var s settings
	flag.StringVar(&s.program, "program", "", "path of the titrate binary; empty: it is built")
	flag.StringVar(&s.emulator, "emulator", "", "path of aws-lambda-rie, built from its public source; empty: nothing is compared with it")
	flag.Float64Var(&s.rate, "rate", 2000, "requests a second, whether or not earlier ones were answered")
	flag.DurationVar(&s.lasting, "for", 10*time.Second, "how long each turn of load lasts")
	flag.DurationVar(&s.idle, "idle", 30*time.Second, "how long idle functions are watched")
	flag.IntVar(&s.colds, "colds", 20, "cold starts of each runtime")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if err := run(ctx, s); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, s settings) error {
	p, stop, err := figures.Start(ctx, s.program, app)
	if err != nil {
		return err
	}
	defer stop()
	noop, err := write(ctx, p.Work(), "one")
	if err != nil {
		return err
	}
	if _, err := release(ctx, p, "first", 1); err != nil {
		return err
	}
	figures.Head(os.Stdout, "go run ./bench/functions "+strings.Join(os.Args[1:], " "))
	if err := warm(ctx, p, s, noop); err != nil {
		return err
	}
	if err := cold(ctx, p, s.colds, noop); err != nil {
		return err
	}
	if err := change(ctx, p); err != nil {
		return err
	}
	u, err := figures.Idle(ctx, p, s.idle)
	if err != nil {
		return err
	}
	figures.Line(os.Stdout, fmt.Sprintf("%d functions idle: PSS of up + server + node", many+2), fmt.Sprintf("%.1f MB", float64(u.PSS)/1e6), "150 MB")
	figures.Line(os.Stdout, "CPU of the three", fmt.Sprintf("%.2f %% of a core over %v", 100*u.CPU.Seconds()/s.idle.Seconds(), s.idle), "")
	return nil
}

// write makes the app: a function and a service of one program, one in Node where it is
// there, and many of one program.
func write(ctx context.Context, dir, version string) (noop string, err error) {
	noop = filepath.Join(dir, "fn", "bootstrap")
	if err := os.MkdirAll(filepath.Dir(noop), 0o755); err != nil {
		return "", fmt.Errorf("write the app: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags=lambda.norpc", "-o", noop, "titrate/bench/functions/noop")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the function: %w\n%s", err, out)
	}
	var m strings.Builder
	fmt.Fprintf(&m, "titrate: 1\napp: %s\ndefaults: { rollout: AllAtOnce, bake: 0s, alarms: none, scale: { max: 64 } }\n", app)
	m.WriteString("services:\n  plain: { build: { dir: fn, command: \"true\", output: ., run: ./bootstrap serve }, host: plain.localhost, scale: 1 }\n")
	m.WriteString("functions:\n  fn: { host: fn.localhost, http: GET / }\n")
	if _, err := exec.LookPath("node"); err == nil {
		m.WriteString("  js: { host: js.localhost, http: GET / }\n")
	}
	for i := range many {
		fmt.Fprintf(&m, "  m%02d: { build: many, handler: m%02d }\n", i, i)
	}
	m.WriteString("together: all\n")
	for name, text := range map[string]string{
		"titrate.yaml": m.String(), "js/index.mjs": "export const handler = async () => ({ statusCode: 200, body: 'ok' })\n",
		"js/package.json": `{"name":"js","version":"1.0.0","type":"module"}`, "many/bootstrap": "#!/bin/sh\n# " + version + "\nexec \"$0.bin\"\n",
	} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return "", fmt.Errorf("write the app: %w", err)
		}
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil { //nolint:gosec // programs, to be run by who builds
			return "", fmt.Errorf("write the app: %w", err)
		}
	}
	data, err := os.ReadFile(noop)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "many", "bootstrap.bin"), data, 0o755) //nolint:gosec // a program
	}
	if err != nil {
		return "", fmt.Errorf("write the app: %w", err)
	}
	return noop, nil
}

// release pushes, and waits until everything of it is promoted. It returns the lines that
// the push wrote.
func release(ctx context.Context, p *demo.Platform, subject string, number int) ([]string, error) {
	if _, err := p.Commit(ctx, subject); err != nil {
		return nil, err
	}
	said, err := p.Push(ctx)
	if err != nil {
		return said, fmt.Errorf("push: %w\n%s", err, strings.Join(said, "\n"))
	}
	return said, figures.Poll(ctx, func() (bool, error) {
		rs, err := p.Client.Rollouts(ctx, client.RolloutQuery{App: app})
		i := slices.IndexFunc(rs, func(r client.Rollout) bool { return r.Release == number })
		if err != nil || i < 0 {
			return false, err
		}
		if r := rs[i]; r.Over() && r.Outcome != "promoted" {
			return false, errors.New(r.Outcome + ": " + r.Why)
		}
		return rs[i].Outcome == "promoted", nil
	})
}

// change releases all functions anew: what it takes beside the build until the first
// weight is served.
func change(ctx context.Context, p *demo.Platform) error {
	if _, err := write(ctx, p.Work(), "two"); err != nil {
		return err
	}
	if _, err := p.Commit(ctx, "second"); err != nil {
		return err
	}
	began := time.Now()
	type pushed struct {
		said []string
		err  error
	}
	done := make(chan pushed, 1)
	go func() {
		said, err := p.Push(ctx)
		done <- pushed{said, err}
	}()
	var first time.Duration
	err := figures.Poll(ctx, func() (bool, error) {
		rs, err := p.Client.Rollouts(ctx, client.RolloutQuery{App: app})
		i := slices.IndexFunc(rs, func(r client.Rollout) bool { return r.Release == 2 && r.Weight > 0 })
		if i >= 0 {
			first = time.Since(began)
		}
		return i >= 0, err
	})
	got := <-done
	if err := errors.Join(err, got.err); err != nil {
		return fmt.Errorf("release anew: %w\n%s", err, strings.Join(got.said, "\n"))
	}
	build := built(got.said)
	figures.Line(os.Stdout, fmt.Sprintf("%d functions of one program changed: push → first weight", many),
		fmt.Sprintf("%v, of which the build %v; beyond it %v", first.Round(time.Millisecond), build, (first-build).Round(time.Millisecond)), "5 s beyond the build")
	return nil
}

// built is how long the build took, as the push was told.
func built(said []string) (longest time.Duration) {
	for _, line := range said {
		i := strings.Index(line, "build ")
		if i < 0 {
			continue
		}
		var name string
		var seconds float64
		if n, _ := fmt.Sscanf(line[i:], "build %s %f s", &name, &seconds); n == 2 {
			longest = max(longest, time.Duration(seconds*float64(time.Second)))
		}
	}
	return longest
}
