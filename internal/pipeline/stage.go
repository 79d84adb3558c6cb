package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// stage is one build by a language's tools, under way.
type stage struct {
	*run
	w    Workload
	p    plan
	src  string // the copy of the source, which the steps change
	deps string // $DEPS
}

// steps runs fetch, compile and test.
func (st *stage) steps(ctx context.Context) error {
	var err error
	if st.deps, err = st.folder("deps"); err != nil {
		return err
	}
	if err := st.dependencies(ctx); err != nil {
		return err
	}
	if said, err := os.ReadFile(filepath.Join(st.deps, notesFile)); err == nil {
		for note := range strings.Lines(string(said)) {
			fmt.Fprintf(st.job.Progress, "note    %s: %s\n", st.w.Name, strings.TrimSpace(note))
		}
	}
	if err := st.step(ctx, StepCompile, st.p.build, st.w.Build.Network); err != nil {
		return err
	}
	if err := st.step(ctx, StepTest, st.w.Build.Test, st.w.Build.Network); err != nil {
		return err
	}
	return st.step(ctx, StepKeep, st.p.finish, false)
}

// step runs a shell line behind the walls.
func (st *stage) step(ctx context.Context, name, line string, network bool) error {
	if line == "" {
		return nil
	}
	s, p := st.sandbox, st.p
	downloads := st.path("builds", "downloads", st.job.App)
	cache := st.path("builds", "homes", st.job.App)
	bin, err := st.folder("bin")
	if err != nil {
		return err
	}
	if err := writeWrappers(bin, s.at(ctx, "/src", st.src), p.wrap); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	binds := []bind{{Path: st.src, At: "/src", Write: true}, {Path: st.deps, At: "/deps", Write: true}, {Path: bin, At: "/tools"}}
	env := []string{"PATH=" + strings.Join([]string{s.at(ctx, "/tools", bin), toolPath()}, ":"), "CI=1", "DEPS=" + s.at(ctx, "/deps", st.deps), "SRC=" + s.at(ctx, "/src", st.src)}
	if name == StepFetch {
		if err := os.MkdirAll(downloads, 0o755); err != nil {
			return fmt.Errorf("build: %w", err)
		}
		binds = append(binds, bind{Path: downloads, At: "/cache/downloads", Write: true})
		env = append(env, "DOWNLOADS="+s.at(ctx, "/cache/downloads", downloads))
	} else {
		if err := os.MkdirAll(cache, 0o755); err != nil {
			return fmt.Errorf("build: %w", err)
		}
		binds = append(binds, bind{Path: cache, At: "/cache/app", Write: true})
		env = append(env, "XDG_CACHE_HOME="+s.at(ctx, "/cache/app", cache))
	}
	if network {
		env = append(env, fetchEnv()...)
	}
	deps := s.at(ctx, "/deps", st.deps)
	src := s.at(ctx, "/src", st.src)
	for _, kv := range p.env {
		env = append(env, strings.NewReplacer("$DEPS", deps, "$SRC", src).Replace(kv))
	}
	for _, t := range toolBinds() {
		binds = append(binds, bind{Path: t})
	}
	for _, t := range append(slices.Clone(p.tools), p.needs...) {
		if t.home != "" {
			binds = append(binds, bind{Path: t.home})
		}
	}
	binds = append(binds, p.binds...)
	told := ""
	if name == StepFetch {
		told = p.told
	}
	err = st.shellStep(ctx, st.w, name, "set -e\n"+line, step{
		told:  told,
		binds: unique(binds), network: network, dir: filepath.Join(src, filepath.FromSlash(p.dir)), env: env,
	})
	var e *BuildError
	if errors.As(err, &e) && len(p.doubts) > 0 {
		e.Help = strings.TrimPrefix(e.Help+"\n", "\n") + "it may be this: " + strings.Join(p.doubts, "\nor this: ")
	}
	return err
}

// shellStep runs a line with its log, and turns what went wrong into the error that helps.
func (r *run) shellStep(ctx context.Context, w Workload, name, line string, st step) error {
	log, err := r.openLog(w.Name, name)
	if err != nil {
		return err
	}
	defer log.close() //nolint:errcheck // a log that is cut short is still a log
	if st.work, err = r.folder(name); err != nil {
		return err
	}
	st.log, st.args = log, []string{"/bin/sh", "-c", line}
	line = strings.TrimPrefix(line, "set -e\n")
	for l := range strings.SplitSeq(strings.TrimSpace(line), "\n") {
		log.say("$ %s", l)
	}
	end, err := r.sandbox.run(ctx, st)
	if err != nil || end.Stopped != "" {
		if limit := limitError(w, name, log, end, err); limit != nil {
			return limit
		}
		return err
	}
	if end.Exit == 0 {
		return nil
	}
	e := fault(w, CodeFailed, name, fmt.Sprintf("%s ended with exit code %d", cmp.Or(st.told, plain(line)), end.Exit), "")
	e.Exit, e.Log, e.Tail = end.Exit, log.path, log.tail()
	r.explain(e, w, strings.Join(log.all(), "\n"))
	return e
}

var (
	lockSays = regexp.MustCompile(`(?i)npm ci. can only install|are in sync|ERR_PNPM_OUTDATED_LOCKFILE|ERR_PNPM_NO_LOCKFILE|lockfile needs to be updated|YN0028|lock file .* needs to be updated|pyproject\.toml changed significantly|poetry\.lock is not (?:up to date|consistent)`)
	netSays  = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED|Can't make a request in offline mode|ERR_PNPM_NO_OFFLINE|Temporary failure in name resolution|[Nn]ame or service not known|No matching distribution found|Could not resolve host|[Cc]ould not transfer artifact|offline mode and the artifact|Unknown host|UnknownHostException|[Nn]etwork is unreachable|[Ff]ailed to (?:download|get|fetch)|getaddrinfo|TypeError: fetch failed|No cached version|attempting to make an HTTP request, but --offline|can't find crate|no matching package named`)
	memSays  = regexp.MustCompile(`JavaScript heap out of memory|java\.lang\.OutOfMemoryError|MemoryError|Cannot allocate memory|\(signal: 9, SIGKILL`)
)

// relocks says how lock files are made anew.
var relocks = []struct{ tool, by, file string }{
	{"npm", "npm install", "package-lock.json"},
	{"pnpm", "pnpm install", "pnpm-lock.yaml"},
	{"yarn", "yarn install", "yarn.lock"},
	{"uv", "uv lock", "uv.lock"},
	{"poetry", "poetry lock", "poetry.lock"},
	{"cargo", "cargo update --workspace", "Cargo.lock"},
}

// explain adds to the error of a step what its output tells.
func (r *run) explain(e *BuildError, w Workload, said string) {
	switch {
	case e.Exit == 137 || e.Exit == 134 && memSays.MatchString(said) || memSays.MatchString(said):
		e.Code, e.Saw = CodeLimit, e.Saw+": memory ran out"
		e.Help = "give the machine more memory, or the tool less: NODE_OPTIONS=--max-old-space-size=…, fewer jobs at a time"
	case lockSays.MatchString(said):
		e.Code, e.Help = CodeLock, "make the lock file anew, commit it, push again"
		for _, m := range relocks {
			if strings.HasPrefix(e.Saw, m.tool) {
				e.Help = m.by + ", commit " + m.file + ", push again"
			}
		}
		e.Saw += ": the lock file does not fit what it locks"
		lines := strings.Split(said, "\n")
		if i := slices.IndexFunc(lines, lockSays.MatchString); i >= 0 { // what follows are the tool's manners
			e.Tail = lastOf(lines[i:min(len(lines), i+8)])
		}
	case netSays.MatchString(said):
		e.Code, e.Saw = CodeUnreachable, e.Saw+": something could not be downloaded"
		switch {
		case e.Step == StepFetch && !r.cfg.Network:
			e.Help = "builds may not use the network here, and what is kept does not do: titrate up without --network=false"
		case e.Step == StepFetch, w.Build.Network:
			e.Help = "see whether it can be had from this machine; HTTPS_PROXY and the tools' own variables (npm_config_registry, PIP_INDEX_URL, …) are passed on from titrate up"
		default:
			e.Help = "this step has no network unless titrate.yaml says: " + w.Name + ": { build: { dir: " + w.Build.Dir + ", network: true } }; or let build: { fetch: … } get it"
		}
	case e.Step == StepTest:
		e.Code, e.Help = CodeTest, "mend what the test found, commit, push again; the whole output: "+e.Log
	case e.Exit == 127:
		e.Help = "the tools of a build are those on titrate's PATH; install what is missing"
	}
}

// fetchEnv passes on how this machine's tools reach what they download.
func fetchEnv() []string {
	out := proxyEnv()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if slices.ContainsFunc([]string{"npm_config_", "NPM_CONFIG_", "PIP_", "UV_", "POETRY_", "YARN_", "COREPACK_NPM_", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR", "NPM_TOKEN", "NODE_AUTH_TOKEN"},
			func(p string) bool { return strings.HasPrefix(name, p) }) {
			out = append(out, kv)
		}
	}
	return out
}
