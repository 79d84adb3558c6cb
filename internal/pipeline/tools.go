package pipeline

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// tool is a program of this machine, with its version.
type tool struct {
	name    string
	path    string // absolute
	version string // "20.20.2"
	home    string // a folder that it needs beside itself; empty: none
}

func (t tool) String() string { return t.name + " " + t.version }

// waysOut is what is left to who lacks a tool. A function is no image, and its runtime
// starts it.
func waysOut(w Workload) string {
	if w.Function != nil {
		return "or what needs none: commit a program named bootstrap that is built elsewhere, and write runtime: provided; or build: {command: …, output: …} makes one your own way"
	}
	return "a Dockerfile or a prebuilt image: …, where images can be run; or your own way: build: {command: …, output: …, run: …}"
}

// packages names what brings a tool on a Debian or Ubuntu machine, or elsewhere.
var packages = map[string]string{
	"node": "apt-get install nodejs npm", "npm": "apt-get install npm",
	"python3": "apt-get install python3 python3-pip", "uv": "pipx install uv", "poetry": "pipx install poetry, or apt-get install python3-poetry",
	"java": "apt-get install default-jdk-headless", "javac": "apt-get install default-jdk-headless", "mvn": "apt-get install maven", "gradle": "apt-get install gradle, or commit its wrapper (gradle wrapper)",
	"cargo": "apt-get install cargo, or see rustup.rs", "rustc": "apt-get install rustc, or see rustup.rs",
}

// find looks for a tool on PATH, and asks it for its version outside of any repository.
func (r *run) find(ctx context.Context, w Workload, name string) (tool, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return tool{}, fault(w, CodeTool, StepDetect, fmt.Sprintf("no %s on PATH=%s", name, os.Getenv("PATH")),
			"one of: "+packages[name]+", and start titrate again\n"+waysOut(w))
	}
	out, err := ask(ctx, path, "--version")
	if err != nil {
		return tool{}, fault(w, CodeTool, StepDetect, fmt.Sprintf("%s --version: %v", path, err), "one of: "+packages[name]+"\n"+waysOut(w))
	}
	return tool{name: name, path: path, version: versionIn(out)}, nil
}

// ask runs a program of this machine and returns what it prints.
func ask(ctx context.Context, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Dir = "/"
	c.Env = append(os.Environ(), "RUSTUP_AUTO_INSTALL=0", "COREPACK_ENABLE_DOWNLOAD_PROMPT=0")
	out, err := c.Output()
	return strings.TrimSpace(string(out)), err
}

var versionText = regexp.MustCompile(`\d+(?:\.\d+)+[\w.+-]*|\d+`)

// escapes are what some tools colour their version with.
var escapes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func versionIn(said string) string { return versionText.FindString(escapes.ReplaceAllString(said, "")) }

// fits holds a tool's version against what the code asks for, as npm and Python
// write it: ">=18 <21", "^20", "~=3.10", "==3.11.*".
func fits(t tool, asked string) (bool, error) {
	constraint, err := semver.NewConstraint(npmRange(asked))
	if err != nil {
		return true, err
	}
	v, err := semver.NewVersion(plainVersion.FindString(t.version))
	if err != nil {
		return true, err
	}
	return constraint.Check(v), nil
}

var (
	plainVersion = regexp.MustCompile(`^\d+(\.\d+){0,2}`)
	compatible   = regexp.MustCompile(`~=\s*(\d+)\.(\d+)(?:\.(\d+))?`)
	anyOf        = regexp.MustCompile(`(==|!=)\s*([\d.]+)\.\*`)
)

func npmRange(asked string) string {
	asked = compatible.ReplaceAllStringFunc(asked, func(s string) string {
		m := compatible.FindStringSubmatch(s)
		if m[3] == "" {
			return "^" + m[1] + "." + m[2]
		}
		return "~" + m[1] + "." + m[2] + "." + m[3]
	})
	asked = anyOf.ReplaceAllStringFunc(asked, func(s string) string {
		m := anyOf.FindStringSubmatch(s)
		return map[string]string{"==": "", "!=": "!="}[m[1]] + m[2] + ".x"
	})
	return strings.ReplaceAll(asked, "==", "=")
}

// demand refuses a tool whose version is not the one asked for.
func demand(w Workload, t tool, asked, where string) error {
	if asked == "" {
		return nil
	}
	ok, err := fits(t, asked)
	if err != nil || ok {
		return nil //nolint:nilerr // what cannot be read is the tool's own to judge
	}
	return fault(w, CodeVersion, StepDetect, fmt.Sprintf("%s asks for %s %s; installed is %s at %s", where, t.name, asked, t.version, t.path),
		"one of: install "+t.name+" "+strings.TrimPrefix(asked, ">=")+" and start titrate again with it first on PATH\nchange "+where+"\n"+waysOut(w))
}

// real returns where a path leads.
func real(path string) string {
	if r, err := filepath.EvalSymlinks(path); err == nil {
		return r
	}
	return path
}
