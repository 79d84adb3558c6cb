package cli

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"titrate/internal/importer"
)

// packageTime is how long the project's own Serverless Framework may take.
const packageTime = 5 * time.Minute

// frameworks are the programs that make templates of a serverless.yml.
var frameworks = []string{"serverless", "osls"}

// packaged runs the package command of the framework that the project has installed
// for itself, and returns the template that it wrote; nil: it has none, or that came to
// nothing, which is said and stops no import.
func (s *session) packaged(ctx context.Context, name, stage string, params map[string]string) *importer.Packaged {
	if format, err := importer.FormatOf(name); err != nil || format != importer.Serverless {
		return nil
	}
	program := ownFramework(s.Dir, path.Dir(name))
	if program == "" {
		return nil
	}
	if _, err := exec.LookPath("node"); err != nil {
		fmt.Fprintf(s.Err, "%s is there, but node is not: the files are read alone.\n", path.Base(program))
		return nil
	}
	made, err := s.runPackage(ctx, program, name, stage, params)
	if err != nil {
		fmt.Fprintf(s.Err, "That came to nothing: the files are read alone.\n  why     %v\n  help    run it by hand, or leave it out with --no-package\n", err)
	}
	return made
}

// ownFramework is the framework's program in the nearest node_modules of a folder of the
// repository.
func ownFramework(root, dir string) string {
	for {
		for _, name := range frameworks {
			program := filepath.Join(root, filepath.FromSlash(dir), "node_modules", ".bin", name)
			if info, err := os.Stat(program); err == nil && info.Mode().IsRegular() {
				return program
			}
		}
		if dir == "." {
			return ""
		}
		dir = path.Dir(dir)
	}
}

func (s *session) runPackage(ctx context.Context, program, name, stage string, params map[string]string) (_ *importer.Packaged, err error) {
	to, err := os.MkdirTemp("", "titrate-package-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the template: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(to)) }()
	args := []string{"package", "--package", to}
	if base := path.Base(name); !strings.HasPrefix(base, "serverless.") {
		args = append(args, "--config", base)
	}
	if stage != "" {
		args = append(args, "--stage", stage)
	}
	var names []string
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		args = append(args, "--param", name+"="+params[name])
	}
	ctx, cancel := context.WithTimeout(ctx, packageTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = filepath.Join(s.Dir, filepath.FromSlash(path.Dir(name)))
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off", "SLS_INTERACTIVE_SETUP_ENABLE=0")
	shown := program
	if at, err := filepath.Rel(s.Dir, program); err == nil {
		shown = at
	}
	fmt.Fprintf(s.Err, "Running the project's own framework, up to 5 minutes: %s %s\n  (--no-package leaves it out)\n", shown, strings.Join(args, " "))
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s package did not end in time: %w", path.Base(program), ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("%s package: %w\n%s", path.Base(program), err, ending(string(out), 12))
	}
	made, err := packedIn(to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s package wrote no cloudformation-template-update-stack.json", path.Base(program))
	}
	if err != nil {
		return nil, fmt.Errorf("read what %s package wrote: %w", path.Base(program), err)
	}
	made.Program = path.Base(program)
	return made, nil
}

// packedIn reads what the framework has left in a folder.
func packedIn(dir string) (made *importer.Packaged, err error) {
	made = &importer.Packaged{Zips: map[string][]string{}}
	if made.Template, err = os.ReadFile(filepath.Join(dir, "cloudformation-template-update-stack.json")); err != nil {
		return nil, err
	}
	if made.State, err = os.ReadFile(filepath.Join(dir, "serverless-state.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	zips, err := filepath.Glob(filepath.Join(dir, "*.zip"))
	if err != nil {
		return nil, err
	}
	for _, name := range zips {
		z, err := zip.OpenReader(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		var files []string
		for _, f := range z.File {
			files = append(files, f.Name)
		}
		made.Zips[filepath.Base(name)] = files
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	return made, nil
}

// ending is the last lines of a text.
func ending(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return "          " + strings.Join(all[max(0, len(all)-lines):], "\n          ")
}
