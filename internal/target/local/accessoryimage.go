package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// An accessory that is an image is run as a version's image is, by a shim. Beside its
// files stand, in its folder:
//
//	volumes/NAME  its volumes, never removed
//	lock          locked by the shim: nothing else writes to them
//	state         its $TITRATE_STATE
//	run           what a start leaves: the layer of what it writes elsewhere

func (h *held) runDir() string { return filepath.Join(h.dir, "run") }

// imaged returns the launch of the accessory's image.
func (h *held) imaged(ctx context.Context, p accessory.Place, env []string, token string) (launch, error) {
	pl := h.imagePlace(p, h.key.Workload, token, h.dir)
	if err := os.Remove(filepath.Join(pl.dir, noteFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return launch{}, fmt.Errorf("clear away what it said last: %w", err)
	}
	l, err := h.s.launch(ctx, pl, pl.fleet.Command, h.imageVars(pl, env))
	if err != nil {
		return launch{}, err
	}
	lock, err := h.lock()
	if err != nil {
		return launch{}, err
	}
	l.locks = []*os.File{lock}
	return l, nil
}

// imagePlace is where a process of the accessory's image runs, with what it keeps in
// the folder home.
func (h *held) imagePlace(p accessory.Place, id, token, home string) place {
	art := p.Spec.Artifact
	return place{
		id: id, token: token, key: h.key, dir: filepath.Join(home, "run"), home: home, port: p.Port,
		fleet: world.Fleet{Artifact: art.Digest, Command: art.Command, Image: art.Image, Port: p.Spec.Port, Volumes: p.Spec.Volumes},
	}
}

// imageVars is the environment of such a process: the image's, and env before that.
func (h *held) imageVars(pl place, env []string) []string {
	all := imageEnv(*pl.fleet.Image)
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		all[name] = value
	}
	for name, v := range pl.fleet.Volumes {
		all[volumeVar(name)] = v.Path
	}
	all["PORT"], all[stateVar], all[tokenVar] = strconv.Itoa(imagePort(pl.fleet)), imageState, pl.token
	all["TITRATE_APP"], all["TITRATE_ENV"] = h.key.App, h.key.Env
	env = env[:0:0]
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// lock locks the accessory's volumes: the process that is given the file holds it.
func (h *held) lock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(h.dir, "lock"), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock its volumes: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.New("what ran before has not let go of its volumes yet (T0580)")
		}
		return nil, fmt.Errorf("lock its volumes: %w", err)
	}
	return f, nil
}

// elsewhere says where the program of an image listens, when it does not at its port.
func (h *held) elsewhere(p accessory.Place) string {
	if p.Spec.Image == "" {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(h.runDir(), listens))
	if err != nil {
		return ""
	}
	return fmt.Sprintf("; it is asked at :%d, and %s", imagePort(world.Fleet{Port: p.Spec.Port, Image: p.Spec.Artifact.Image}), text)
}

// noted is why it ended, with what an engine has said of it. What its shim may have
// left in the engine goes.
func (h *held) noted(why string) string {
	h.s.mu.Lock()
	spec := h.rec.Spec
	h.s.mu.Unlock()
	h.sweep(spec)
	if text, err := os.ReadFile(filepath.Join(h.runDir(), noteFile)); err == nil && spec.Image != "" {
		return string(text)
	}
	return why
}

// sweep has what is left of it in the engine removed.
func (h *held) sweep(spec rollout.AccessorySpec) {
	if spec.Artifact != nil && spec.Artifact.Image != nil && spec.Artifact.Image.Engine {
		h.s.swept()
	}
}

// restartMost is how long a restart is waited for. It goes on after that.
const restartMost = 5 * time.Minute

// restart ends the accessory and starts it with what is wanted of it now, and says what
// runs when it is ready. What cannot be started is refused before anything ends.
func (h *held) restart(ctx context.Context) (string, error) {
	h.s.mu.Lock()
	p := h.place()
	h.s.mu.Unlock()
	if err := h.canStart(p); err != nil {
		return "", fmt.Errorf("%w; it runs on as it was", err)
	}
	return "it is ready: " + p.Spec.Title(), h.between(ctx, nil)
}

// between ends the accessory, does something with its files while nothing serves them,
// and starts it; nil: nothing. It returns when the accessory is ready. What fails
// between is told, and the accessory started as its files are.
func (h *held) between(ctx context.Context, do func() error) error {
	var failed error
	h.s.mu.Lock()
	before := h.tries
	if do != nil {
		h.betweens = func() { failed = do() }
	}
	h.s.mu.Unlock()
	h.anew()
	over := time.NewTimer(restartMost)
	defer over.Stop()
	for {
		h.s.mu.Lock()
		tries, state, why, changed := h.tries, h.rec.State, h.why, h.s.changed
		done := h.betweens == nil && tries > before
		err := failed
		h.s.mu.Unlock()
		switch {
		case done && state == world.AccessoryReady:
			return err
		case done && state == world.AccessoryBackoff:
			return errors.Join(err, fmt.Errorf("it does not start: %s", why))
		}
		select {
		case <-changed:
		case <-over.C:
			return fmt.Errorf("it is not ready after %s, and goes on starting: %s", restartMost, why)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// canStart reports what would keep it from starting, as far as that is known before.
func (h *held) canStart(p accessory.Place) error {
	kind, err := accessory.Of(p.Spec)
	if err != nil {
		return err
	}
	if _, err := kind.Make(p); err != nil {
		return err
	}
	if p.Spec.Artifact == nil {
		return nil
	}
	if _, err := os.Stat(filepath.Join(h.s.cfg.Artifacts, p.Spec.Artifact.Digest)); err != nil {
		return fmt.Errorf("the image %s is not here any more: push again: %w", p.Spec.Image, err)
	}
	return nil
}
