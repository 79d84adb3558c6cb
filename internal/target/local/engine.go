package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"titrate/internal/engine"
	"titrate/internal/rollout"
	"titrate/internal/target/local/container"
	"titrate/internal/target/local/shim"
	"titrate/internal/world"
)

// Files of a shim in its instance's folder.
const (
	pidFile  = "pid"  // the number of its container's process
	noteFile = "note" // what its end was, where the exit status does not tell
)

// launchContainer returns the launch of an image that the container engine holds.
func (s *Supervisor) launchContainer(ctx context.Context, pl place, argv, env []string, frame shim.Frame) (launch, error) {
	e, err := s.cfg.Engine(ctx)
	if err != nil {
		return launch{}, err
	}
	owner, l := engine.Owner(s.cfg.Data), pl.fleet.Limits
	network, err := s.network(ctx, e, pl.key)
	if err != nil {
		return launch{}, err
	}
	var mounts []engine.Mount
	for _, m := range s.imageMounts(pl) {
		// Users of images are as they are; nobody else of this machine comes near the folder.
		if err := os.Chmod(m.From, 0o777); err != nil {
			return launch{}, fmt.Errorf("open the folders of %s: %w", pl.key, err)
		}
		mounts = append(mounts, engine.Mount{From: m.From, To: m.To})
	}
	return launch{Env: env, Image: &imageLaunch{Frame: frame, Engine: &container.Spec{
		Socket: e.Socket(), Owner: owner, Init: []string{s.cfg.Program, LaunchCommand, firstCommand}, Dir: pl.dir, PID: filepath.Join(pl.dir, pidFile), Note: filepath.Join(pl.dir, noteFile), Loose: !e.Known().Limits,
		Container: engine.Container{
			Name: "titrate-" + owner + "-" + pl.key.App + "-" + pl.key.Env + "-" + containerName(pl), Image: pl.fleet.Image.Digest, Command: argv, Env: env,
			Labels:  map[string]string{engine.LabelInstance: pl.id},
			Network: network, Hosts: extraHosts(frame.Named),
			Limits: engine.Limits{Memory: l.Memory, CPU: float64(l.CPU) / 1000, Processes: int64(l.Processes)}, ReadOnly: pl.fleet.ReadOnly,
			Mounts: mounts, Unlabelled: e.Known().SELinux,
		},
	}}}, nil
}

// networkMost is how long the engine may take to make a network.
const networkMost = 30 * time.Second

// network returns the network that the containers of an app's environment share.
func (s *Supervisor) network(ctx context.Context, e *engine.Engine, k rollout.Key) (string, error) {
	s.networks.Lock() // see EnsureNetwork
	defer s.networks.Unlock()
	ctx, cancel := context.WithTimeout(ctx, networkMost)
	defer cancel()
	return e.EnsureNetwork(ctx, s.networkName(k), map[string]string{engine.Label: engine.Owner(s.cfg.Data)})
}

func (s *Supervisor) networkName(k rollout.Key) string {
	return "titrate-" + engine.Owner(s.cfg.Data) + "-" + k.App + "-" + k.Env
}

// containerName is the instance's or hook's id as a container may be named. Hooks
// share ids; their folders are their own.
func containerName(pl place) string {
	name := pl.id
	if own := filepath.Base(pl.dir); own != name {
		name += "-" + own[:min(12, len(own))]
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r) {
			return r
		}
		return '-'
	}, name)
}

// sweepEvery is how often containers are looked for that nobody looks after.
const sweepEvery = 30 * time.Second

// sweepContainers removes, until ctx ends, the containers whose shim was killed: now,
// when told to, and now and then, because the engine may have been away.
func (s *Supervisor) sweepContainers(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for said := ""; ; {
		err := s.sweepOnce(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, engine.ErrNone) && err.Error() != said {
			s.cfg.Log.Warn("containers that nobody looks after may stay for now", slog.Any("error", err))
			said = err.Error()
		}
		if err == nil {
			said = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.sweep:
		}
	}
}

func (s *Supervisor) sweepOnce(ctx context.Context) error {
	e, err := s.cfg.Engine(ctx)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	s.mu.Lock()
	for id := range s.fleets {
		wanted[s.networkName(id.key)] = true
	}
	for _, h := range s.hooks {
		wanted[s.networkName(h.rec.Workload)] = true
	}
	for k := range s.accessories {
		wanted[s.networkName(k)] = true
	}
	s.mu.Unlock()
	return e.Sweep(ctx, engine.Owner(s.cfg.Data), container.Alive, func(name string) bool { return wanted[name] })
}

// lastMost is how long the engine may take to remove what is left when all has ended.
const lastMost = 5 * time.Second

// sweepLast leaves nothing in the engine where it answers.
func (s *Supervisor) sweepLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastMost)
	defer cancel()
	if err := s.sweepOnce(ctx); err != nil && !errors.Is(err, engine.ErrNone) {
		s.cfg.Log.Warn("containers may stay until Titrate is up again", slog.Any("error", err))
	}
}

// swept has what an instance or hook has left in the engine removed soon.
func (s *Supervisor) swept() {
	select {
	case s.sweep <- struct{}{}:
	default: // it is about to happen
	}
}

// within adds the sessions of programs in containers, which their shims do not share,
// to those of living instances.
func (s *Supervisor) within(sessions map[int]fleetID) map[int]fleetID {
	dirs := map[string]fleetID{}
	s.mu.Lock()
	for id, f := range s.fleets {
		for _, in := range f.instances {
			if in.rec.PID != 0 && engined(in.rec.Fleet) {
				dirs[s.layout.runDir(in.rec.Key, in.rec.ID)] = id
			}
		}
	}
	s.mu.Unlock()
	if len(dirs) == 0 {
		return sessions
	}
	all := maps.Clone(sessions)
	for dir, id := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, pidFile))
		var pid int
		if err != nil {
			continue // it does not run yet, or not any more
		}
		if _, err := fmt.Sscan(string(text), &pid); err == nil && pid > 0 {
			all[pid] = id
		}
	}
	return all
}

// engined reports whether an engine runs a fleet, and keeps its limits.
func engined(f world.Fleet) bool { return f.Image != nil && f.Image.Engine }

// noted returns what the shim of a container has left to say about its end, once.
func (in *instance) noted(rec instanceRecord) string {
	if !engined(rec.Fleet) {
		return ""
	}
	file := filepath.Join(in.s.layout.runDir(rec.Key, rec.ID), noteFile)
	text, _ := os.ReadFile(file) // mostly there is nothing to say
	os.Remove(file)
	return string(text)
}
