package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"titrate/bench/figures"
	"titrate/internal/demo"
)

// cold measures calls that find no instance, beside what the process takes by itself to
// ask for work.
func cold(ctx context.Context, p *demo.Platform, n int, noop string) error {
	for _, of := range []struct {
		name, workload, host, limit string
		alone                       []string
	}{
		{"Go", "fn", "fn.localhost", "40 ms beyond the process's own start", []string{noop}},
		{"Node", "js", "js.localhost", "60 ms beyond node's own start", []string{"node", "-e", "fetch('http://'+process.env.AWS_LAMBDA_RUNTIME_API+'/2018-06-01/runtime/invocation/next')"}},
	} {
		if _, err := exec.LookPath(of.alone[0]); err != nil {
			figures.Line(os.Stdout, "cold start, "+of.name, "not measured: "+err.Error(), of.limit)
			continue
		}
		var ours, alone figures.Sample
		for range n {
			d, err := coldCall(ctx, p, of.workload, of.host)
			if err != nil {
				return err
			}
			a, err := start(ctx, of.alone)
			if err != nil {
				return err
			}
			ours, alone = append(ours, d), append(alone, a)
		}
		const unit = 100 * time.Microsecond
		figures.Line(os.Stdout, "cold start, "+of.name, fmt.Sprintf("p50 %v of %d; the process alone %v; beyond it %v",
			ours.At(0.5).Round(unit), n, alone.At(0.5).Round(unit), (ours.At(0.5)-alone.At(0.5)).Round(unit)), of.limit)
	}
	return nil
}

// coldCall ends the instances of a function and calls it.
func coldCall(ctx context.Context, p *demo.Platform, workload, host string) (time.Duration, error) {
	err := figures.Poll(ctx, func() (bool, error) {
		a, err := p.Client.App(ctx, app)
		if err != nil {
			return false, err
		}
		lives := false
		for _, e := range a.Environments {
			for _, w := range e.Workloads {
				if w.Name != workload {
					continue
				}
				for _, i := range w.Instances {
					if lives = true; i.PID > 0 {
						_ = syscall.Kill(i.PID, syscall.SIGKILL) // it may have gone since
					}
				}
			}
		}
		return !lives, nil
	})
	if err != nil {
		return 0, err
	}
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	began := time.Now()
	if err := call(ctx, c, p.Gateway+"/", host, nil); err != nil {
		return 0, fmt.Errorf("cold call of %s: %w", workload, err)
	}
	return time.Since(began), nil
}

// start runs a program until it asks for work, and ends it.
func start(ctx context.Context, argv []string) (time.Duration, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("listen: %w", err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", argv[0], err)
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+l.Addr().String(), "_HANDLER="+filepath.Base(path))
	asked := make(chan time.Time, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 64)
		if n, err := c.Read(b); err == nil && n > 0 {
			asked <- time.Now()
		}
		<-ctx.Done()
	}()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", path, err)
	}
	defer func() { cancel(); _ = cmd.Wait() }() // it is ended by its context
	select {
	case at := <-asked:
		return at.Sub(began), nil
	case <-ctx.Done():
		return 0, errors.New(path + " did not ask for work")
	}
}
