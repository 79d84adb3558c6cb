package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"titrate/internal/engine"
	"titrate/internal/image"
	"titrate/internal/rollout"
)

// owner names this data folder in the engine.
func (b *Builder) owner() string { return engine.Owner(b.cfg.Dir) }

// engineDigest names the artifact of an image that an engine holds: not by the
// image's own digest, under which it may be here unpacked.
func engineDigest(id string) string {
	sum := sha256.Sum256([]byte("titrate image of an engine 1\n" + id))
	return hex.EncodeToString(sum[:])
}

// keepEngineImage makes an artifact of an image that the engine holds. Its folder is
// empty: it stands for the image, so that both are kept and go together.
func (r *run) keepEngineImage(ctx context.Context, e *engine.Engine, w Workload, id string, art Artifact) (Artifact, error) {
	im, err := e.Image(ctx, id)
	if err != nil {
		return art, engineFault(ctx, w, StepKeep, err)
	}
	v, err := e.Version(ctx)
	if err != nil {
		return art, engineFault(ctx, w, StepKeep, err)
	}
	if im.Platform != v.Platform {
		return art, fault(w, CodePlatform, StepKeep, fmt.Sprintf("the image is for %s, and this machine is %s", im.Platform, v.Platform),
			"FROM --platform, or a base image, is of another machine: name one for "+v.Platform)
	}
	art.Digest, art.BuiltAt, art.Size = engineDigest(im.ID), r.began.UTC(), im.Size
	art.Image = &rollout.Image{
		Digest: im.ID, Ref: w.Image, Engine: true, Entrypoint: im.Entrypoint, Cmd: im.Cmd, Env: im.Env,
		User: im.User, WorkingDir: im.WorkingDir, Ports: im.Ports, StopSignal: im.StopSignal, Volumes: im.Volumes,
	}
	empty, err := os.MkdirTemp(r.artifacts.dir, ".tmp-")
	if err != nil {
		return art, fmt.Errorf("keep image: %w", err)
	}
	defer removeAll(empty) //nolint:errcheck // removed at the next start otherwise
	kept, err := r.artifacts.keepImage(empty, art)
	if err != nil {
		return art, err
	}
	kept.Image, kept.Inputs = art.Image, art.Inputs
	// After the artifact, or GC could take the name away in between.
	if err := e.Keep(ctx, im.ID, r.owner()); err != nil {
		return art, engineFault(ctx, w, StepKeep, err)
	}
	return kept, nil
}

// toEngine has the engine take an image that was found: from its registry by its
// digest, so that it cannot be another one, or else from here.
func (r *run) toEngine(ctx context.Context, e *engine.Engine, w Workload, img *image.Image, log *stepLog) (art Artifact, reused bool, err error) {
	say := func(line string) {
		log.say("%s", line)
		fmt.Fprintf(r.job.Progress, "pull    %-16s %s\n", w.Name, line)
	}
	loaded := "titrate-" + r.owner() + ":" + strings.TrimPrefix(img.Config, "sha256:")
	have, err := e.Image(ctx, loaded)
	if errors.Is(err, engine.ErrNotFound) && img.Pinned != "" {
		have, err = e.Image(ctx, img.Pinned)
	}
	if errors.Is(err, engine.ErrNotFound) {
		say(fmt.Sprintf("%.1f MB into the container engine", float64(img.Size)/1e6))
		name := loaded
		if img.Pinned != "" {
			name, err = img.Pinned, e.Pull(ctx, img.Pinned, engine.Auth(img.Login))
		}
		if ctx.Err() == nil && err != nil && !errors.Is(err, engine.ErrGone) && !errors.Is(err, engine.ErrNoSpace) {
			if name != loaded { // it may not reach the registry as this process does
				say("the engine could not pull it, so it is pulled here: " + err.Error())
			}
			name, err = loaded, load(ctx, e, img, loaded)
		}
		if err == nil {
			have, err = e.Image(ctx, name)
		}
	}
	if err != nil {
		log.say("%v", err)
		return art, false, engineFault(ctx, w, StepPull, err)
	}
	_, missing := r.artifacts.Renew(engineDigest(have.ID))
	art, err = r.keepEngineImage(ctx, e, w, have.ID, Artifact{Toolchain: "image " + w.Image})
	return art, missing == nil, err
}

// load gives the engine an image that is read here.
func load(ctx context.Context, e *engine.Engine, img *image.Image, name string) error {
	in, out := io.Pipe()
	written := make(chan struct{})
	var wrote error
	go func() {
		defer close(written)
		wrote = img.Archive(out, name)
		out.CloseWithError(wrote)
	}()
	_, err := e.Load(ctx, in)
	in.CloseWithError(err)
	<-written
	var known *image.Error
	if errors.As(wrote, &known) {
		return wrote // the image is at fault, not the engine
	}
	return err
}

// dropImages takes from the engine what no artifact stands for. Where the engine
// does not answer now, it does another time.
func (b *Builder) dropImages(ctx context.Context) error {
	e, err := b.engine(ctx)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	named := map[string]bool{}
	files, err := fs.Glob(os.DirFS(b.artifacts.dir), "*.json")
	if err != nil {
		return fmt.Errorf("remove old images: %w", err)
	}
	for _, f := range files {
		var art Artifact
		if text, err := os.ReadFile(b.path("artifacts", f)); err == nil && json.Unmarshal(text, &art) == nil && art.Image != nil && art.Image.Engine {
			named[art.Image.Digest] = true
		}
	}
	ids, err := e.Kept(ctx, b.owner())
	if err != nil {
		return fmt.Errorf("remove old images: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if !named[id] {
			errs = append(errs, e.LetGo(ctx, id, b.owner()))
		}
	}
	return errors.Join(errs...)
}
