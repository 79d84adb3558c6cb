package local

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// BenchmarkSpawnToReady compares the way of a version from Apply to OnReady with
// the bare start of the same program until its health check answers, for each kind of
// version. The difference is what the supervisor adds.
func BenchmarkSpawnToReady(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) { spawnToReady(b, k) })
	}
	b.Run("bare", func(b *testing.B) {
		self, err := os.Executable()
		if err != nil {
			b.Fatal(err)
		}
		p, probe := newPorts(), prober{}
		for b.Loop() {
			port, err := p.free(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			cmd := exec.Command(self, "serve")
			cmd.Env = []string{"PORT=" + strconv.Itoa(port)}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			for probe.check(b.Context(), "127.0.0.1:"+strconv.Itoa(port), "/healthz") != nil {
			}
			b.StopTimer()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			b.StartTimer()
		}
	})
}

func spawnToReady(b *testing.B, k kind) {
	b.Helper()
	k.need(b)
	dir := newFolder(b)
	k.prepare(b, dir)
	s, ready := quiet(b, dir)
	want := func(rev uint64, w ...world.Workload) {
		if err := s.Apply(world.Wanted{Stamp: world.Stamp{Token: 1, Revision: rev}, Workloads: w}); err != nil {
			b.Fatal(err)
		}
	}
	v := rollout.Version(0)
	for b.Loop() {
		v++
		f := k.fleet(run(v, 1, "serve"))
		f.Drain = 0
		want(2*uint64(v), world.Workload{Key: orders, Fleets: []world.Fleet{f}})
		for e := range ready {
			if e == v {
				break
			}
		}
		b.StopTimer()
		want(2*uint64(v) + 1)
		for seen, changed := s.Seen(); len(seen.Instances) > 0; seen, changed = s.Seen() {
			<-changed
		}
		b.StartTimer()
	}
}

// BenchmarkTakeBack measures how long the next supervisor takes from Run until
// all of 50 living instances may be drawn again.
func BenchmarkTakeBack(b *testing.B) {
	const n = 50
	dir := newFolder(b)
	cfg := testConfig(dir, slog.New(slog.DiscardHandler))
	for b.Loop() {
		b.StopTimer()
		enough := make(chan struct{}, 100)
		cfg.OnReady = func(_ rollout.Key, _ rollout.Version, ready []Endpoint) {
			if len(ready) == n {
				enough <- struct{}{}
			}
		}
		s, err := New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Apply(world.Wanted{Stamp: world.Stamp{Token: 1}, Workloads: []world.Workload{{Key: orders, Fleets: []world.Fleet{run(1, n, "serve")}}}}); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		first := b.Elapsed() == 0 && !exists(filepath.Join(dir, "node", "workloads"))
		if !first {
			b.StartTimer()
		}
		go func() { done <- s.Run(ctx) }()
		<-enough
		b.StopTimer()
		if first {
			b.Cleanup(func() { stopAll(b, cfg) })
		}
		cancel()
		<-done
		b.StartTimer()
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// quiet runs a supervisor and tells the versions that become ready.
func quiet(b *testing.B, dir string) (*Supervisor, <-chan rollout.Version) {
	b.Helper()
	ready := make(chan rollout.Version, 1000)
	cfg := testConfig(dir, slog.New(slog.DiscardHandler))
	cfg.OnReady = func(_ rollout.Key, v rollout.Version, es []Endpoint) {
		if len(es) > 0 {
			ready <- v
		}
	}
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		<-done
		stopAll(b, cfg)
	})
	return s, ready
}

// stopAll ends what runs on a folder.
func stopAll(b *testing.B, cfg Config) {
	b.Helper()
	cfg.OnReady = nil
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for s.Stop(ctx) != nil && ctx.Err() == nil {
		_, changed := s.Seen()
		select {
		case <-changed:
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	<-done
}
