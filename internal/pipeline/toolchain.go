package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// toolchain is the Go that is installed for the user, and the caches of its
// builds. Reading them makes the first push as quick as a build at home.
type toolchain struct {
	Version    string `json:"GOVERSION"`
	Root       string `json:"GOROOT"`
	OS         string `json:"GOOS"`
	Arch       string `json:"GOARCH"`
	Cgo        string `json:"CGO_ENABLED"`
	ModCache   string `json:"GOMODCACHE"`
	BuildCache string `json:"GOCACHE"`
	// How the user reaches modules; used when the network may be.
	Proxy    string `json:"GOPROXY"`
	Private  string `json:"GOPRIVATE"`
	NoSumDB  string `json:"GONOSUMDB"`
	NoProxy  string `json:"GONOPROXY"`
	SumDB    string `json:"GOSUMDB"`
	Insecure string `json:"GOINSECURE"`

	flags string // of go list and go build, beside those of every build
}

// forFunctions is the toolchain as functions are built: without the part of aws-lambda-go
// for a runtime that AWS has ended (its README, "Building your function"), and into
// a program that needs nothing of the machine.
func (t toolchain) forFunctions() toolchain {
	t.Cgo, t.flags = "0", " -tags=lambda.norpc"
	return t
}

func (t toolchain) String() string { return t.Version + " " + t.OS + "/" + t.Arch }

// findGo asks the installed go command about itself, outside of any repository.
func (b *Builder) findGo(ctx context.Context) (toolchain, *BuildError) {
	missing := &BuildError{
		Code: CodeNoGo, Step: StepDetect, Saw: "no go command on PATH=" + os.Getenv("PATH"),
		Help: "one of: install Go (go.dev/dl, or apt-get install golang-go), and start titrate again\n",
	}
	program := b.cfg.Go
	if program == "" {
		program = "go"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return toolchain{}, missing
	}
	c := exec.CommandContext(ctx, path, "env", "-json")
	c.Dir = "/"
	c.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=")
	out, err := c.Output()
	var t toolchain
	if err == nil {
		err = json.Unmarshal(out, &t)
	}
	if err != nil || t.Root == "" {
		missing.Saw = fmt.Sprintf("%s env: %v", path, err)
		return toolchain{}, missing
	}
	return t, nil
}

// asks reports whether the toolchain asks another program for its cache.
func (t toolchain) asks() bool {
	var minor int
	_, err := fmt.Sscanf(t.Version, "go1.%d", &minor)
	return err != nil || minor >= 24
}

// goPlace is the surroundings of a go command in the sandbox.
type goPlace struct {
	binds []bind
	env   []string
	added string // what the build adds to the cache, on this machine
	src   string // where the step sees the source
	out   string // where it leaves programs

	others map[string]string // folders that it sees under other names
}

// args are how the go command is told of other names.
func (p goPlace) args() []string {
	if len(p.others) == 0 {
		return nil
	}
	return []string{"-overlay=" + filepath.Join(p.out, overlayFile)}
}

// place prepares a go command: source and caches read-only, a folder for what it
// adds to the build cache and one for what it makes.
func (r *run) place(ctx context.Context, t toolchain, root, out, modCache string, ownModules bool) (goPlace, error) {
	s := r.sandbox
	added := filepath.Join(r.work, "gocache-"+filepath.Base(out))
	if err := os.MkdirAll(added, 0o755); err != nil {
		return goPlace{}, fmt.Errorf("build: %w", err)
	}
	shared := r.path("builds", "gocache")
	p := goPlace{
		src: s.at(ctx, "/src", r.job.Source), out: s.at(ctx, "/out", out), added: added,
		binds: []bind{{Path: r.job.Source, At: "/src"}, {Path: out, At: "/out", Write: true}, {Path: added, At: "/cache/new", Write: true}},
	}
	if !within(t.Root, "/usr") {
		p.binds = append(p.binds, bind{Path: t.Root})
	}
	if exists(modCache) {
		p.binds = append(p.binds, bind{Path: modCache, Write: ownModules})
	}
	work := "GOWORK=off"
	if root == "." && exists(filepath.Join(r.job.Source, "go.work")) {
		work = "GOWORK=" + filepath.Join(p.src, "go.work")
	}
	p.env = []string{
		"PATH=" + filepath.Join(t.Root, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"GOROOT=" + t.Root, "GOMODCACHE=" + modCache, "GOENV=off", "GOTOOLCHAIN=local", "GOTELEMETRY=off", "GOFLAGS=",
		"GOPROXY=off", "GOSUMDB=off", "GOVCS=*:off", work, "CGO_ENABLED=" + t.Cgo, "GOOS=" + t.OS, "GOARCH=" + t.Arch,
		"GOCACHE=" + s.at(ctx, "/cache/new", added),
	}
	if t.asks() {
		if s.probe(ctx) == levelFull {
			// The go command makes 256 folders in its own cache before it asks for another,
			// and leaves them empty: on a disk that and their removal take longer than a link.
			p.binds = append(p.binds, bind{At: "/cache/go", Write: true})
			p.env = setEnv(p.env, "GOCACHE=/cache/go")
		}
		below := s.at(ctx, "/cache/shared", shared)
		p.binds = append(p.binds, bind{Path: shared, At: "/cache/shared"}, bind{Path: s.launcher[0], At: "/cache/titrate"})
		if exists(t.BuildCache) {
			p.binds = append(p.binds, bind{Path: t.BuildCache, At: "/cache/user"})
			below += ":" + s.at(ctx, "/cache/user", t.BuildCache)
		}
		prog := append([]string{s.at(ctx, "/cache/titrate", s.launcher[0])}, s.launcher[1:]...)
		prog = append(prog, "__gocache", "-new", s.at(ctx, "/cache/new", added), "-below", below)
		p.env = append(p.env, "GOCACHEPROG='"+strings.Join(prog, "' '")+"'")
	}
	return p, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
