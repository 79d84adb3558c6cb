// Command release makes what a release of Titrate consists of, in one folder: static
// programs, Debian packages, container images, a bill of materials and checksums.
// Two runs from the same commit make the same bytes.
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
	"regexp"
	"strconv"
	"strings"
	"time"
)

// release is one release that is being made.
type release struct {
	root    string    // of the project
	out     string    // the folder to fill
	version string    // 1.2.3
	at      time.Time // when its commit was made: the time of every file
	goCmd   string
	rootfs  string // folder with the files of images beside the program, by architecture; empty: no images
	log     io.Writer
}

// arches are what it is made for.
var arches = []string{"amd64", "arm64"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	r := release{log: log}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.root, "root", "../..", "folder of the project")
	flags.StringVar(&r.out, "out", "../../bin/release", "folder to fill; what is in it is removed")
	flags.StringVar(&r.version, "version", "", "such as 1.2.3 (default: that of the tag, or 0.0.0 with the commit)")
	flags.StringVar(&r.goCmd, "go", "go", "the go command")
	flags.StringVar(&r.rootfs, "rootfs", "", "folder with what images hold beside the program, by architecture (default: no images are made)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.make(ctx)
}

var versionForm = regexp.MustCompile(`^\d+\.\d+\.\d+([~+.-][0-9A-Za-z.~+-]+)?$`)

// settle fills in what was not said: folders, version and time.
func (r *release) settle(ctx context.Context) error {
	var err error
	if r.root, err = filepath.Abs(r.root); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	if r.version == "" {
		if r.version, err = r.describe(ctx); err != nil {
			return err
		}
	}
	if !versionForm.MatchString(r.version) {
		return fmt.Errorf("-version %s: want such as 1.2.3 or 1.2.3-rc1", r.version)
	}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		if seconds, err = r.git(ctx, "log", "-1", "--format=%ct"); err != nil {
			return err
		}
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("read the commit's time: %w", err)
	}
	r.at = time.Unix(n, 0).UTC()
	return nil
}

// describe is the version of the tag v1.2.3 on this commit, or one that names the
// commit only.
func (r *release) describe(ctx context.Context) (string, error) {
	if tag, err := r.git(ctx, "describe", "--tags", "--exact-match", "--match", "v[0-9]*"); err == nil {
		return strings.TrimPrefix(tag, "v"), nil
	}
	commit, err := r.git(ctx, "rev-parse", "--short=12", "HEAD")
	return "0.0.0~git" + commit, err
}

func (r *release) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// make makes every part, and the checksums of all of them at the end.
func (r *release) make(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}
	for _, arch := range arches {
		if err := r.program(ctx, arch); err != nil {
			return err
		}
		if err := r.deb(arch); err != nil {
			return err
		}
	}
	if err := r.images(); err != nil {
		return err
	}
	if err := r.materials(); err != nil {
		return err
	}
	return r.sums()
}

// file is the path of the program for an architecture.
func (r *release) file(arch string) string {
	return filepath.Join(r.out, "titrate-linux-"+arch)
}

// program builds the static program.
func (r *release) program(ctx context.Context, arch string) error {
	cmd := exec.CommandContext(ctx, r.goCmd, "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X titrate/internal/daemon.release="+r.version, "-o", r.file(arch), "./cmd/titrate")
	cmd.Dir, cmd.Stderr = r.root, r.log
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build for %s: %w", arch, err)
	}
	r.made(r.file(arch))
	return nil
}

func (r *release) made(path string) { fmt.Fprintln(r.log, "made", path) }
