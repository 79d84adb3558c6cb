package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"titrate/internal/durable"
	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
)

// UpConfig says how titrate is to be up.
type UpConfig struct {
	Dir      string // the data folder
	API      string // host:port of the server; port 0 takes a free one
	Gateway  string // host:port of the gateway
	HTTPS    HTTPS
	Program  string   // path of the titrate binary
	Args     []string // of this process, with which it becomes the next program
	Given    string   // the content of keeper.GivenVar
	Env      []string
	Log      *slog.Logger
	Output   *os.File // where server and node log
	Network  bool     // builds may fetch dependencies from the network
	Access   string   // the setting of the access log: see ParseAccessLog
	Proxies  Proxies
	Engine   string        // the container engine: a setting of engine.Seek
	StopTime time.Duration // how long workloads may take to drain when it goes down
}

// The default addresses: loopback only.
const (
	DefaultAPI     = "127.0.0.1:7070"
	DefaultGateway = "127.0.0.1:7080"
)

// NetworkVar names the variable that tells the server that builds may use the network.
const NetworkVar = "TITRATE_BUILD_NETWORK"

// EngineVar names the variable that holds the setting of the container engine.
const EngineVar = "TITRATE_ENGINE"

// UndividesVar names the variable by which a systemd unit says that it has
// ExecStopPost=titrate __undivide, as cgroup.Unit wants it.
const UndividesVar = "TITRATE_UNDIVIDES"

// Up keeps server and node running on a data folder until ctx ends; then it stops
// the workloads and both of them. ready is told once the sockets are open.
func Up(ctx context.Context, cfg UpConfig, ready func(Running)) error {
	defer OneSignal()()
	dir := folder(cfg.Dir)
	if err := dir.prepare(); err != nil {
		return err
	}
	token, err := dir.nodeToken()
	if err != nil {
		return err
	}
	env := slices.DeleteFunc(withoutManager(cfg.Env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains([]string{EngineVar, AccessLogVar, ProxiesVar, ProxyProtocolVar}, name)
	})
	env = append(append(env, EngineVar+"="+cfg.Engine, AccessLogVar+"="+cfg.Access), cfg.Proxies.env()...)
	if cfg.Network {
		env = append(env, NetworkVar+"=1")
	}
	given, err := givenSockets(cfg.Given)
	if err != nil {
		return err
	}
	k, err := keeper.New(keeper.Config{
		Dir: cfg.Dir, Program: cfg.Program, Env: env, Log: cfg.Log, Output: cfg.Output, Token: token, Timeout: time.Minute,
		// The internal address is in the environment of workloads that outlive the
		// keeper, so it must be the same the next time.
		Sockets: append([]keeper.Socket{
			{Name: socketAPI, Addr: cfg.API},
			{Name: socketGateway, Addr: cfg.Gateway},
			{Name: socketInternal, Addr: "any", Listen: func(ctx context.Context, _ string) (net.Listener, error) { return dir.listenInternal(ctx) }},
		}, cfg.HTTPS.sockets()...),
		Given:    given,
		Children: []string{"node", "server"},
	})
	if err != nil {
		return err
	}
	defer k.Close() //nolint:errcheck // the process ends
	r := Running{
		PID: os.Getpid(), API: urlOf(k.Addr(socketAPI)), Gateway: urlOf(k.Addr(socketGateway)), Version: Version(),
		Program: cfg.Program, Supervised: supervised(cfg.Env), Started: time.Now(),
	}
	if err := cfg.HTTPS.write(dir, k); err != nil {
		return err
	}
	if err := dir.keepInternalAddr(k.Addr(socketInternal)); err != nil {
		return err
	}
	if err := writeRunning(dir, r); err != nil {
		return err
	}
	ready(r)
	keeping, kept := context.WithCancel(ctx)
	parts := newParts(cfg.Log)
	parts.start(keeping, "bounds of the log", func(ctx context.Context) error { return boundLogs(ctx, cfg.Dir) })
	parts.start(keeping, "word to the service manager", func(ctx context.Context) error { return tellReady(ctx, r, cfg.Dir) })
	parts.start(keeping, "watchdog", feedWatchdog)
	parts.start(keeping, "upgrades", func(ctx context.Context) error { return upgrade(ctx, k, cfg) })
	defer parts.wait()
	defer kept()
	letGo := make(chan struct{})
	defer onSignal(letGoSignal, letGo)()
	err = k.Run(ctx, letGo, func(ctx context.Context) error {
		tellManager("STOPPING=1")
		ctx, cancel := context.WithTimeout(ctx, cfg.StopTime)
		defer cancel()
		return stopWorkloads(ctx, node.NewClient(dir.nodeSocket(), token))
	})
	select {
	case <-letGo:
		return err // everything runs on, and what is written about it holds
	default:
		return errors.Join(err, os.Remove(dir.running()))
	}
}

// stopWorkloads has the node end them. One that has just been started is asked
// again until it has its socket and has taken back what runs, or ctx ends.
func stopWorkloads(ctx context.Context, n *node.Client) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := n.Stop(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// OneSignal keeps a second signal from ending this process in the middle of ending
// what it runs, which would leave children behind, until done is called. The first
// one ends the context, as ever.
func OneSignal() (done func()) {
	swallowed := make(chan os.Signal, 1)
	signal.Notify(swallowed, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	return func() { signal.Stop(swallowed) }
}

// onSignal closes ch at the first sig, and returns what ends the watch.
func onSignal(sig os.Signal, ch chan struct{}) (end func()) {
	got, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(got, sig)
	go func() {
		select {
		case <-got:
			close(ch)
		case <-done:
		}
	}()
	return func() { signal.Stop(got); close(done) }
}

// The sockets' names.
const (
	socketAPI      = "api"
	socketGateway  = "gateway"
	socketInternal = "internal"
	socketSecure   = "https"
	socketPlain    = "http"
)

// urlOf is where a socket's address is reached from this machine.
func urlOf(addr string) string {
	if a, err := netip.ParseAddrPort(addr); err == nil && a.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port()).String()
	}
	return "http://" + addr
}

func writeRunning(dir folder, r Running) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write what is running: %w", err)
	}
	return durable.WriteFile(dir.running(), append(b, '\n'))
}

// listenInternal opens the gateway's internal socket, at the port it had before
// if that is free.
func (f folder) listenInternal(ctx context.Context) (net.Listener, error) {
	b, err := os.ReadFile(f.at("node", "internal-port"))
	if err == nil {
		if port, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			if l, err := gateway.ListenInternal(ctx, port); err == nil {
				return l, nil
			}
		}
	}
	return gateway.ListenInternal(ctx, 0)
}

func (f folder) keepInternalAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("read the internal address: %w", err)
	}
	return durable.WriteFile(f.at("node", "internal-port"), []byte(port+"\n"))
}

// KeeperLives reports whether a keeper holds the data folder dir.
func KeeperLives(dir string) bool { return keeper.Held(dir) }

// Keeper is the process that holds the data folder dir, to be sent a signal; nil
// when none does. up.json is not asked: it may be old or damaged.
func Keeper(dir string) (*os.Process, error) {
	k, err := keeper.Holder(dir)
	if errors.Is(err, keeper.ErrHolder) {
		return nil, fmt.Errorf("error[T0706]: who holds the data folder cannot be told, so nobody was sent a signal: %w\n  help    end the process titrate up by hand: ps -C titrate -o pid,args", err)
	}
	return k, err
}
