package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
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
	cargo, err := r.find(ctx, w, "cargo")
	if err != nil {
		return plan{}, err
	}
	rustc, err := r.find(ctx, w, "rustc")
	if err != nil {
		return plan{}, err
	}
	// rustup puts programs before the tools that choose one of several toolchains.
	if sysroot, err := ask(ctx, rustc.path, "--print", "sysroot"); err == nil && exists(filepath.Join(sysroot, "bin", "cargo")) {
		cargo.path, cargo.home = filepath.Join(sysroot, "bin", "cargo"), sysroot
		rustc.path, rustc.home = filepath.Join(sysroot, "bin", "rustc"), sysroot
	}
	if v, ok := manifest.Package.RustVersion.(string); ok {
		if err := demand(w, tool{name: "rust", path: rustc.path, version: rustc.version}, ">="+v, "rust-version of Cargo.toml"); err != nil {
			return plan{}, err
		}
	}
	p := plan{
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
	for _, want := range []string{path.Base(w.Build.Output), c.Package.DefaultRun, w.Name, c.Package.Name} {
		if slices.Contains(programs, want) {
			programs = []string{want}
		}
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
