package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// cargoTOML is what is read of a Cargo.toml; see doc.rust-lang.org/cargo/reference/manifest.html.
type cargoTOML struct {
	Package struct {
		Name        string `toml:"name"`
		RustVersion any    `toml:"rust-version"`
		DefaultRun  string `toml:"default-run"`
	} `toml:"package"`
	Bin []struct {
		Name string `toml:"name"`
	} `toml:"bin"`
	Workspace *struct{} `toml:"workspace"`
}

// programs returns the names of a package's programs.
func (c cargoTOML) programs(tree fs.FS, dir string) []string {
	var out []string
	for _, b := range c.Bin {
		out = append(out, b.Name)
	}
	if isFile(tree, path.Join(dir, "src/main.rs")) && c.Package.Name != "" && len(c.Bin) == 0 {
		out = append(out, c.Package.Name)
	}
	for _, pattern := range []string{"src/bin/*.rs", "src/bin/*/main.rs"} {
		found, err := fs.Glob(tree, path.Join(dir, pattern))
		if err != nil {
			continue
		}
		for _, f := range found {
			name := strings.TrimSuffix(path.Base(f), ".rs")
			if name == "main" {
				name = path.Base(path.Dir(f))
			}
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// chosen picks the program that a service runs, or "".
func (c cargoTOML) chosen(programs []string, w Workload) string {
	for _, want := range []string{path.Base(w.Build.Output), w.Name, c.Package.DefaultRun, c.Package.Name} {
		if i := slices.IndexFunc(programs, func(p string) bool { return p == want || want != "" && plainName(p) == want }); i >= 0 {
			return programs[i]
		}
	}
	if len(programs) == 1 {
		return programs[0]
	}
	return ""
}

var channelLine = regexp.MustCompile(`(?m)^\s*channel\s*=\s*["']([^"']+)|^([\w.-]+)\s*$`)

// rustChannel returns which toolchain of rustup a repository pins.
func rustChannel(tree fs.FS, dirs ...string) (channel, where string) {
	for _, dir := range dirs {
		for _, f := range []string{"rust-toolchain.toml", "rust-toolchain"} {
			text, err := readStart(tree, path.Join(dir, f))
			if err != nil {
				continue
			}
			if m := channelLine.FindSubmatch(text); m != nil {
				return string(m[1]) + string(m[2]), path.Join(dir, f)
			}
		}
	}
	return "", ""
}

func readCargo(tree fs.FS, dir string) (c cargoTOML, err error) {
	text, err := readStart(tree, path.Join(dir, "Cargo.toml"))
	if err == nil {
		err = toml.Unmarshal(text, &c)
	}
	return c, err
}

// planRust plans a Rust program. cargo fetch runs no code of the repository.
func (r *run) planRust(ctx context.Context, tree fs.FS, w Workload) (plan, error) {
	dir := w.Build.Dir
	manifest, err := readCargo(tree, dir)
	if err != nil {
		return plan{}, fault(w, CodeNothing, StepDetect, "Cargo.toml cannot be read: "+err.Error(), "cargo metadata says where")
	}
	root := dir
	for up := dir; !isFile(tree, path.Join(root, "Cargo.lock")) && up != "."; {
		up = path.Dir(up)
		if c, err := readCargo(tree, up); err == nil && c.Workspace != nil {
			root = up
		}
	}
	if !isFile(tree, path.Join(root, "Cargo.lock")) {
		return plan{}, fault(w, CodeLock, StepDetect, "there is no Cargo.lock", "cargo generate-lockfile, commit Cargo.lock, push again")
	}
	if all := manifest.programs(tree, dir); len(all) > 1 && manifest.chosen(all, w) == "" {
		return plan{}, fault(w, CodeNothing, StepDetect, "there are several programs: "+strings.Join(all, ", "),
			"name the service as one of them, or say which: build: { dir: "+dir+", output: "+all[0]+" }, or default-run = \""+all[0]+"\" in Cargo.toml")
	}
	cargo, rustc, doubts, err := r.rustTools(ctx, tree, w, root)
	if err != nil {
		return plan{}, err
	}
	if v, ok := manifest.Package.RustVersion.(string); ok {
		if err := demand(w, tool{name: "rust", path: rustc.path, version: rustc.version}, ">="+v, "rust-version of Cargo.toml"); err != nil {
			return plan{}, err
		}
	}
	p := plan{
		warns: doubts, doubts: doubts,
		language: "rust", root: root, dir: relative(root, dir), seed: true, tools: []tool{cargo, rustc},
		wrap:  map[string]string{"cargo": cargo.path, "rustc": rustc.path},
		env:   []string{"CARGO_HOME=$DEPS/cargo", "CARGO_TARGET_DIR=$SRC/target", "CARGO_TERM_COLOR=never", "RUSTC=" + rustc.path},
		locks: append(below(tree, root, "Cargo.toml", ".cargo"), "Cargo.lock"),
		fetch: "cargo fetch --locked", alone: "cargo fetch --locked --offline", by: path.Join(root, "Cargo.lock"), build: "cargo build --release --locked --offline",
	}
	if rustdoc := filepath.Join(filepath.Dir(rustc.path), "rustdoc"); exists(rustdoc) {
		p.env = append(p.env, "RUSTDOC="+rustdoc)
	}
	p.take = func(src, _ string) (string, error) {
		return takeProgram(filepath.Join(src, "target", "release"), w, manifest)
	}
	p.run = execLine("./" + w.Name)
	return p, nil
}

// rustTools finds cargo and rustc, of the toolchain that the repository pins where rustup
// has it.
func (r *run) rustTools(ctx context.Context, tree fs.FS, w Workload, root string) (cargo, rustc tool, doubts []string, err error) {
	if cargo, err = r.find(ctx, w, "cargo"); err != nil {
		return cargo, rustc, nil, err
	}
	if rustc, err = r.find(ctx, w, "rustc"); err != nil {
		return cargo, rustc, nil, err
	}
	sysroot, err := ask(ctx, rustc.path, "--print", "sysroot")
	if err != nil {
		return cargo, rustc, nil, nil //nolint:nilerr // not one that has several
	}
	if channel, pinned := rustChannel(tree, w.Build.Dir, root); channel != "" {
		numbered := plainVersion.MatchString(channel)
		if own, err := ask(ctx, rustc.path, "+"+channel, "--print", "sysroot"); err == nil {
			sysroot = own
			if said, err := ask(ctx, filepath.Join(own, "bin", "rustc"), "--version"); err == nil {
				rustc.version = versionIn(said)
				cargo.version = rustc.version
			}
		} else if numbered && !strings.HasPrefix(rustc.version+".", channel+".") || !numbered && channel != "stable" {
			doubts = []string{pinned + " asks for rust " + channel + ", and it is built with " + rustc.version + " at " + rustc.path + ": rustup toolchain install " + channel}
		}
	}
	// rustup puts programs before the tools that choose one of several toolchains.
	if exists(filepath.Join(sysroot, "bin", "cargo")) {
		cargo.path, cargo.home = filepath.Join(sysroot, "bin", "cargo"), sysroot
		rustc.path, rustc.home = filepath.Join(sysroot, "bin", "rustc"), sysroot
	}
	return cargo, rustc, doubts, nil
}

// takeProgram finds the program that cargo has made, and puts it into a folder under
// the workload's name.
func takeProgram(dir string, w Workload, c cargoTOML) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("cargo build left no program: %w", err)
	}
	var programs []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && !strings.Contains(e.Name(), ".") {
			programs = append(programs, e.Name())
		}
	}
	if one := c.chosen(programs, w); one != "" {
		programs = []string{one}
	}
	if len(programs) != 1 {
		return "", fmt.Errorf("cargo build left %d programs: %s", len(programs), strings.Join(programs, ", "))
	}
	to := filepath.Join(dir, ".program")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return "", err
	}
	return to, os.Rename(filepath.Join(dir, programs[0]), filepath.Join(to, w.Name))
}
