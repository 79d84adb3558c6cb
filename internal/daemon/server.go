package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"titrate/client"
	"titrate/internal/api"
	"titrate/internal/auth"
	"titrate/internal/controller"
	"titrate/internal/durable"
	"titrate/internal/engine"
	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
	"titrate/internal/pipeline"
	"titrate/internal/rollout"
	"titrate/internal/secrets"
	"titrate/internal/source"
	"titrate/internal/store"
	"titrate/internal/target/local"
)

// ServerConfig is what the server's process is started with.
type ServerConfig struct {
	Dir     string // the data folder
	Sockets string // the content of keeper.SocketsVar
	Program string // path of the titrate binary
	Network bool   // builds may fetch dependencies from the network
	Engine  string // the container engine: a setting of engine.Seek
	Log     *slog.Logger
}

// lockWait is how long a server waits for the one before to let go of the
// database.
const lockWait = time.Minute

// Server is the control plane: API, git remote, pipeline, controller and store.
// It runs until ctx ends, another controller is in charge, or the next keeper
// takes over. Traffic flows on without it.
func Server(ctx context.Context, cfg ServerConfig) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	dir := folder(cfg.Dir)
	token, err := dir.nodeToken()
	if err != nil {
		return err
	}
	in := keeper.Inherit(cfg.Sockets)
	listener, err := in.Listener(socketAPI)
	if err != nil {
		return err
	}
	p := newParts(cfg.Log)
	p.start(ctx, "handover", func(ctx context.Context) error {
		return in.Handover(ctx, cfg.Dir, "server", token, func() { leave(nil) })
	})
	s, err := openServer(ctx, cfg, dir, token)
	if err != nil {
		return err
	}
	defer func() { _ = s.store.Close() }() // what is decided is on the disk already
	p.start(ctx, "controller", func(ctx context.Context) error {
		err := s.controller.Run(ctx)
		if err != nil && ctx.Err() == nil {
			leave(err) // somebody else is in charge: this process must not go on beside it
		}
		return nil
	})
	p.start(ctx, "git remote", s.source.Run)
	p.start(ctx, "interrupted pushes", s.resume)
	p.start(ctx, "retention", s.retain)
	err = serveHTTP(ctx, listener, s.handler)
	leave(nil)
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return errors.Join(err, p.err())
}

// server is the server's parts, wired.
type server struct {
	log        *slog.Logger
	store      *store.Store
	secrets    *secrets.Store
	pipeline   *pipeline.Builder
	source     *source.Server
	node       *node.Client
	controller *controller.Controller
	handler    http.Handler
	tmp        string
	unstored   chan struct{} // a push could not be stored
	gateway    string        // its URL
	secure     string        // the form of a URL over TLS; empty: there is none
	host       string        // the server's own over TLS; empty: it has none
}

func openServer(ctx context.Context, cfg ServerConfig, dir folder, nodeToken string) (*server, error) {
	s := &server{log: cfg.Log, node: node.NewClient(dir.nodeSocket(), nodeToken), tmp: dir.at("builds", "sources"), unstored: make(chan struct{}, 1)}
	var err error
	if err = freshFolder(s.tmp); err != nil {
		return nil, err
	}
	if s.store, err = store.Open(ctx, store.Options{Folder: dir.store(), Wait: lockWait, Log: cfg.Log}); err != nil {
		return nil, err
	}
	if s.secrets, err = secrets.Open(string(dir)); err != nil {
		return nil, err
	}
	seeker, err := engine.Seek(cfg.Engine)
	if err != nil {
		return nil, err
	}
	s.pipeline, err = pipeline.Open(pipeline.Config{
		Dir: string(dir), Launcher: []string{"/proc/self/exe"}, Network: cfg.Network, Images: canRunImages(dir), ImageNote: local.ImageNote,
		Engine: seeker.Engine, CheckFunction: checkFunction, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	s.source, err = source.Open(ctx, source.Config{
		Dir: dir.git(), HookCommand: []string{cfg.Program, "__git-hook"}, Who: api.Who, Check: s.check, Accepted: s.accepted, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	previewKey, err := loadKey(dir.at("keys", "preview.key"))
	if err != nil {
		return nil, err
	}
	clock := newClock(cfg.Log)
	s.controller = controller.New(controller.Config{
		Store: s.store, Target: s.node, Router: s.node, Meter: steadyMeter{s.node, clock}, Builder: builder{s}, Vault: vault{s.secrets},
		Now: clock.Now, Rest: clock.Rest,
		Kept:       func(digest string) bool { _, err := s.pipeline.Artifacts().Renew(digest); return err == nil },
		PreviewKey: previewKey, Log: cfg.Log,
	})
	apiToken, err := os.ReadFile(TokenPath(cfg.Dir))
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	running, err := ReadRunning(cfg.Dir)
	if err != nil {
		return nil, err
	}
	secure, err := readHTTPS(dir)
	if err != nil {
		return nil, err
	}
	s.gateway, s.secure, s.host = running.Gateway, secure.form(), secure.Host
	tokens, err := auth.Open(dir.tokens(), cfg.Log)
	if err != nil {
		return nil, err
	}
	limit := &auth.Limit{Burst: wrongAtOnce, Every: wrongEvery}
	signers, err := openSigners(dir, tokens, strings.TrimSpace(string(apiToken)))
	if err != nil {
		return nil, err
	}
	s.handler = api.New(ctx, api.Config{
		Controller: s.controller, Store: s.store, Node: s.node, Secrets: s.secrets, Git: s.source,
		Token: strings.TrimSpace(string(apiToken)), Tokens: tokens, Limit: limit, Gateway: nodeToken,
		Signers: signers, Lambda: s.lambda(signers, limit, nodeToken),
		About: client.Server{Version: Version(), API: running.API, Gateway: running.Gateway, HTTPS: s.secure, URL: secure.url(), Data: cfg.Dir},
		Preview: func(k rollout.Key, v rollout.Version, until time.Time) string {
			return gateway.PreviewURL(running.Gateway, previewKey, k, v, until)
		},
		BuildLogs: func(app string, push int64) ([]string, error) { return s.pipeline.Logs(app, buildLabel(push)) },
		Engine:    func(ctx context.Context) *client.Engine { return aboutEngine(ctx, seeker) },
		Confined:  s.pipeline.Confinement(ctx), Log: cfg.Log,
	})
	return s, nil
}

// aboutEngine says which container engine is used, and whether it answers.
func aboutEngine(ctx context.Context, s *engine.Seeker) *client.Engine {
	e, v, err := s.Known(ctx)
	if e == nil {
		return nil
	}
	return &client.Engine{Name: v.Name, Version: v.Version, Rootless: v.Rootless, Socket: e.Socket(), Up: err == nil}
}

// How often wrong tokens may be tried from one place elsewhere.
const (
	wrongAtOnce = 20
	wrongEvery  = 3 * time.Second
)

// loadKey reads a key of 32 bytes, or makes one.
func loadKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key)
		return key, durable.WriteFile(path, []byte(hex.EncodeToString(key)))
	}
	if err != nil {
		return nil, fmt.Errorf("read a key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("error[T0708]: a key is damaged\n  where   %s\n  help    remove it: the next start makes a new one, and what was given out by it ends", path)
	}
	return key, nil
}

// retainEvery is how often what is kept no longer is removed.
const retainEvery = 10 * time.Minute

// retain applies every retention until ctx ends.
func (s *server) retain(ctx context.Context) error {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := s.store.Prune(ctx, now); err != nil && ctx.Err() == nil {
				s.log.Warn("old rows stay", slog.Any("error", err))
			}
			if err := s.prune(ctx, now); err != nil && ctx.Err() == nil {
				s.log.Warn("old artifacts or secrets stay", slog.Any("error", err))
			}
		}
	}
}

// artifactsKept is how long an artifact stays that no version names any more.
const artifactsKept = 7 * 24 * time.Hour

// versionsKept is how many versions of a workload keep their artifact, beside
// those promoted last.
const versionsKept = 20

// prune removes artifacts and secrets' old values that no kept version needs.
func (s *server) prune(ctx context.Context, now time.Time) error {
	works, err := s.store.Workloads(ctx, "", "")
	if err != nil {
		return err
	}
	artifacts, digests := map[string]bool{}, map[[2]string]map[string]bool{}
	for _, w := range works {
		env := [2]string{w.Key.App, w.Key.Env}
		if digests[env] == nil {
			digests[env] = map[string]bool{}
		}
		vs, err := s.keptVersions(ctx, w.Key)
		if err != nil {
			return err
		}
		for _, v := range vs {
			artifacts[v.Artifact.Digest] = true
			for _, d := range v.Config.Secrets {
				digests[env][d] = true
			}
		}
	}
	for _, a := range s.controller.Accessories("", "") {
		for _, spec := range []*rollout.AccessorySpec{&a.Spec, a.Next} {
			if spec == nil {
				continue
			}
			if spec.Artifact != nil {
				artifacts[spec.Artifact.Digest] = true
			}
			for _, d := range spec.Secrets {
				if digests[[2]string{a.Key.App, a.Key.Env}] == nil {
					digests[[2]string{a.Key.App, a.Key.Env}] = map[string]bool{}
				}
				digests[[2]string{a.Key.App, a.Key.Env}][d] = true
			}
		}
	}
	if err := s.pipeline.GC(ctx, artifacts, artifactsKept, now); err != nil {
		return err
	}
	for env, keep := range digests {
		if err := s.secrets.Prune(ctx, env[0], env[1], keep); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) keptVersions(ctx context.Context, k rollout.Key) ([]rollout.VersionRecord, error) {
	vs, err := s.store.Versions(ctx, k, versionsKept)
	if err != nil {
		return nil, err
	}
	promoted, err := s.store.Promotions(ctx, k, rollout.KeptPromotions)
	if err != nil {
		return nil, err
	}
	for _, p := range promoted {
		v, err := s.store.Version(ctx, k, p.Version)
		if errors.Is(err, rollout.ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
	return vs, nil
}
