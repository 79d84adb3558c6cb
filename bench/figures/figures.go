// Package figures is what the programs of bench/ share: a Titrate that really
// runs, a sorted sample, and the machine's state beside every figure.
package figures

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"titrate/internal/demo"
)

// Start brings a Titrate up in a temporary folder, for an app whose work tree is
// made with it. An empty program is built first, as make build does. The returned
// function ends and removes everything.
func Start(ctx context.Context, program, app string) (*demo.Platform, func(), error) {
	p, remove, err := Prepare(ctx, program, app)
	if err != nil {
		return nil, nil, err
	}
	if err := p.Up(ctx); err != nil {
		remove()
		return nil, nil, err
	}
	stop := func() { p.Down(); remove() }
	if err := p.Repository(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return p, stop, nil
}

// Prepare is Start without starting it.
func Prepare(ctx context.Context, program, app string) (*demo.Platform, func(), error) {
	dir, err := os.MkdirTemp("", "titrate-bench-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	remove := func() { demo.RemoveAll(dir) }
	if program == "" {
		program = filepath.Join(dir, "titrate")
		if err := Build(ctx, program); err != nil {
			remove()
			return nil, nil, err
		}
	}
	if program, err = filepath.Abs(program); err != nil {
		remove()
		return nil, nil, fmt.Errorf("find the program: %w", err)
	}
	return &demo.Platform{Program: program, Dir: dir, App: app, Env: os.Environ()}, remove, nil
}

// Build builds the program as make build does.
func Build(ctx context.Context, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "titrate/cmd/titrate")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build titrate: %w\n%s", err, out)
	}
	return nil
}

// Head writes what is measured, where and when: a figure from a busy machine is
// not one from an idle one.
func Head(w io.Writer, command string) {
	load, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(load) + " ? ? ?")
	fmt.Fprintf(w, "\n$ %s\n%s, %d cores, load average %s\n", command, time.Now().Format("2006-01-02 15:04"), runtime.NumCPU(), strings.Join(fields[:3], " "))
}

// Line writes one figure with its limit; an empty limit is left out.
func Line(w io.Writer, name, value, limit string) {
	if limit != "" {
		value += "   (limit " + limit + ")"
	}
	fmt.Fprintf(w, "  %-44s %s\n", name, value)
}

// Sample are durations of one kind.
type Sample []time.Duration

// At returns the smallest duration that a share q of the sample does not exceed.
func (s Sample) At(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	i := int(q * float64(len(sorted)))
	return sorted[min(i, len(sorted)-1)]
}

// String tells median, 99th percentile and number.
func (s Sample) String() string {
	if len(s) == 0 {
		return "not measured"
	}
	const unit = time.Millisecond
	return fmt.Sprintf("p50 %v  p99 %v  of %d", s.At(0.5).Round(unit), s.At(0.99).Round(unit), len(s))
}

// Poll asks every few milliseconds until done, an error, or the end of ctx.
func Poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}
