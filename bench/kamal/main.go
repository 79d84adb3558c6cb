// Command kamal walks one small app from nothing to a bad commit undone, first with
// Kamal and then with Titrate: the same app, the same engine, the same load. It counts
// the commands that a person types and the files that they edit, and the requests that
// fail, and prints them side by side. Kamal is not part of this project: the environment
// says where its source is.
//
//	KAMAL=…/kamal KAMAL_PROXY=…/kamal-proxy BUILDX=…/buildx go run ./bench/kamal
//
// KAMAL and KAMAL_PROXY are work trees of Kamal and of its proxy; BUILDX is Docker's
// plugin, because Kamal builds with it. It needs root, ruby with Kamal's gems (RUBYLIB
// may name their folders), dockerd, sshd, ssh-keygen and node, and runs in network, mount
// and process namespaces of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"syscall"
	"time"

	"titrate/bench/figures"
)

func main() {
	o := options{}
	flag.Float64Var(&o.rate, "rate", 50, "requests a second")
	flag.DurationVar(&o.notice, "notice", time.Minute, "how long nobody sees that a release is bad, where nothing but a person does; Titrate's alarm takes a minute")
	flag.BoolVar(&o.good, "good", false, "measure a good commit, too: Titrate takes minutes on purpose")
	flag.BoolVar(&o.verbose, "v", false, "show what the commands print")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		log.Fatal(err)
	}
}

// options say how the walk is walked.
type options struct {
	rate          float64
	notice        time.Duration
	good, verbose bool
}

// inside says, in the environment, that this process has namespaces of its own, and
// which folder.
const inside = "TITRATE_BENCH_INSIDE"

func run(ctx context.Context, o options) error {
	for _, name := range []string{"KAMAL", "KAMAL_PROXY", "BUILDX"} {
		if _, err := os.Stat(os.Getenv(name)); err != nil {
			return fmt.Errorf("$%s names nothing that is there: %w", name, err)
		}
	}
	dir := os.Getenv(inside)
	if dir == "" {
		return enter(ctx)
	}
	w, err := newWorld(ctx, dir)
	if err != nil {
		return err
	}
	defer w.end()
	var all []*walk
	for _, tool := range []func(context.Context, *world, options) (*walk, error){kamal, titrate} {
		k, err := tool(ctx, w, o)
		if err != nil {
			return err
		}
		all = append(all, k)
	}
	figures.Head(os.Stdout, fmt.Sprintf("go run ./bench/kamal -rate %g -notice %v", o.rate, o.notice))
	for _, k := range all {
		k.print(os.Stdout)
	}
	return nil
}

// enter runs this program once more in namespaces of its own, which end with it.
func enter(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can start an engine and a server of ssh")
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "walk")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir); err != nil {
		return err
	}
	// The shell is the first process: it reaps what others leave behind.
	args := append([]string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", `"$@"; exit $?`, "sh", self}, os.Args[1:]...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}
