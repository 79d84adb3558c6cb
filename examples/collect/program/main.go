// Command program is all functions: which of them a process is, its environment says.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"titrate/examples/collect/functions"
	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(ctx, log, os.Getenv); err != nil {
		log.LogAttrs(ctx, slog.LevelError, "ended", slog.String("error", err.Error()))
		os.Exit(1)
	}
}

// run does the events of the function that _HANDLER or AWS_LAMBDA_FUNCTION_NAME names.
func run(ctx context.Context, log *slog.Logger, getenv func(string) string) error {
	p := fn.Program{API: getenv("AWS_LAMBDA_RUNTIME_API")}
	if p.API == "" {
		return fmt.Errorf("AWS_LAMBDA_RUNTIME_API is not set: this program is started by a platform of functions")
	}
	a, err := app.Environment(getenv, log)
	if err != nil {
		return fail(ctx, p, err)
	}
	handler, name := getenv("_HANDLER"), getenv("AWS_LAMBDA_FUNCTION_NAME")
	h, ok := functions.Find(functions.All(a), handler, name)
	if !ok {
		return fail(ctx, p, fmt.Errorf("there is no function %q, and none named %q", handler, name))
	}
	p.Handler = h
	return p.Run(ctx)
}

// fail tells the platform that the function cannot start, and why.
func fail(ctx context.Context, p fn.Program, why error) error {
	if err := p.InitError(ctx, why); err != nil {
		return fmt.Errorf("%w (and the platform was not told: %w)", why, err)
	}
	return why
}
