// Package service is what the seven services have in common: they open their
// data, bring its schema up to date, listen, work in the background, and stop
// without dropping what they have begun.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
)

// Service is one running process of a service.
type Service struct {
	Config
	Name   string
	Owner  string // of what this process has claimed: the instance, and a part that no restart repeats
	DB     *db.DB
	Log    *slog.Logger
	Client *httpx.Client
	Mux    *http.ServeMux

	loops  []loop
	sweeps []sweep
}

type loop struct {
	name string
	run  func(context.Context) error
}

type sweep func(ctx context.Context, tx db.Tx, before int64) error

// Background adds work that runs beside the requests until the service is asked
// to stop; it may finish what it has begun, for at most httpx.Drain.
func (s *Service) Background(name string, run func(context.Context) error) {
	s.loops = append(s.loops, loop{name, run})
}

// Sweep adds something that forgets rows older than keepFor.
func (s *Service) Sweep(what ...sweep) { s.sweeps = append(s.sweeps, what...) }

// keepFor is how long keys, events and the like are kept.
const keepFor = 48 * time.Hour

// Handle adds a route whose handler may fail.
func (s *Service) Handle(pattern string, h func(w http.ResponseWriter, r *http.Request) error) {
	s.Mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			httpx.Fail(w, r, s.Log, err)
		}
	})
}

// Main runs the service with this name until SIGTERM or SIGINT, and returns the
// process's exit code. Setup migrates the data and adds routes and loops.
func Main(name string, setup func(ctx context.Context, s *Service) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	config := Environment(name, os.Getenv)
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With(
		slog.String("service", name), slog.String("version", config.Version), slog.String("instance", config.Instance))
	if err := Run(ctx, name, config, log, setup); err != nil {
		log.LogAttrs(ctx, slog.LevelError, "ended", slog.String("error", err.Error()))
		return 1
	}
	log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "stopped")
	return 0
}

// Run runs a service until ctx ends.
func Run(ctx context.Context, name string, config Config, log *slog.Logger, setup func(ctx context.Context, s *Service) error) (err error) {
	data, err := db.Open(ctx, config.Database, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	s := &Service{
		Config: config, Name: name, Owner: config.Instance + "-" + httpx.NewID()[:8],
		DB: data, Log: log, Client: httpx.NewClient(name), Mux: http.NewServeMux(),
	}
	defer s.Client.Close()
	if err := setup(ctx, s); err != nil {
		return err
	}
	s.Handle("GET /healthz", s.healthz)
	s.Background("sweep", s.forget)
	return s.run(ctx)
}

// run serves and loops until ctx ends or one of them fails; then the others end
// too, and all are waited for.
func (s *Service) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failures := make(chan error, len(s.loops)+1)
	var all sync.WaitGroup
	for _, l := range s.loops {
		all.Go(func() {
			if err := l.run(ctx); err != nil {
				failures <- fmt.Errorf("%s: %w", l.name, err)
				stop()
			}
		})
	}
	if s.Address == "" {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "works")
		<-ctx.Done()
	} else {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "listens", slog.String("address", s.Address))
		info := httpx.Info{Service: s.Name, Version: s.Version, Instance: s.Instance}
		if err := httpx.Serve(ctx, s.Address, httpx.Wrap(info, s.Log, s.Mux)); err != nil {
			failures <- err
			stop()
		}
	}
	all.Wait()
	close(failures)
	var err error
	for failure := range failures {
		err = errors.Join(err, failure)
	}
	return err
}

func (s *Service) healthz(w http.ResponseWriter, r *http.Request) error {
	var one int
	if err := s.DB.Read().QueryRowContext(r.Context(), `SELECT 1`).Scan(&one); err != nil {
		return err
	}
	httpx.JSON(w, http.StatusOK, map[string]string{"status": "ok", "service": s.Name, "version": s.Version})
	return nil
}

// forget keeps the data from growing without end.
func (s *Service) forget(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Hour):
		}
		before := time.Now().Add(-keepFor).UnixMilli()
		for _, sweep := range s.sweeps {
			if err := s.DB.Write(ctx, func(tx db.Tx) error { return sweep(ctx, tx, before) }); err != nil && ctx.Err() == nil {
				s.Log.LogAttrs(ctx, slog.LevelWarn, "old rows stay", slog.String("error", err.Error()))
			}
		}
	}
}
