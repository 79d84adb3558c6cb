package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"titrate/internal/engine"
	"titrate/internal/image"
)

// engine returns the container engine of this machine, which answers.
func (b *Builder) engine(ctx context.Context) (*engine.Engine, error) {
	if b.cfg.Engine == nil {
		return nil, engine.ErrNone
	}
	return b.cfg.Engine(ctx)
}

// dockerfiled reports whether a workload is built as its Dockerfile says: because
// the manifest says so, or because there is one and an engine to build it.
func (r *run) dockerfiled(ctx context.Context, w Workload) (*engine.Engine, bool, error) {
	said := w.Build.Docker()
	if !said && (w.Build.With != "" || !isFile(os.DirFS(r.job.Source), path.Join(path.Clean(w.Build.Dir), "Dockerfile"))) {
		return nil, false, nil
	}
	e, err := r.engine(ctx)
	switch {
	case errors.Is(err, engine.ErrNone) && !said:
		return nil, false, nil // perhaps it is a program that is built without one
	case errors.Is(err, engine.ErrNone):
		return nil, true, fault(w, CodeDocker, StepDetect, "no container engine answers on this machine", dockerWaysOut)
	case err != nil:
		return nil, true, engineFault(ctx, w, StepDetect, err)
	}
	return e, true, nil
}

// dockerWaysOut is what to do with a Dockerfile and without an engine.
const dockerWaysOut = "install one: apt install docker.io, or podman with its podman.socket, then push again (titrate up --engine SOCKET names another socket);\n" +
	"or image: REF runs one that is built elsewhere; or build: {command: …, output: …, run: …} builds without a container"

// dockerfiles finds the Dockerfiles of a repository: in its root and two folders deep.
func dockerfiles(tree fs.FS) []string {
	var out []string
	for _, pattern := range []string{"Dockerfile", "*/Dockerfile", "*/*/Dockerfile"} {
		found, _ := fs.Glob(tree, pattern) // the patterns are well formed
		out = append(out, found...)
	}
	return out
}

var (
	scriptNamed = regexp.MustCompile(`[\w./-]+\.(?:js|mjs|cjs|ts|py|rb)\b`)
	railsHealth = regexp.MustCompile(`rails/health#show`)
)

// askedAt looks for a health check in the scripts that a Dockerfile names, and in the
// routes of Rails.
func (s *Service) askedAt(tree fs.FS, dockerfile string) {
	for _, name := range append(scriptNamed.FindAllString(dockerfile, -1), "config/routes.rb") {
		file := path.Join(s.Dir, strings.TrimLeft(name, "/"))
		if !fs.ValidPath(file) || !isFile(tree, file) || s.Health != "" {
			continue
		}
		text, err := readStart(tree, file)
		if err != nil {
			continue
		}
		if m := healthElse.FindSubmatch(text); m != nil {
			s.Health, s.HealthFrom = string(m[1]), file
		} else if railsHealth.Match(text) {
			s.Health, s.HealthFrom = "/up", file
		}
	}
}

var exposes = regexp.MustCompile(`(?mi)^\s*EXPOSE\s+(\d{2,5})(?:/tcp)?\s*$`)

// dockerfiles adds a service for each Dockerfile in a folder that nothing else builds.
func (d *Detection) dockerfiles(tree fs.FS) {
	for _, f := range dockerfiles(tree) {
		d.Looked = append(d.Looked, f)
		dir := path.Dir(f)
		if i := slices.IndexFunc(d.Services, func(s Service) bool { return s.Dir == dir }); i >= 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("%s builds %s where Docker or podman answers; build: {dir: %s, with: %s} builds it without", f, d.Services[i].Name, d.Services[i].Dir, d.Services[i].Kind))
			continue
		}
		// Pages below it are what its program serves.
		d.Services = slices.DeleteFunc(d.Services, func(s Service) bool { return s.Kind == "static" && within(s.Dir, dir) })
		if i := slices.IndexFunc(d.Services, func(s Service) bool { return within(s.Dir, dir) }); i >= 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("%s stands above %s and is not used: build: {dir: %s, with: docker} builds it", f, d.Services[i].Name, dir))
			continue
		}
		s := Service{Name: strings.Trim(notInNames.ReplaceAllString(strings.ToLower(path.Base(dir)), "-"), "-0123456789"), Dir: dir, Kind: "docker", From: f}
		if s.Name == "" {
			s.Name = "app"
		}
		if text, err := readStart(tree, f); err == nil {
			if m := exposes.FindAllStringSubmatch(string(text), -1); len(m) == 1 {
				s.PortFrom = f + " EXPOSEs " + m[0][1] + ", which is $PORT"
			}
			s.askedAt(tree, string(text))
		}
		d.Services = append(d.Services, s)
	}
}

// docker builds a workload as its Dockerfile says.
func (r *run) docker(ctx context.Context, e *engine.Engine, w Workload) {
	art, reused, err := r.dockered(ctx, e, w)
	r.done(ctx, w.Name, Result{Artifact: art, Reused: reused, Err: err})
}

func (r *run) dockered(ctx context.Context, e *engine.Engine, w Workload) (art Artifact, reused bool, err error) {
	w.Build.Dir = path.Clean(w.Build.Dir)
	if !filepath.IsLocal(w.Build.Dir) || !isDir(os.DirFS(r.job.Source), w.Build.Dir) {
		return art, false, fault(w, CodeNothing, StepDetect, "the repository has no folder "+w.Build.Dir, "build: names a folder of the repository, relative to its root")
	}
	// Links that lead out of the repository would show its makers files of this machine.
	root, err := os.OpenRoot(filepath.Join(r.job.Source, filepath.FromSlash(w.Build.Dir)))
	if err != nil {
		return art, false, fmt.Errorf("open the build context of %s: %w", w.Name, err)
	}
	defer root.Close() //nolint:errcheck // only read
	c, err := engine.OpenContext(root.FS(), w.Build.Dockerfile)
	if err != nil {
		return art, false, fault(w, CodeDockerfile, StepDetect, err.Error(), "build: {dir: …, dockerfile: …} names it; its path is relative to dir")
	}
	if art.Inputs, err = r.ingredients(ctx, e, c, w); err != nil {
		return art, false, engineFault(ctx, w, StepDetect, err)
	}
	if kept, ok := r.recall(art.Inputs); ok && kept.Image != nil {
		switch err := e.Keep(ctx, kept.Image.Digest, r.owner()); {
		case err == nil:
			return kept, true, nil
		case !errors.Is(err, engine.ErrNotFound): // somebody removed it: it is built anew
			return art, false, engineFault(ctx, w, StepKeep, err)
		}
	}
	release, err := r.slot(ctx)
	if err != nil {
		return art, false, err
	}
	defer release()
	id, err := r.compileImage(ctx, e, c, w)
	if err != nil {
		return art, false, err
	}
	// Once more: bases that were not there before are there now.
	if art.Inputs, err = r.ingredients(ctx, e, c, w); err != nil {
		return art, false, engineFault(ctx, w, StepKeep, err)
	}
	v, err := e.Version(ctx)
	if err != nil {
		return art, false, engineFault(ctx, w, StepKeep, err)
	}
	art.Toolchain = v.String()
	if art, err = r.keepEngineImage(ctx, e, w, id, art); err != nil {
		return art, false, err
	}
	return art, false, r.remember(art)
}

// ingredients digests all that an image is made of: the files that the builder sees,
// what it is told, and the images that it builds on, as the engine has them.
func (r *run) ingredients(ctx context.Context, e *engine.Engine, c *engine.Context, w Workload) (string, error) {
	files, err := c.Digest()
	if err != nil {
		return "", err
	}
	rec := newRecipe("dockerfile")
	rec.add(files, w.Build.Dockerfile, w.Build.Target, e.Socket())
	for _, name := range slices.Sorted(maps.Keys(w.Build.Args)) {
		rec.add(name, w.Build.Args[name])
	}
	bases, err := c.Bases(w.Build.Args)
	if err != nil {
		return "", err
	}
	for _, base := range bases {
		// A base that is not there yet, or that BuildKit keeps to itself, has no digest.
		im, err := e.Image(ctx, base)
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return "", err
		}
		rec.add(base, im.ID)
	}
	return rec.digest(), nil
}

// compileImage has the engine build an image, and returns its id.
func (r *run) compileImage(ctx context.Context, e *engine.Engine, c *engine.Context, w Workload) (string, error) {
	log, err := r.openLog(w.Name, StepCompile)
	if err != nil {
		return "", err
	}
	defer log.close() //nolint:errcheck // a log that is cut short is still a log
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.Limits.Time, errTime)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	log.over = func() { stop(errOutput) }
	auth := r.auth()
	bases, err := c.Bases(w.Build.Args)
	if err == nil {
		err = e.PullBases(ctx, bases, auth, log)
	}
	var id string
	if err == nil {
		id, err = e.Build(ctx, c, engine.Build{
			Target: w.Build.Target, Args: w.Build.Args, Labels: map[string]string{engine.Label: r.owner()}, Offline: !r.cfg.Network, Auth: auth,
		}, log)
	}
	if err == nil {
		return id, nil
	}
	if limit := limitError(w, StepCompile, log, outcome{}, context.Cause(ctx)); limit != nil {
		return "", limit
	}
	return "", r.notBuilt(ctx, w, log, err)
}

// notBuilt says what kept an image from being built.
func (r *run) notBuilt(ctx context.Context, w Workload, log io.Writer, err error) error {
	var bad *engine.BuildError
	if !errors.As(err, &bad) {
		return engineFault(ctx, w, StepCompile, err)
	}
	f := fault(w, CodeDockerfile, StepCompile, bad.Saw, "")
	if errors.Is(err, engine.ErrNoSpace) {
		f.Code, f.Saw, f.Help = CodeNoSpace, noRoomInEngine(bad), roomInEngine
	}
	name := path.Join(w.Build.Dir, w.Build.Dockerfile)
	if w.Build.Dockerfile == "" {
		name = path.Join(w.Build.Dir, "Dockerfile")
	}
	f.Where += "\n" + name
	if bad.Line > 0 {
		f.Where += fmt.Sprintf(":%d", bad.Line)
	}
	if bad.Step != "" {
		f.Where += "   " + bad.Step
	}
	if l, ok := log.(*stepLog); ok {
		f.Tail, f.Log = l.tail(), l.path
	}
	if f.Help == "" && !r.cfg.Network && strings.HasPrefix(strings.ToUpper(bad.Step), "RUN") {
		f.Help = "steps that build have no network here; if this one needs it: titrate up --replace --network"
	}
	return f
}

// auth is the logins of the job as the engine takes them.
func (r *run) auth() map[string]engine.Auth {
	out := map[string]engine.Auth{}
	for host, l := range r.job.Logins {
		out[host] = engine.Auth(l)
	}
	return out
}

// noRoomInEngine says what an engine said.
func noRoomInEngine(err error) string {
	text := err.Error()
	if _, said, ok := strings.Cut(text, engine.ErrNoSpace.Error()+": "); ok {
		text = strings.TrimPrefix(said, "Error response from daemon: ")
	}
	return "the image is larger than what is free on the disk of the container engine: " + text
}

// roomInEngine is what to do when an engine's disk is full.
const roomInEngine = "free some room, then push again: docker system df shows what takes it; docker image prune, docker builder prune"

// engineFault says that the engine could not do what it was asked. What ended
// because ctx did stays what it is.
func engineFault(ctx context.Context, w Workload, step string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if known := (*image.Error)(nil); errors.As(err, &known) {
		return err // the image or its registry is at fault
	}
	if errors.Is(err, engine.ErrNoSpace) {
		code := CodeNoSpace
		if w.Image != "" {
			code = CodeImage
		}
		return fault(w, code, step, noRoomInEngine(err), roomInEngine)
	}
	help := "the engine's own log says more: journalctl -u docker"
	if errors.Is(err, engine.ErrGone) {
		help = "push again when it answers: docker info; what runs, runs on"
	}
	return fault(w, CodeEngine, step, err.Error(), help)
}
