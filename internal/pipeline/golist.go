package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// goPackage is what the go command says of a package; see `go help list`.
type goPackage struct {
	ImportPath string
	Dir        string
	Name       string
	Standard   bool
	Module     *goModule
	Deps       []string

	GoFiles, CgoFiles, IgnoredGoFiles, CFiles, CXXFiles, MFiles, HFiles, FFiles, SFiles []string
	SwigFiles, SwigCXXFiles, SysoFiles, IgnoredOtherFiles, EmbedFiles                   []string

	DefaultGODEBUG string
	Error          *goError
}

type goModule struct {
	Path, Version, GoVersion string
	Replace                  *goModule
}

type goError struct {
	ImportStack []string
	Pos         string
	Err         string
}

const goFields = "-json=ImportPath,Dir,Name,Standard,Module,Deps,GoFiles,CgoFiles,IgnoredGoFiles,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles," +
	"SwigFiles,SwigCXXFiles,SysoFiles,IgnoredOtherFiles,EmbedFiles,DefaultGODEBUG,Error"

func (p goPackage) files() []string {
	return slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.HFiles, p.FFiles, p.SFiles,
		p.SwigFiles, p.SwigCXXFiles, p.SysoFiles, p.IgnoredOtherFiles, p.EmbedFiles)
}

// listing is what a group of Go programs is made of.
type listing struct {
	place    goPlace
	packages map[string]goPackage // by import path
	mains    map[string]string    // import path by workload

	untestable string // what is wrong with a package that only tests need, or ""
}

// list fetches what the programs depend on and says what that is. `go list` runs
// no code of the repository. The user's module cache is tried as it is, read-only;
// what it lacks is looked for in its download folder, and then, if that is
// allowed, in the network.
func (r *run) list(ctx context.Context, t toolchain, root string, ws []Workload, log *stepLog) (listing, *BuildError, error) {
	l, missing, err := r.listWith(ctx, t, root, ws, log, t.ModCache, false)
	if err != nil || missing == nil || missing.Code != CodeModule {
		return l, missing, err
	}
	return r.listWith(ctx, t, root, ws, log, r.path("builds", "modcache"), true)
}

func (r *run) listWith(ctx context.Context, t toolchain, root string, ws []Workload, log *stepLog, modCache string, fetch bool) (listing, *BuildError, error) {
	out, err := r.folder("programs")
	if err != nil {
		return listing{}, nil, err
	}
	place, err := r.place(ctx, t, root, out, modCache, fetch)
	if err != nil {
		return listing{}, nil, err
	}
	if place.others, err = r.overlay(place.src, out, ws); err != nil {
		return listing{}, nil, err
	}
	// The program needs no module cache of its own beyond this point: compile reads it only.
	network := fetch && r.cfg.Network
	env, binds := place.env, place.binds
	if fetch {
		proxies := "file://" + r.sandbox.at(ctx, "/cache/downloads", filepath.Join(t.ModCache, "cache", "download"))
		binds = append(binds[:len(binds):len(binds)], bind{Path: filepath.Join(t.ModCache, "cache", "download"), At: "/cache/downloads"})
		if !exists(filepath.Join(t.ModCache, "cache", "download")) {
			proxies, binds = "off", place.binds
		}
		env = setEnv(env, "GOPROXY="+proxies)
		if network {
			env = setEnv(env, "GOPROXY="+strings.TrimPrefix(proxies+","+t.Proxy, "off,"), "GOSUMDB="+t.SumDB, "GOPRIVATE="+t.Private,
				"GONOSUMDB="+t.NoSumDB, "GONOPROXY="+t.NoProxy, "GOINSECURE="+t.Insecure, "GOVCS=*:git", "GIT_TERMINAL_PROMPT=0")
			env = setEnv(env, proxyEnv()...)
		}
	}
	args := []string{filepath.Join(t.Root, "bin", "go"), "list", "-e", "-deps", goFields}
	args = append(append(args, strings.Fields(t.flags)...), place.args()...)
	for _, w := range ws {
		args = append(args, "./"+relative(root, place.sees(w.Build.Dir)))
	}
	if slices.ContainsFunc(ws, tested) { // what tests import is fetched too
		args = append(args, "-test", "./...")
	}
	log.say("$ go list -e -deps %s", strings.Join(args[5:], " ")) // without the fields
	work, err := r.folder("list")
	if err != nil {
		return listing{}, nil, err
	}
	var said bytes.Buffer
	end, err := r.sandbox.run(ctx, step{
		binds: binds, network: network, dir: filepath.Join(place.src, filepath.FromSlash(root)), args: args, env: env, work: work, log: log, stdout: &limited{&said, maxListing},
	})
	if err != nil || end.Stopped != "" {
		return listing{}, limitError(ws[0], StepFetch, log, end, err), notOurs(err)
	}
	if end.Exit != 0 {
		return listing{}, r.goFault(ws[0], t, StepFetch, log, strings.Join(log.tail(), "\n"), end.Exit), nil
	}
	l, err := readListing(&said, place, root, ws)
	if err != nil {
		return listing{}, nil, err
	}
	for _, w := range ws {
		problem := l.problem(w)
		if problem == "" && tested(w) {
			problem = l.untestable
		}
		if problem != "" {
			log.say("%s", problem)
			if f := r.goFault(w, t, StepFetch, log, problem, 0); f.Code == CodeModule || f.Code == CodeGoVersion {
				return l, f, nil
			}
		}
	}
	return l, nil, nil
}

// maxListing bounds what `go list` may print.
const maxListing = 64 << 20

type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("the list of packages is too long")
	}
	return l.w.Write(p)
}

func readListing(said io.Reader, place goPlace, root string, ws []Workload) (listing, error) {
	l := listing{place: place, packages: map[string]goPackage{}, mains: map[string]string{}}
	byDir := map[string]string{}
	for in := json.NewDecoder(said); ; {
		var p goPackage
		err := in.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return l, fmt.Errorf("read the list of packages: %w", err)
		}
		if strings.HasSuffix(p.ImportPath, ".test") || strings.HasSuffix(p.ImportPath, ".test]") {
			continue // a variant that `go list -test` makes
		}
		if p.Error != nil && l.untestable == "" {
			l.untestable = strings.TrimPrefix(p.Error.Pos+": "+p.Error.Err, ": ")
		}
		l.packages[p.ImportPath] = p
		byDir[p.Dir] = p.ImportPath
	}
	for _, w := range ws {
		l.mains[w.Name] = byDir[filepath.Join(place.src, filepath.FromSlash(place.sees(path.Join(root, relative(root, w.Build.Dir)))))]
	}
	return l, nil
}

// problem returns what is wrong with a workload's program or one of its
// packages, or "".
func (l listing) problem(w Workload) string {
	main, ok := l.packages[l.mains[w.Name]]
	if !ok {
		return "no Go package in " + w.Build.Dir
	}
	for _, dep := range append([]string{main.ImportPath}, main.Deps...) {
		if e := l.packages[dep].Error; e != nil {
			said := e.Err
			if !strings.Contains(said, dep) {
				said = dep + ": " + said
			}
			return strings.TrimSpace(strings.TrimPrefix(e.Pos+": "+said, ": "))
		}
	}
	if main.Name != "main" {
		return "package " + main.Name + " in " + w.Build.Dir + " is not a program (package main)"
	}
	return ""
}

// inputs returns the digest of all that a program is made of: the files of its
// packages in the repository, the versions of those that are not, the toolchain
// and how it is called.
func (r *run) inputs(l listing, t toolchain, root string, w Workload, carried []string) (string, error) {
	main := l.packages[l.mains[w.Name]]
	rec := newRecipe("go")
	rec.add(t.String(), "cgo="+t.Cgo, buildFlags+t.flags, main.ImportPath, main.DefaultGODEBUG, path.Base(program(w)))
	deps := append([]string{main.ImportPath}, main.Deps...)
	slices.Sort(deps)
	for _, dep := range deps {
		p := l.packages[dep]
		if p.Standard {
			continue
		}
		if rel, err := filepath.Rel(l.place.src, p.Dir); err == nil && filepath.IsLocal(rel) {
			if p.Module != nil {
				rec.add(p.ImportPath, p.Module.Path, p.Module.Version, p.Module.GoVersion)
			}
			for _, f := range p.files() {
				if err := rec.file(r.job.Source, path.Join(l.place.own(filepath.ToSlash(rel)), f)); err != nil {
					return "", fmt.Errorf("hash %s: %w", p.ImportPath, err)
				}
			}
			continue
		}
		rec.add(p.ImportPath)
		for m := p.Module; m != nil; m = m.Replace {
			rec.add(m.Path, m.Version, m.GoVersion)
		}
	}
	if tested(w) {
		rec.add(w.Build.Test, fmt.Sprint(w.Build.Network))
		if err := rec.tree(r.job.Source, root); err != nil {
			return "", fmt.Errorf("hash what tests read: %w", err)
		}
	}
	for _, f := range carried {
		if err := rec.file(r.job.Source, f); err != nil {
			return "", fmt.Errorf("hash %s: %w", f, err)
		}
	}
	return rec.digest(), nil
}

var (
	notFetched = regexp.MustCompile(`module lookup disabled by GOPROXY=off|(?:mkdir|open) .*: (?:read-only file system|permission denied)|no such file or directory|dial tcp|cannot find module providing|reading file://|i/o timeout|server misbehaving|lookup .* on `)
	needsGo    = regexp.MustCompile(`requires go >= ?(\S+)`)
	moduleName = regexp.MustCompile(`[a-z0-9][\w.-]*\.[a-z]{2,}/[\w./~-]+(@v[\w.+-]+)?`)
)

// goFault turns what the go command said into the error that helps.
func (r *run) goFault(w Workload, t toolchain, step string, log *stepLog, said string, exit int) *BuildError {
	e := fault(w, CodeFailed, step, "", "")
	e.Exit, e.Log, e.Tail = exit, log.path, lastOf(strings.Split(said, "\n"))
	switch m := needsGo.FindStringSubmatch(said); {
	case m != nil:
		e.Code, e.Saw, e.Tail = CodeGoVersion, "the code asks for Go "+strings.TrimRight(m[1], ";,)")+"; installed is "+t.Version, nil
		e.Help = "install a newer Go and start titrate again, or lower the go line of go.mod"
	case strings.Contains(said, "missing go.sum entry"), strings.Contains(said, "updates to go.mod needed"), strings.Contains(said, "no required module provides"):
		e.Saw, e.Help = "go.mod and go.sum do not name everything that is imported", "go mod tidy, commit go.mod and go.sum, push again"
	case notFetched.MatchString(said):
		e.Code = CodeModule
		e.Saw = "it needs a module that is not in the module cache of this machine"
		if name := moduleName.FindString(said); name != "" {
			e.Saw = "it needs " + name + ", which is not in the module cache of this machine"
		}
		e.Help = "go mod download, on this machine in a copy of the repository; or let builds fetch: titrate up without --network=false"
		if r.cfg.Network {
			e.Help = "go mod download, to see whether the module can be had at all"
		}
	default:
		e.Saw = "the go command said no"
	}
	return e
}

// relative returns the slash-separated path of dir below root, "." for itself.
func relative(root, dir string) string {
	if root == "." {
		return path.Clean(dir)
	}
	if dir == root {
		return "."
	}
	return strings.TrimPrefix(dir, root+"/")
}

// setEnv returns env with more in place of what it had under the same names: of
// two entries of one name a Go program takes the first.
func setEnv(env []string, more ...string) []string {
	out := slices.Clone(env)
	for _, kv := range more {
		name, _, _ := strings.Cut(kv, "=")
		out = slices.DeleteFunc(out, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		out = append(out, kv)
	}
	return out
}

// proxyEnv passes on how this machine reaches the network.
func proxyEnv() []string {
	var out []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE"} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}
