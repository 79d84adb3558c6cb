package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"titrate/internal/engine"
	"titrate/internal/image"
	"titrate/internal/manifest"
	"titrate/internal/world"
)

// image takes a workload from its image.
func (r *run) image(ctx context.Context, w Workload) {
	art, reused, err := r.imaged(ctx, w)
	var known *image.Error
	if errors.As(err, &known) {
		err = fault(w, CodeImage, StepPull, known.Saw, known.Help)
	}
	r.done(ctx, w.Name, Result{Artifact: art, Reused: reused, Err: err})
}

// imaged pins an image and, unless its digest is there already, pulls and unpacks
// it. A failed pull leaves whole layers only, for the next one.
func (r *run) imaged(ctx context.Context, w Workload) (art Artifact, reused bool, err error) {
	e, err := r.engine(ctx)
	if err != nil && !errors.Is(err, engine.ErrNone) {
		return art, false, engineFault(ctx, w, StepPull, err)
	}
	if e == nil && r.cfg.Images != nil {
		err := r.cfg.Images(ctx)
		if lack, ok := errors.AsType[*LackError](err); ok {
			return art, false, fault(w, CodeLack, StepPull, lack.Saw, lack.Help)
		}
		if err != nil {
			return art, false, err
		}
	}
	log, err := r.openLog(w.Name, StepPull)
	if err != nil {
		return art, false, err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	release, err := r.slot(ctx)
	if err != nil {
		return art, false, err
	}
	defer release()
	work, err := r.folder(w.Name)
	if err != nil {
		return art, false, err
	}
	src := image.Source{Ref: w.Image, Root: r.job.Source, Logins: map[string]image.Login{}, Work: work}
	for host, l := range r.job.Logins {
		src.Logins[host] = image.Login(l)
	}
	img, err := image.Find(ctx, src)
	if err != nil {
		log.say("%v", err)
		return art, false, err
	}
	log.say("%s is %s", w.Image, img.Digest)
	if e != nil {
		return r.toEngine(ctx, e, w, img, log)
	}
	if r.cfg.ImageNote != nil {
		if note := r.cfg.ImageNote(img.Image); note != "" {
			log.say("%s", note)
			fmt.Fprintf(r.job.Progress, "note    %-16s %s\n", w.Name, note)
		}
	}
	hex := strings.TrimPrefix(img.Digest, "sha256:")
	if kept, err := r.artifacts.Renew(hex); err == nil && kept.Image != nil {
		kept.Image = &img.Image // the same content, perhaps under another name
		return kept, true, nil
	}
	into, err := os.MkdirTemp(r.artifacts.dir, ".tmp-")
	if err != nil {
		return art, false, fmt.Errorf("keep image: %w", err)
	}
	defer removeAll(into) //nolint:errcheck // removed at the next start otherwise
	if err := os.Chmod(into, 0o755); err != nil {
		return art, false, fmt.Errorf("keep image: %w", err)
	}
	err = img.Pull(ctx, image.Pull{
		Cache: r.path("builds", "layers"), Into: into, Limit: r.cfg.Limits.Disk, Free: minFree,
		Progress: func(line string) {
			log.say("%s", line)
			fmt.Fprintf(r.job.Progress, "pull    %-16s %s\n", w.Name, line)
		},
	})
	if err != nil {
		log.say("%v", err)
		return art, false, err
	}
	art, err = r.artifacts.keepImage(into, Artifact{Digest: hex, Image: &img.Image, BuiltAt: time.Now().UTC(), Toolchain: "image " + w.Image})
	return art, false, err
}

// of returns the workload of that name.
func (r *run) of(name string) Workload {
	return r.job.Workloads[slices.IndexFunc(r.job.Workloads, func(w Workload) bool { return w.Name == name })]
}

// started returns what starts an artifact: what the manifest says, or else what
// the build has found. Of an image, empty: what the image says.
func started(a Artifact, run manifest.Run) []string {
	var enter []string // what sets up the environment that a language has built
	if len(a.Command) > 0 && a.Command[0] == "./"+world.Enter {
		enter = a.Command[:1:1]
	}
	switch {
	case run.Line != "":
		return append(enter, "/bin/sh", "-c", run.Line)
	case len(run.Args) == 0:
		return a.Command
	case a.Image != nil:
		return slices.Concat(a.Image.Entrypoint, run.Args)
	default:
		return append(enter, run.Args...)
	}
}
