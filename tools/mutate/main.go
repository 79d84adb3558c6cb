// Command mutate plants one fault at a time in a package and runs the package's
// tests, to learn how many faults they find. Run it in the root of the module:
//
//	go run ./tools/mutate -min 95 ./internal/rollout ./internal/analysis
//
// Each fault is a changed operator: a comparison moved by one or turned round, a
// sum made a difference, "and" made "or", a "not" left out. Unlike tools that go
// by coverage profiles it plants them in the conditions of switch cases too,
// which is where decisions stand. It works on a copy, so that nothing of the
// tree is touched. It fails when a package's share of found faults is below -min.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

func main() {
	least := flag.Float64("min", 95, "smallest share found, in percent")
	workers := flag.Int("workers", runtime.NumCPU(), "tests run at the same time")
	only := flag.String("only", "", "plant faults only in files whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, options{packages: flag.Args(), least: *least, workers: *workers, only: *only})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1) //nolint:forbidigo // this is a command of its own
	}
}

type options struct {
	packages []string
	least    float64
	workers  int
	only     string
}

func run(ctx context.Context, out io.Writer, o options) error {
	if len(o.packages) == 0 {
		return errors.New("name the packages: mutate ./internal/analysis")
	}
	temp, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	var copies []string
	for i := range o.workers {
		dir := filepath.Join(temp, fmt.Sprint(i))
		if err := copyModule(".", dir); err != nil {
			return fmt.Errorf("copy the module: %w", err)
		}
		copies = append(copies, dir)
	}
	var low []string
	for _, pkg := range o.packages {
		share, err := mutate(ctx, out, copies, filepath.Clean(pkg), o.only)
		if err != nil {
			return fmt.Errorf("%s: %w", pkg, err)
		}
		if share < o.least {
			low = append(low, fmt.Sprintf("%s %.1f %%", pkg, share))
		}
	}
	if len(low) > 0 {
		return fmt.Errorf("below %g %%: %s", o.least, strings.Join(low, ", "))
	}
	return nil
}

// copyModule copies the tree without what begins with a dot and what was built.
func copyModule(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != "." && strings.HasPrefix(d.Name(), "."), path == "bin":
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, path), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), b, 0o644)
	})
}

// result is what became of a planted fault.
type result int

const (
	found    result = iota // a test failed, or did not end
	missed                 // all tests passed
	unusable               // it does not compile: not a fault that anybody could commit
)

// mutate plants every fault of the package and returns the share found in percent.
func mutate(ctx context.Context, out io.Writer, copies []string, pkg, only string) (float64, error) {
	faults, err := faultsOf(pkg, only)
	if err != nil {
		return 0, err
	}
	started := time.Now()
	if r, text := test(ctx, copies[0], pkg, 10*time.Minute); r != missed {
		return 0, fmt.Errorf("the tests do not pass as they are:\n%s", text)
	}
	// Generous: beside other work the same tests may take several times as long.
	limit := 10*time.Second + 5*time.Since(started)

	queue := make(chan fault)
	var mu sync.Mutex
	var broken error
	count := map[result]int{}
	var workers sync.WaitGroup
	for _, dir := range copies {
		workers.Go(func() {
			for f := range queue {
				r, err := plant(ctx, dir, pkg, f, limit)
				mu.Lock()
				count[r]++
				if r == missed && err == nil {
					fmt.Fprintf(out, "%s: not found: %s\n", f.place, f.change)
				}
				broken = errors.Join(broken, err)
				mu.Unlock()
			}
		})
	}
	for _, f := range faults {
		if ctx.Err() != nil {
			break
		}
		queue <- f
	}
	close(queue)
	workers.Wait()
	if err := errors.Join(broken, ctx.Err()); err != nil {
		return 0, err
	}
	total := count[found] + count[missed]
	share := 100 * float64(count[found]) / float64(max(1, total))
	fmt.Fprintf(out, "%s: %d of %d planted faults found: %.1f %% (%d more do not compile; %s)\n",
		pkg, count[found], total, share, count[unusable], time.Since(started).Round(time.Second))
	return share, nil
}

// plant tests the package with the fault in it, and takes it out again.
func plant(ctx context.Context, dir, pkg string, f fault, limit time.Duration) (result, error) {
	path := filepath.Join(dir, f.file)
	sound, err := os.ReadFile(path)
	if err != nil {
		return missed, err
	}
	if err := os.WriteFile(path, f.apply(sound), 0o644); err != nil {
		return missed, err
	}
	r, _ := test(ctx, dir, pkg, limit)
	return r, errors.Join(ctx.Err(), os.WriteFile(path, sound, 0o644))
}

// test runs the package's tests.
func test(ctx context.Context, dir, pkg string, limit time.Duration) (result, string) {
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-failfast", "-count=1", "-timeout", limit.String(), "./"+filepath.ToSlash(pkg))
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return missed, ""
	case strings.Contains(string(text), "[build failed]"):
		return unusable, string(text)
	default:
		return found, string(text)
	}
}
