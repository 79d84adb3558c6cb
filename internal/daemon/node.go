package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/cgroup"
	"titrate/internal/delivery"
	"titrate/internal/engine"
	"titrate/internal/events"
	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/target/local"
)

// NodeConfig is what the node's process is started with.
type NodeConfig struct {
	Dir     string // the data folder
	Sockets string // the content of keeper.SocketsVar
	Engine  string // the container engine: a setting of engine.Seek
	Access  string // the setting of the access log: see ParseAccessLog
	Proxies Proxies
	Unit    cgroup.Unit // what the service manager does for its control groups
	Log     *slog.Logger
}

// Node is the data plane: gateway and supervisor in one process, serving on from
// its own snapshot. It runs until ctx ends or the gateway cannot accept any more;
// workloads live on. When the next keeper takes over, the next node supervises at once,
// and this one's gateway goes on until that node accepts, and then to the end of what it
// has (R17).
func Node(ctx context.Context, cfg NodeConfig) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	dir := folder(cfg.Dir)
	lock, err := awaitLock(ctx, dir.at("node", "node.lock"))
	if err != nil {
		return err
	}
	token, err := dir.nodeToken()
	if err != nil {
		return err
	}
	in := keeper.Inherit(cfg.Sockets)
	secure, err := readHTTPS(dir)
	if err != nil {
		return err
	}
	on, err := listeners(in, secure)
	if err != nil {
		return err
	}
	seeker, err := engine.Seek(cfg.Engine)
	if err != nil {
		return err
	}
	front, err := dir.front(cfg)
	if err != nil {
		return err
	}
	m, err := newMachine(dir, on.Internal.Addr().(*net.TCPAddr).Port, secure, token, seeker, cfg.Unit, front, cfg.Log)
	if err != nil {
		return err
	}
	working, handOver := context.WithCancel(ctx) // of all but the gateway
	defer handOver()
	p, last := newParts(cfg.Log), newParts(cfg.Log)
	m.before.find(working, dir, token)
	p.start(working, "supervisor", m.supervisor.Run)
	end := &leaving{m: m}
	last.start(ctx, "handover", func(ctx context.Context) error {
		return in.Handover(ctx, cfg.Dir, "node", token, func() { end.begin(ctx, last, dir, token, handOver, leave) })
	})
	// Before awaitReady, so that it can be asked to stop what it has not taken back yet.
	p.start(working, "protocol", func(ctx context.Context) error { return serveUnix(ctx, dir.nodeSocket(), node.NewHandler(m, token)) })
	if m.stock != nil {
		p.start(working, "certificates", m.stock.Run)
	}
	m.awaitReady(working)
	p.start(working, "observer", m.observe)
	p.start(working, "events", m.events.Run)
	p.start(working, "queue ages", m.ages)
	p.start(working, "nodes before", m.before.run)
	last.start(ctx, "relief", func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-m.gateway.Serving():
			m.before.relieve(ctx)
		}
		return nil
	})
	go func() {
		<-working.Done()
		m.door.leave()
		p.wait()
		if err := m.events.Close(); err != nil {
			cfg.Log.Error("close the events", slog.Any("error", err))
		}
		// From here on the next node may supervise; what is in flight here ends here.
		lock.Close()
	}()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + gateway.Loops())
	err = m.gateway.Serve(ctx, on)
	m.nothingDrawn()
	end.awaitRead()
	leave() // when it ended by itself all of this process ends with it: the keeper starts the next
	return errors.Join(err, p.err(), last.err())
}

// newMachine builds the node's parts and gives them the last world they had.
func newMachine(dir folder, internalPort int, secure HTTPS, token string, seeker *engine.Seeker, unit cgroup.Unit, cfg gateway.Config, log *slog.Logger) (*machine, error) {
	snapshot, err := node.OpenSnapshot(dir.node())
	if err != nil {
		return nil, err
	}
	wanted, err := snapshot.Load()
	if err != nil {
		log.Error("load the snapshot", slog.Any("error", err)) // it says what is served instead
	}
	now := time.Now()
	m := &machine{
		snapshot: snapshot, logs: dir.logs(), log: log, wanted: wanted,
		started: now, epoch: fmt.Sprintf("%d-%d", now.UnixMilli(), os.Getpid()),
		sequence: uint64(now.UnixNano()), changed: make(chan struct{}), drawn: make(chan struct{}), kick: make(chan struct{}, 1), https: secure,
	}
	if m.stock, err = secure.stock(dir, m); err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte("events " + token))
	m.events, err = events.Open(context.Background(), events.Config{
		Dir: dir.at("node", "events"), Key: key[:], Log: log, Deliver: delivery.By(func() *gateway.Gateway { return m.gateway }),
	})
	if err != nil {
		return nil, err
	}
	m.before = &before{m: m}
	m.door = newEventDoor(m.events.Handler(), func() string { return m.gateway.OwnAddr() }, func() <-chan struct{} { return m.gateway.Closed() })
	cfg.Logger, cfg.Epoch, cfg.InternalPort, cfg.Own, cfg.OnCut = log, m.epoch, internalPort, m.door, m.keepDamage
	if m.stock != nil {
		running, err := ReadRunning(string(dir))
		if err != nil {
			return nil, err
		}
		cfg.Certificates, cfg.Control = m.stock, secure.control(strings.TrimPrefix(running.API, "http://"), token)
	}
	if m.gateway, err = gateway.New(cfg); err != nil {
		return nil, err
	}
	m.supervisor, err = local.New(local.Config{
		Dir: dir.at("node", "local"), Data: string(dir), Artifacts: dir.artifacts(), Logs: dir.logs(), Exits: dir.at("node", "exits"),
		Engine: seeker.Engine, Unit: unit, Log: log,
		Open: func(addr string) int { return m.gateway.OpenAt(addr) + m.before.openAt(addr) }, Asked: m.gateway.Asked,
		OnReady: func(k rollout.Key, v rollout.Version, ready []local.Endpoint) {
			m.gateway.SetInstances(k, v, endpoints(ready))
			m.before.ready(context.Background(), k, v, ready)
		},
		URLs:      m.urls,
		Variables: m.variables,
		Drawn:     m.drawn,
		OnSample:  m.sample,
	})
	if err != nil {
		return nil, err
	}
	m.confinement = m.supervisor.Confinement()
	if err := m.apply(context.Background(), wanted); err != nil {
		log.Error("apply the snapshot", slog.Any("error", err))
	}
	return m, nil
}

func endpoints(ready []local.Endpoint) []gateway.Endpoint {
	out := make([]gateway.Endpoint, 0, len(ready))
	for _, e := range ready {
		out = append(out, gateway.Endpoint{ID: e.Instance, Addr: e.Addr, Callee: e.Callee})
	}
	return out
}

// urls are the addresses at which workload k reaches those of its environment
// that it uses.
func (m *machine) urls(k rollout.Key, uses []string) map[string]string {
	out := map[string]string{}
	for _, name := range uses {
		out[name] = m.gateway.InternalURL(rollout.Key{App: k.App, Env: k.Env, Workload: name})
	}
	return out
}

func (m *machine) sample(ss []local.Sample) {
	for _, s := range ss {
		m.gateway.AddResource(s.Key, s.Version, gateway.Resource{CPU: s.CPU, CPULimit: s.CPULimit, Memory: s.Memory, MemoryLimit: s.MemoryLimit, Restarts: s.Restarts})
	}
}

// awaitLock waits until no other node supervises on this folder: the one before
// lets go within milliseconds.
func awaitLock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the node's lock: %w", err)
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("take the node's lock: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-tick.C:
		}
	}
}

// serveUnix serves h on a unix socket that only this user can open.
func serveUnix(ctx context.Context, path string, h http.Handler) error {
	l, err := listenUnix(ctx, path)
	if err != nil {
		return err
	}
	return serveHTTP(ctx, l, h)
}

// listenUnix listens where only this user can connect.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > 107 { // sun_path of unix(7)
		return nil, fmt.Errorf("error[T0707]: the data folder's path is too long for a socket\n  where   %s\n  help    titrate up --data SHORTER_FOLDER", path)
	}
	os.Remove(path) // left by the process before this one
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// The folder is 0700; this is for whoever opens it up.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("protect %s: %w", path, err)
	}
	return l, nil
}
