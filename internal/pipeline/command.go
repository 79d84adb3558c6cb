package pipeline

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// command builds a workload by the command of its manifest. The command sees
// the build's folder and nothing else of the repository, so that everything it
// can depend on is hashed.
func (r *run) command(ctx context.Context, w Workload) {
	art, reused, err := r.commanded(ctx, w)
	r.done(ctx, w.Name, Result{Artifact: art, Reused: reused, Err: err})
}

func (r *run) commanded(ctx context.Context, w Workload) (art Artifact, reused bool, err error) {
	w.Build.Dir = path.Clean(w.Build.Dir)
	source := filepath.Join(r.job.Source, filepath.FromSlash(w.Build.Dir))
	if info, err := os.Stat(source); err != nil || !info.IsDir() || !filepath.IsLocal(w.Build.Dir) {
		return art, false, fault(w, CodeNothing, StepDetect, "the repository has no folder "+w.Build.Dir, "build: {dir: …} names a folder of the repository")
	}
	rec := newRecipe("command")
	rec.add(w.Build.Command, w.Build.Output, w.Build.Run, os.Getenv("PATH"))
	if w.Function != nil {
		rec.add("function", w.Function.Runtime)
	}
	if w.Build.Fetch != "" || w.Build.Test != "" || w.Build.Network {
		rec.add(w.Build.Fetch, w.Build.Test, fmt.Sprint(w.Build.Network))
	}
	if err := r.networkAllowed(w); err != nil {
		return art, false, err
	}
	if err := rec.tree(r.job.Source, w.Build.Dir); err != nil {
		return art, false, fmt.Errorf("hash %s: %w", w.Build.Dir, err)
	}
	art.Inputs = rec.digest()
	if kept, ok := r.recall(art.Inputs); ok {
		return kept, true, nil
	}
	release, err := r.slot(ctx)
	if err != nil {
		return art, false, err
	}
	defer release()
	copied, err := r.runCommand(ctx, w, source)
	if err != nil {
		return art, false, err
	}
	art.BuiltAt, art.Toolchain = r.began.UTC(), w.Build.Command
	if w.Function != nil {
		art, err = r.keepFunctionOutput(ctx, w, copied, art)
		return art, false, err
	}
	art, err = r.keepOutput(ctx, w, copied, art)
	return art, false, err
}

// commandRun is the folder in which a command was run, for all functions that take
// something of what it leaves: a framework that packs sixty of them does so once.
type commandRun struct {
	once   sync.Once
	first  Workload
	folder string
	err    error
}

// runCommand runs what a build says in a copy of its folder, and returns that.
func (r *run) runCommand(ctx context.Context, w Workload, source string) (folder string, err error) {
	if w.Function == nil {
		return r.runSteps(ctx, w, source)
	}
	b := w.Build
	key := strings.Join([]string{b.Dir, b.Fetch, b.Command, b.Test, fmt.Sprint(b.Network)}, "\x00")
	r.mu.Lock()
	c := r.commands[key]
	if c == nil {
		if r.commands == nil {
			r.commands = map[string]*commandRun{}
		}
		c = &commandRun{first: w}
		r.commands[key] = c
	}
	r.mu.Unlock()
	c.once.Do(func() { c.folder, c.err = r.runSteps(ctx, c.first, source) })
	if c.err != nil && c.first.Name != w.Name {
		return "", shared(c.err, c.first, w)
	}
	return c.folder, c.err
}

// runSteps copies a folder and runs the lines of a build in it.
func (r *run) runSteps(ctx context.Context, w Workload, source string) (copied string, err error) {
	if copied, err = r.folder(w.Name); err != nil {
		return "", err
	}
	if err := copyTree(source, copied); err != nil {
		return "", fmt.Errorf("copy the source of %s: %w", w.Name, err)
	}
	for _, st := range []struct {
		name, line string
		network    bool
	}{{StepFetch, w.Build.Fetch, r.cfg.Network}, {StepCompile, w.Build.Command, w.Build.Network}, {StepTest, w.Build.Test, w.Build.Network}} {
		if err := r.shell(ctx, w, copied, st.name, st.line, st.network); err != nil {
			return "", err
		}
	}
	return copied, nil
}

// shell runs a line of the build in the sandbox.
func (r *run) shell(ctx context.Context, w Workload, source, name, line string, network bool) error {
	if line == "" {
		return nil
	}
	s := r.sandbox
	// Caches of tools belong to the app: what one app's build leaves there is
	// never read by another's.
	cache := r.path("builds", "homes", r.job.App)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	dir, kept := s.at(ctx, "/src", source), s.at(ctx, "/cache/app", cache)
	binds := []bind{{Path: source, At: "/src", Write: true}, {Path: cache, At: "/cache/app", Write: true}}
	env := []string{
		"PATH=" + toolPath(), "XDG_CACHE_HOME=" + kept, "GOCACHE=" + filepath.Join(kept, "go-build"), "npm_config_cache=" + filepath.Join(kept, "npm"),
		"GOTOOLCHAIN=local", "GOPROXY=off", "GOFLAGS=-buildvcs=false", "CI=1",
	}
	for _, tool := range toolBinds() {
		binds = append(binds, bind{Path: tool})
	}
	if t, missing := r.findGo(ctx); missing == nil {
		binds = append(binds, bind{Path: t.Root})
		if exists(t.ModCache) {
			binds, env = append(binds, bind{Path: t.ModCache}), append(env, "GOMODCACHE="+t.ModCache)
		}
	}
	if network {
		env = append(env, fetchEnv()...)
	}
	return r.shellStep(ctx, w, name, line, step{binds: unique(binds), network: network, dir: dir, env: env})
}

// keepOutput makes an artifact of what a command has left.
func (r *run) keepOutput(ctx context.Context, w Workload, source string, art Artifact) (Artifact, error) {
	root, err := os.OpenRoot(source)
	if err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	defer root.Close() //nolint:errcheck // only read
	output := path.Clean(w.Build.Output)
	info, err := root.Stat(output)
	if err != nil {
		return art, fault(w, CodeOutput, StepKeep, fmt.Sprintf("%q went well and left no %s", w.Build.Command, output), "build: {output: …} names the file or folder that the command leaves")
	}
	dir, err := os.MkdirTemp(r.artifacts.dir, ".tmp-")
	if err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	defer removeAll(dir) //nolint:errcheck // removed at the next start otherwise
	if err := os.Chmod(dir, 0o755); err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	art.Command = []string{"/bin/sh", "-c", w.Build.Run}
	may := r.allowance(ctx)
	switch {
	case info.IsDir():
		sub, err := root.OpenRoot(output)
		if err != nil {
			return art, fmt.Errorf("keep artifact: %w", err)
		}
		defer sub.Close() //nolint:errcheck // only read
		if err := copyInto(dir, sub, may); err != nil {
			return art, notKept(ctx, w, err)
		}
		switch {
		case w.Build.Run != "" || !w.Run.Silent():
		case exists(filepath.Join(dir, "index.html")): // of a generator of sites
			art.Command = siteCommand("")
		default:
			return art, fault(w, CodeOutput, StepKeep, output+" is a folder without an index.html, and nothing says how to start it", "build: {run: …} is the command that starts it, such as ./server")
		}
	case !info.Mode().IsRegular():
		return art, fault(w, CodeOutput, StepKeep, output+" is neither a file nor a folder", "build: {output: …} names the file or folder that the command leaves")
	default:
		if err := copyFile(filepath.Join(dir, path.Base(output)), root, output, may); err != nil {
			return art, notKept(ctx, w, err)
		}
		if w.Build.Run == "" {
			art.Command = []string{"./" + path.Base(output)}
			if info.Mode()&0o111 == 0 && w.Run.Silent() {
				return art, fault(w, CodeOutput, StepKeep, output+" is not executable, and nothing says how to start it", "chmod +x in the command, or build: {run: …}")
			}
		}
	}
	kept, err := r.artifacts.keep(dir, art)
	if err != nil {
		return art, notKept(ctx, w, err)
	}
	return kept, r.remember(kept)
}

// notKept says why an output was not kept.
func notKept(ctx context.Context, w Workload, err error) error {
	if limit := limitError(w, StepKeep, nil, outcome{}, err); limit != nil {
		return limit
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fault(w, CodeOutput, StepKeep, err.Error(), "the output may hold files, folders, and links between them")
}

// toolBinds are the folders of PATH that the system's folders do not hold, with
// the libraries beside them: tools that people install for themselves.
func toolBinds() []string {
	var out []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || !filepath.IsAbs(real) || real == "/" || strings.HasPrefix(real+"/", "/tmp/") {
			continue
		}
		dirs := []string{real}
		if path.Base(real) == "bin" {
			dirs = append(dirs, filepath.Join(filepath.Dir(real), "lib"), filepath.Join(filepath.Dir(real), "libexec"))
		}
		for _, d := range dirs {
			if exists(d) {
				out = append(out, d)
			}
		}
	}
	return out
}

func toolPath() string {
	var out []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if real, err := filepath.EvalSymlinks(dir); err == nil && filepath.IsAbs(real) {
			out = append(out, real)
		}
	}
	return strings.Join(out, ":")
}

// unique drops binds of what the system's folders show already, and doubles.
func unique(binds []bind) []bind {
	var out []bind
	seen := map[string]bool{}
	for _, b := range binds {
		covered := b.At == "" && (within(b.Path, "/usr") || within(b.Path, "/bin") || within(b.Path, "/sbin") || within(b.Path, "/opt"))
		if !covered && !seen[b.Path] {
			out = append(out, b)
		}
		seen[b.Path] = true
	}
	return out
}
