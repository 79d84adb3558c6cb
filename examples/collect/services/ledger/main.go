// Command ledger is the service that keeps the book of pickups, in a folder that
// outlives its versions.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"titrate/examples/collect/internal/ledger"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With(slog.String("service", "ledger"))
	if err := run(ctx, log, os.Getenv); err != nil {
		log.LogAttrs(ctx, slog.LevelError, "ended", slog.String("error", err.Error()))
		os.Exit(1)
	}
}

// drain is how long requests have to finish after SIGTERM.
const drain = 5 * time.Second

func run(ctx context.Context, log *slog.Logger, getenv func(string) string) (err error) {
	store, err := ledger.OpenStore(cmp.Or(getenv("TITRATE_VOLUME_DATA"), "data"), time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(cmp.Or(getenv("HOST"), "127.0.0.1"), cmp.Or(getenv("PORT"), "8080")))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.LogAttrs(ctx, slog.LevelInfo, "listens", slog.String("address", listener.Addr().String()))
	server := &http.Server{Handler: ledger.Handler(store, log), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		stopped <- server.Shutdown(late)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}
