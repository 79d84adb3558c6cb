// Command serve is the gateway alone, in front of one backend: what bench/gateway measures.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"titrate/internal/gateway"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to serve")
	backend := flag.String("backend", "", "the instance, host:port")
	extra := flag.Int("procs", 2, "threads that run Go beside those of the loops")
	flag.Parse()
	runtime.GOMAXPROCS(runtime.NumCPU() + *extra)
	if err := run(*listen, *backend); err != nil {
		log.Fatal(err)
	}
}

func run(listen, backend string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	g, err := gateway.New(gateway.Config{Epoch: "bench"})
	if err != nil {
		return err
	}
	key := rollout.Key{App: "bench", Env: "production", Workload: "web"}
	w := gateway.Workload{Key: key, Routes: []string{"/"}, Versions: []gateway.Version{{Version: 1}, {Version: 2}}, Split: []world.Share{
		{Version: 1, Weight: rollout.Full * 9 / 10}, {Version: 2, Weight: rollout.Full / 10},
	}}
	if err := g.Apply(gateway.Table{Stamp: world.Stamp{Token: 1, Revision: 1}, Workloads: []gateway.Workload{w}}); err != nil {
		return err
	}
	for v := range rollout.Version(2) {
		g.SetInstances(key, v+1, []gateway.Endpoint{{ID: "a", Addr: backend}})
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	return g.Serve(ctx, gateway.Listeners{Public: l})
}
