// Command mutate plants faults in a package and runs the package's tests against
// one after the other, to learn how many they find. Run it in the root of the
// module:
//
//	go run ./tools/mutate -min 95 ./internal/rollout ./internal/analysis
//
// Each fault is a changed operator: a comparison moved by one or turned round, a
// sum made a difference, "and" made "or", a "not" left out. Constants are left
// alone. Unlike tools that go by coverage profiles it plants them in the
// conditions of switch cases too, which is where decisions stand. All faults are
// compiled into one test program, asleep, and an environment variable wakes one:
// a fault costs one run of the tests and no compilation. It works on a copy, so
// that nothing of the tree is touched. It fails when a package's share of found
// faults is below -min.
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
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	var o options
	flag.Float64Var(&o.least, "min", 95, "smallest share found, in percent")
	flag.IntVar(&o.workers, "workers", runtime.NumCPU(), "tests run at the same time")
	flag.StringVar(&o.only, "only", "", "plant faults only in files whose name contains this")
	flag.Parse()
	o.packages = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, o)
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
	if err := copyModule(".", temp); err != nil {
		return fmt.Errorf("copy the module: %w", err)
	}
	var low []string
	for _, pkg := range o.packages {
		share, err := mutate(ctx, out, temp, filepath.Clean(pkg), o)
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

// mutate plants the faults of a package in the copy, wakes one after the other,
// and returns the share found in percent.
func mutate(ctx context.Context, out io.Writer, root, pkg string, o options) (float64, error) {
	faults, files, err := plant(ctx, root, pkg, o.only)
	if err != nil {
		return 0, err
	}
	for path, text := range files {
		sound, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return 0, err
		}
		// The next package's tests are to run with this one sound.
		defer func() {
			if sound == nil {
				_ = os.Remove(path)
				return
			}
			_ = os.WriteFile(path, sound, 0o644)
		}()
	}

	program := filepath.Join(root, "mutants.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-o", program, "./"+filepath.ToSlash(pkg))
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build with the faults asleep: %w\n%s", err, text)
	}
	started := time.Now()
	tests := testProgram{path: program, dir: filepath.Join(root, pkg), limit: 10 * time.Minute}
	if text, err := tests.run(ctx, 0); err != nil {
		return 0, fmt.Errorf("the tests do not pass with the faults asleep: %w\n%s", err, text)
	}
	// Generous: beside other work the same tests may take several times as long.
	tests.limit = 10*time.Second + 5*time.Since(started)

	missed := wakeAll(ctx, out, tests, faults, o.workers)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	found := len(faults) - missed
	share := 100 * float64(found) / float64(max(1, len(faults)))
	fmt.Fprintf(out, "%s: %d of %d planted faults found: %.1f %% (%s)\n", pkg, found, len(faults), share, time.Since(started).Round(time.Second))
	return share, nil
}

// wakeAll returns how many faults the tests do not find, and tells each at once.
func wakeAll(ctx context.Context, out io.Writer, tests testProgram, faults []fault, workers int) (missed int) {
	queue := make(chan fault)
	var mu sync.Mutex
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for f := range queue {
				if _, err := tests.run(ctx, f.id); err == nil {
					mu.Lock()
					missed++
					fmt.Fprintf(out, "%s: not found: %s\n", f.place, f.change)
					mu.Unlock()
				}
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
	group.Wait()
	return missed
}

// testProgram is a compiled test program with faults in it.
type testProgram struct {
	path, dir string
	limit     time.Duration
}

// run returns an error if the tests fail with the fault awake; 0 is none.
func (p testProgram) run(ctx context.Context, id int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, "-test.failfast", "-test.timeout="+p.limit.String())
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), variable+"="+strconv.Itoa(id), "GOMEMLIMIT=1GiB")
	return cmd.CombinedOutput()
}
