// Package pipeline turns a commit's files into artifacts: it fetches what a build
// depends on, compiles in a sandbox, and keeps the result under its content.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"titrate/internal/engine"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

// Config says where builds keep what they make and what they may use.
type Config struct {
	// Dir is the data folder: artifacts/, logs/builds/ and builds/ are ours.
	Dir string
	// Launcher is the argv that runs this program again; "__sandbox" or "__gocache"
	// is appended, and [Sandbox] or [GoCache] answers.
	Launcher []string
	// Network lets the fetch step use the network. The compile step never does.
	Network bool
	// Images returns nil where the target can run images, or a [LackError]. It is
	// asked before an image is pulled. Nil: it can.
	Images func(context.Context) error
	// Engine returns the container engine that builds and holds images, as
	// [engine.Seeker.Engine] does; nil: there is none.
	Engine func(context.Context) (*engine.Engine, error)
	// ImageNote returns what people are to know of how an image runs here, in a line;
	// empty: nothing. Nil: nothing of any.
	ImageNote func(rollout.Image) string
	// CheckFunction returns nil where the files in a folder can be called as a function
	// by that runtime and handler on this machine, or an error: of the workload, a
	// [LackError] where it can say what to do. It may run the function's code. Nil: no
	// function is checked.
	CheckFunction func(ctx context.Context, folder, runtime, handler string) error
	Limits        Limits
	Parallel      int    // steps at one time; 0: 2
	Waited        bool   // somebody waits for each build: steps do not yield to what else runs here
	Go            string // the go program; empty: the one on PATH
	Log           *slog.Logger
}

// Limits bound one step of a build. A zero field is the default.
type Limits struct {
	Time      time.Duration // 10 minutes
	Output    int64         // bytes printed: 8 MiB
	Disk      int64         // bytes written: 4 GiB
	Processes int           // at one time: 1024
}

func (l Limits) orDefaults() Limits {
	if l.Time == 0 {
		l.Time = 10 * time.Minute
	}
	if l.Output == 0 {
		l.Output = 8 << 20
	}
	if l.Disk == 0 {
		l.Disk = 4 << 30
	}
	if l.Processes == 0 {
		l.Processes = 1024
	}
	return l
}

// Job asks for the artifacts of one commit.
type Job struct {
	App       string
	Label     string // names the folder of the logs: "r42", or a commit
	Commit    string
	Source    string // the exported files of the commit; read only
	Workloads []Workload
	Logins    map[string]Login // to registries of images, by host as the manifest has it
	Progress  io.Writer        // lines for the person who pushed; nil: nobody
}

// Workload is one service or function to build, or to take from an image.
type Workload struct {
	Name  string
	Build manifest.Build
	Image string       // the image, as the manifest has it; empty: it is built
	Run   manifest.Run // how it is started; silent: as its artifact says

	Accessory bool           // it is one: Image is its
	Function  *FunctionBuild // nil: a service
}

// Login is what a registry of images is shown. The password is in the clear.
type Login struct{ Username, Password string }

// Result is what came of one workload.
type Result struct {
	Workload string
	Artifact Artifact
	Reused   bool // nothing that it is made of had changed (R1)
	Took     time.Duration
	Err      error // a *BuildError when the pushed code is at fault
}

// Builder builds. Its methods may be called from several goroutines.
type Builder struct {
	cfg       Config
	artifacts *Artifacts
	slots     chan struct{}
	sandbox   *sandbox
	merge     sync.Mutex   // held while the build cache changes
	building  sync.RWMutex // read by builds under way; written to while a cache goes
	turns     sync.Map     // by name: a turn
	checked   checked      // functions that can be called
	sources   sync.Map     // by app: a channel of one place, taken by who uses its fixed source folder
}

// Open prepares the folders of the builder and removes what a crash left of
// builds in progress.
func Open(cfg Config) (*Builder, error) {
	if cfg.Parallel == 0 {
		cfg.Parallel = 2
	}
	cfg.Limits = cfg.Limits.orDefaults()
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open builds: %w", err)
	}
	// Links in the way of a folder would be absent in the sandbox.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open builds: %w", err)
	}
	if cfg.Dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("open builds: %w", err)
	}
	b := &Builder{cfg: cfg, slots: make(chan struct{}, cfg.Parallel)}
	if err := removeAll(b.path("builds", "work")); err != nil {
		return nil, fmt.Errorf("open builds: %w", err)
	}
	for _, dir := range []string{b.path("builds", "work"), b.path("builds", "inputs"), b.path("builds", "gocache"), b.path("builds", "modcache"), b.path("builds", "homes"), b.path("builds", "deps"), b.path("builds", "downloads"), b.path("builds", "layers"), b.path("logs", "builds")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open builds: %w", err)
		}
	}
	if b.artifacts, err = OpenArtifacts(b.path("artifacts")); err != nil {
		return nil, err
	}
	if b.sandbox, err = newSandbox(cfg); err != nil {
		return nil, err
	}
	return b, nil
}

// Artifacts returns the store of what was built.
func (b *Builder) Artifacts() *Artifacts { return b.artifacts }

// Confinement says in a sentence each what this machine cannot keep builds from.
func (b *Builder) Confinement(ctx context.Context) []string { return b.sandbox.confinement(ctx) }

func (b *Builder) path(parts ...string) string {
	return filepath.Join(append([]string{b.cfg.Dir}, parts...)...)
}

var logName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$`)

// Build builds every workload of a job, and returns their results in the job's
// order. Its error joins those of the results; the artifacts that were made are
// kept even so, and cost nothing the next time.
func (b *Builder) Build(ctx context.Context, j Job) ([]Result, error) {
	names := []string{j.App, j.Label}
	for _, w := range j.Workloads {
		names = append(names, w.Name)
	}
	for _, n := range names {
		if !logName.MatchString(n) {
			return nil, fmt.Errorf("build: %q cannot name a folder", n)
		}
	}
	if j.Progress == nil {
		j.Progress = io.Discard
	}
	b.building.RLock()
	defer b.building.RUnlock()
	work, err := os.MkdirTemp(b.path("builds", "work"), j.App+"-*")
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", j.App, err)
	}
	defer removeAll(work) //nolint:errcheck // what stays is removed at the next start
	run := &run{Builder: b, job: j, work: work, results: map[string]Result{}, began: time.Now()}
	leave, err := run.settle(ctx)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", j.App, err)
	}
	defer leave()
	run.all(ctx)
	out := make([]Result, len(j.Workloads))
	var errs []error
	for i, w := range j.Workloads {
		out[i] = run.results[w.Name]
		if err := out[i].Err; err != nil {
			errs = append(errs, err)
		}
	}
	if err := b.trimLogs(j.App); err != nil {
		b.cfg.Log.Warn("old build logs stay", slog.String("app", j.App), slog.Any("error", err))
	}
	return out, errors.Join(errs...)
}

// run is one call of Build.
type run struct {
	*Builder
	job   Job
	work  string // a folder of its own, removed at the end
	began time.Time

	mu      sync.Mutex // guards what follows
	results map[string]Result
	folders int

	commands map[string]*commandRun // of functions, by what is run

	// Not changed once the builds have begun.
	units  map[string]*unit // by function
	layers map[layerKey]*layerBuild
}

// settle puts the source where every build of the app sees it in the same place.
// The go command writes that place into what it compiles: were it another each
// time, nothing would be found in the cache and no build would be like the last.
// (-trimpath would cure that too, and with it miss all that the user's own cache
// holds.) With a view of files of its own, a build sees it at /src anyway; without
// one there is one folder an app, and its builds wait for each other.
func (r *run) settle(ctx context.Context) (leave func(), err error) {
	if r.job.Source, err = filepath.EvalSymlinks(r.job.Source); err != nil {
		return nil, err
	}
	if r.sandbox.probe(ctx) == levelFull {
		return func() {}, nil
	}
	place, _ := r.sources.LoadOrStore(r.job.App, make(chan struct{}, 1))
	turn, ok := place.(chan struct{})
	if !ok {
		panic("sources hold channels only")
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	fixed := r.path("builds", "src", r.job.App)
	leave = func() {
		os.RemoveAll(fixed)
		<-turn
	}
	if err = os.RemoveAll(fixed); err == nil {
		err = os.MkdirAll(fixed, 0o755)
	}
	if err == nil {
		err = copyTree(r.job.Source, fixed)
	}
	if err != nil {
		leave()
		return nil, err
	}
	r.job.Source = fixed
	return leave, nil
}

// all sorts the workloads: those that a command builds go one by one, the Go
// programs of one module are built together.
func (r *run) all(ctx context.Context) {
	groups := map[string][]Workload{}
	var order []string
	var under sync.WaitGroup
	grouped := func(root string, w Workload) {
		if groups[root] == nil {
			order = append(order, root)
		}
		groups[root] = append(groups[root], w)
	}
	for _, u := range r.sortFunctions(ctx) {
		if u.by == byGo {
			grouped(functionGroup+u.module, u.w)
			continue
		}
		under.Go(func() { r.function(ctx, u) })
	}
	for _, w := range r.job.Workloads {
		if w.Function != nil {
			continue
		}
		if w.Image != "" {
			under.Go(func() { r.image(ctx, w) })
			continue
		}
		if w.Build.Command != "" {
			under.Go(func() { r.command(ctx, w) })
			continue
		}
		e, yes, err := r.dockerfiled(ctx, w)
		if err != nil {
			r.done(ctx, w.Name, Result{Err: err})
			continue
		}
		if yes {
			under.Go(func() { r.docker(ctx, e, w) })
			continue
		}
		if by := planners[languageOf(os.DirFS(r.job.Source), path.Clean(w.Build.Dir), w.Build.With)]; by != nil {
			under.Go(func() { r.language(ctx, w, by) })
			continue
		}
		root, built, err := r.goModule(w)
		if err != nil {
			r.done(ctx, w.Name, Result{Err: err})
			continue
		}
		grouped(root, built)
	}
	for _, root := range order {
		under.Go(func() { r.goGroup(ctx, strings.TrimPrefix(root, functionGroup), groups[root]) })
	}
	under.Wait()
}

// done keeps the result of a workload, and of those that share its artifact, and tells
// of it.
func (r *run) done(ctx context.Context, workload string, res Result) {
	if w := r.of(workload); w.Function != nil {
		r.functionDone(ctx, w, res)
		return
	}
	r.settled(workload, res)
}

// settled keeps the result of a workload and tells of it.
func (r *run) settled(workload string, res Result) {
	r.keep(workload, res)
	r.tell(workload, 0)
}

// keep keeps the result of a workload.
func (r *run) keep(workload string, res Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res.Workload, res.Took = workload, time.Since(r.began)
	if r.of(workload).Function == nil {
		res.Artifact.Command = started(res.Artifact, r.of(workload).Run)
	}
	r.results[workload] = res
}

// tell tells of a workload, and of how many more that share its artifact. A failure is
// told as the error of the whole.
func (r *run) tell(workload string, more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res, others := r.results[workload], ""
	if more > 0 {
		others = fmt.Sprintf("   and %d more", more)
	}
	switch {
	case res.Err != nil:
	case res.Reused:
		fmt.Fprintf(r.job.Progress, "build   %-16s unchanged%s\n", workload, others)
	default:
		fmt.Fprintf(r.job.Progress, "build   %-16s %5.1f s   %s%s\n", workload, res.Took.Seconds(), short(res.Artifact.Digest), others)
	}
}

// folder makes a new folder under work.
func (r *run) folder(name string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.folders++
	dir := filepath.Join(r.work, fmt.Sprintf("%d-%s", r.folders, name))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	return dir, nil
}

// slot waits for a turn, so that builds leave room for what is running.
func (b *Builder) slot(ctx context.Context) (release func(), err error) {
	select {
	case b.slots <- struct{}{}:
		return func() { <-b.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func short(digest string) string { return digest[:min(12, len(digest))] }

// within reports whether the slash-separated path p is dir or lies under it.
func within(p, dir string) bool {
	return dir == "." || p == dir || strings.HasPrefix(p, dir+"/")
}

// removeAll removes a tree, read-only folders of it too.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	//nolint:errcheck // what cannot be opened up cannot be removed either, and says so below
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
