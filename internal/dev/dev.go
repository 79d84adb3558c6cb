// Package dev runs an app from its working folder: it builds what was saved, runs
// it behind a real gateway on one local address, shows what it writes, and judges
// it by the manifest's alarms. Nothing is released, and no server is needed. It is
// wiring: pipeline, supervisor and gateway decide what they always do.
package dev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/delivery"
	"titrate/internal/events"
	"titrate/internal/gateway"
	"titrate/internal/manifest"
	"titrate/internal/pipeline"
	"titrate/internal/rollout"
	"titrate/internal/target/local"
	"titrate/internal/world"
)

// Config says what to run, and how.
type Config struct {
	Root    string            // the folder of titrate.yaml
	Dir     string            // where builds, logs and state are kept from one run to the next
	Env     string            // the environment; empty: the manifest's last
	Only    []string          // services; empty: all
	Repos   map[string]string // folders of the app's further repositories, by name; those beside Root need not be here
	Gateway string            // host:port
	Split   rollout.Weight
	Faults  []Fault
	Record  string // file for a load profile; empty: none
	Replay  string // load profile to send again and again; empty: none
	Logs    []string
	Vars    []string // KEY=VALUE of the caller: where secrets are that .env does not have
	Out     io.Writer
	Colour  bool
	Log     *slog.Logger // what the parts say of themselves
}

// env is the environment of what runs here, in logs and variables, whatever the
// manifest calls the one whose settings it has.
const env = "dev"

// Run runs until ctx ends; then everything has ended that it started. It fails only
// where it cannot begin: what is saved may be as wrong as it likes.
func Run(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make the folder for builds and logs: %w", err)
	}
	lock, err := alone(cfg.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	d := &dev{Config: cfg, say: &teller{out: cfg.Out, colour: cfg.Colour, logs: cfg.Logs}, repos: map[string]*repo{}, told: map[string]bool{}, changes: make(chan change), works: map[string]*work{}, faulty: map[versionOf]bool{}}
	if d.saved, err = d.read(cfg.Root); err != nil {
		return err
	}
	if err := d.named(); err != nil {
		return err
	}
	if d.count, err = lastVersion(cfg.Dir); err != nil {
		return err
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	return d.run(ctx)
}

// alone keeps a second one off the same folder until what it returns is closed.
func alone(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("error[T0727]: titrate dev runs for this folder already\n  where   %s\n  help    end the other one with Ctrl-C", dir)
	}
	return f, nil
}

// dev is one run. What has no lock of its own is the loop's.
type dev struct {
	Config
	say        *teller
	builder    *pipeline.Builder
	supervisor *local.Supervisor
	gateway    *gateway.Gateway
	events     *events.Events
	on         gateway.Listeners
	front      net.Listener // where people ask; differs from on.Public while requests are recorded
	faults     *interposer

	saved    *app             // as the manifest stands
	base     *app             // as it was committed, with --split
	repos    map[string]*repo // whose files are here, by name
	told     map[string]bool  // further repositories, and whether it was said that their files are here
	works    map[string]*work // by service
	count    rollout.Version  // the last one given
	revision uint64

	changes  chan change
	watching sync.WaitGroup

	mu        sync.Mutex
	faulty    map[versionOf]bool // versions that get faults
	functions []string           // that run, or are to
}

type versionOf struct {
	workload string
	version  rollout.Version
}

func (d *dev) path(elem ...string) string {
	return filepath.Join(append([]string{d.Dir}, elem...)...)
}

func (d *dev) key(workload string) rollout.Key {
	return rollout.Key{App: d.saved.name, Env: env, Workload: workload}
}

// open makes the parts.
func (d *dev) open(ctx context.Context) error {
	var err error
	d.builder, err = pipeline.Open(pipeline.Config{Dir: d.Dir, Launcher: []string{"/proc/self/exe"}, Network: true, Waited: true, Log: d.Log})
	if err != nil {
		return err
	}
	if err := d.builder.GC(ctx, nil, artifactsKept, time.Now()); err != nil {
		return err
	}
	if err := d.listen(ctx); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(d.on.Internal.Addr().String())
	if err != nil {
		return fmt.Errorf("read the internal address: %w", err)
	}
	var internal int
	if _, err := fmt.Sscan(port, &internal); err != nil {
		return fmt.Errorf("read the internal address: %w", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it does not fail
	d.events, err = events.Open(ctx, events.Config{Dir: d.path("events"), Key: key, Log: d.Log, Deliver: delivery.By(func() *gateway.Gateway { return d.gateway })})
	if err != nil {
		return err
	}
	if d.gateway, err = gateway.New(gateway.Config{Logger: d.Log, Epoch: "dev", InternalPort: internal, Own: d.events.Handler(), Drain: drain, IdleGrace: time.Millisecond}); err != nil {
		return err
	}
	d.faults = &interposer{faults: d.Faults, by: map[string]*between{}}
	d.supervisor, err = local.New(local.Config{
		Dir: d.path("node"), Data: d.Dir, Artifacts: d.path("artifacts"), Logs: d.path("logs"), Log: d.Log, Grace: drain,
		Open:     func(addr string) int { return d.gateway.OpenAt(d.faults.at(addr)) },
		OnReady:  d.ready,
		OnSample: d.sample,
		URLs: func(k rollout.Key, uses []string) map[string]string {
			out := map[string]string{}
			for _, name := range uses {
				out[name] = d.gateway.InternalURL(rollout.Key{App: k.App, Env: k.Env, Workload: name})
			}
			return out
		},
		Variables: d.variables,
	})
	return err
}

// variables are what processes send events with, where there are functions.
func (d *dev) variables(app, env string) map[string]string {
	if !slices.ContainsFunc(d.saved.services, func(s manifest.Service) bool { return s.Function != nil }) {
		return nil
	}
	return d.events.Variables(app, env, d.gateway.OwnAddr())
}

const (
	artifactsKept = 24 * time.Hour
	drain         = time.Second // there is nobody whose request could not be sent again
)

func (d *dev) listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", d.Gateway)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("error[T0702]: %s is taken by another program\n  help    titrate dev --gateway 127.0.0.1:0 takes a free port, or name another one", d.Gateway)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", d.Gateway, err)
	}
	d.front, d.on.Public = l, l
	if d.Record != "" {
		if d.on.Public, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return fmt.Errorf("listen behind the recorder: %w", err)
		}
	}
	d.on.Internal, err = gateway.ListenInternal(ctx, 0)
	return err
}

// ready gives the gateway what may be drawn, with faults before it where they are to be.
func (d *dev) ready(k rollout.Key, v rollout.Version, ready []local.Endpoint) {
	d.mu.Lock()
	faulty := d.faulty[versionOf{k.Workload, v}]
	d.mu.Unlock()
	var out []gateway.Endpoint
	for _, e := range ready {
		addr := e.Addr
		if faulty && e.Callee == nil {
			addr = d.faults.before(k.Workload, addr)
		}
		out = append(out, gateway.Endpoint{ID: e.Instance, Addr: addr, Callee: e.Callee})
	}
	d.gateway.SetInstances(k, v, out)
}

func (d *dev) sample(all []local.Sample) {
	for _, s := range all {
		d.gateway.AddResource(s.Key, s.Version, gateway.Resource{CPU: s.CPU, CPULimit: s.CPULimit, Memory: s.Memory, MemoryLimit: s.MemoryLimit, Restarts: s.Restarts})
	}
}

// run is the loop. Everything beside it ends before it returns.
func (d *dev) run(ctx context.Context) error {
	defer d.watching.Wait()
	defer func() {
		if err := d.events.Close(); err != nil {
			d.say.fault(err)
		}
	}()
	ctx, unwatch := context.WithCancel(ctx)
	defer unwatch()
	parts, end := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	defer beside.Wait()
	defer end()
	failed := make(chan error, 8)
	part := func(what string, run func(context.Context) error) {
		beside.Go(func() {
			if err := run(parts); err != nil && parts.Err() == nil {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	own := d.repo("")
	if err := d.watch(ctx, own); err != nil {
		return err
	}
	windows := make(chan world.VersionWindow, 256)
	part("the supervisor", d.supervisor.Run)
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + gateway.Loops())
	part("the gateway", func(ctx context.Context) error { return d.gateway.Serve(ctx, d.on) })
	part("the events", d.events.Run)
	part("the door", d.door)
	part("the logs", d.follow)
	part("the measurements", func(ctx context.Context) error { return d.measure(ctx, windows) })
	if d.Record != "" {
		rec, err := newRecorder(d.Record, d.saved.name, d.on.Public.Addr().String())
		if err != nil {
			return err
		}
		part("the recorder", func(ctx context.Context) error { return rec.serve(ctx, d.front) })
		defer func() { d.say.line("%s", rec.close()) }()
	}
	if d.Replay != "" {
		p, err := readProfile(d.Replay)
		if err != nil {
			return err
		}
		part("the replay", func(ctx context.Context) error { return p.replay(ctx, d.front.Addr().String()) })
	}
	defer d.stop(parts)
	d.say.line("%s from %s. Ctrl-C ends it.", d.saved.name, d.Root)
	d.reload(ctx, own, time.Now())
	d.addresses()
	for {
		_, moved := d.supervisor.Seen()
		d.settle()
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case c := <-d.changes:
			if c.lost {
				return fmt.Errorf("%s is not watched any more", c.in.dir)
			}
			d.reload(ctx, c.in, c.at)
		case <-moved:
		case w := <-windows:
			d.judge(w)
		}
	}
}

// stop ends every process, also of a run that was killed before.
func (d *dev) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := d.supervisor.Stop(ctx); err != nil {
		d.say.line("▲ not everything ended by itself: %v", err)
	}
	d.faults.close()
}

func (d *dev) measure(ctx context.Context, to chan<- world.VersionWindow) error {
	for after := uint64(0); ctx.Err() == nil; {
		for _, w := range d.gateway.Windows(ctx, after) {
			after = w.Cursor
			select {
			case to <- w:
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// follow shows what processes write from now on.
func (d *dev) follow(ctx context.Context) error {
	q := world.LogQuery{App: d.saved.name, Env: env, Since: time.Now(), Follow: true}
	for l, err := range local.ReadLogs(ctx, d.path("logs"), q) {
		if err != nil {
			return err
		}
		d.say.log(l)
	}
	return nil
}

// addresses says where services answer.
func (d *dev) addresses() {
	_, port, _ := net.SplitHostPort(d.front.Addr().String())
	for _, s := range d.saved.services {
		if s.Host == "" || !d.wanted(s.Name) {
			continue
		}
		hosts := d.saved.hosts(s)
		at := "http://" + net.JoinHostPort(hosts[len(hosts)-1], port)
		if s.Function == nil {
			d.say.line("  ✔ %-16s %s%s", s.Name, at, s.Route)
			continue
		}
		for _, route := range s.Function.Triggers.Routes {
			method, path, _ := strings.Cut(route, " ")
			d.say.line("  ✔ %-16s %s %s%s", s.Name, method, at, path)
		}
	}
}
