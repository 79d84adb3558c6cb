package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
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
	Program  string // path of the titrate binary
	Env      []string
	Log      *slog.Logger
	Output   *os.File      // where server and node log
	Network  bool          // builds may fetch dependencies from the network
	StopTime time.Duration // how long workloads may take to drain when it goes down
}

// The default addresses: loopback only.
const (
	DefaultAPI     = "127.0.0.1:7070"
	DefaultGateway = "127.0.0.1:7080"
)

// NetworkVar, when set, tells the server that builds may use the network.
const NetworkVar = "TITRATE_BUILD_NETWORK"

// Up keeps server and node running on a data folder until ctx ends; then it stops
// the workloads and both of them. ready is told once the sockets are open.
func Up(ctx context.Context, cfg UpConfig, ready func(Running)) error {
	dir := folder(cfg.Dir)
	if err := dir.prepare(); err != nil {
		return err
	}
	token, err := dir.nodeToken()
	if err != nil {
		return err
	}
	env := cfg.Env
	if cfg.Network {
		env = append(env[:len(env):len(env)], NetworkVar+"=1")
	}
	k, err := keeper.New(keeper.Config{
		Dir: cfg.Dir, Program: cfg.Program, Env: env, Log: cfg.Log, Output: cfg.Output, Token: token, Timeout: time.Minute,
		// The internal address is in the environment of workloads that outlive the
		// keeper, so it must be the same the next time.
		Sockets: []keeper.Socket{
			{Name: socketAPI, Addr: cfg.API},
			{Name: socketGateway, Addr: cfg.Gateway},
			{Name: socketInternal, Addr: "any", Listen: func(ctx context.Context, _ string) (net.Listener, error) { return dir.listenInternal(ctx) }},
		},
		Children: []string{"node", "server"},
	})
	if err != nil {
		return err
	}
	r := Running{PID: os.Getpid(), API: "http://" + k.Addr(socketAPI), Gateway: "http://" + k.Addr(socketGateway), Version: Version()}
	if err := dir.keepInternalAddr(k.Addr(socketInternal)); err != nil {
		return err
	}
	if err := writeRunning(dir, r); err != nil {
		return err
	}
	ready(r)
	err = k.Run(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, cfg.StopTime)
		defer cancel()
		return node.NewClient(dir.nodeSocket(), token).Stop(ctx)
	})
	return errors.Join(err, os.Remove(dir.running()))
}

// The sockets' names.
const (
	socketAPI      = "api"
	socketGateway  = "gateway"
	socketInternal = "internal"
)

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
