package within

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Program is what a first process starts.
type Program struct {
	Argv, Env []string
	Dir       string              // where it starts; made if it is not there
	As        *syscall.Credential // whom it becomes; nil: who the first process is
	Home      string              // unless Env has one
	Confine   func() error        // called before it starts; nil: it is confined already
}

// start starts the program, with those files.
func (p Program) start(files []uintptr) (pid int, err error) {
	dir := filepath.Join("/", p.Dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, fmt.Errorf("make the working directory of the image: %w", err)
	}
	program, err := lookProgram(dir, p.Argv, p.Env)
	if err != nil {
		return 0, err
	}
	if p.Confine != nil {
		if err := p.Confine(); err != nil {
			return 0, err
		}
	}
	env := p.Env
	if !slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "HOME=") }) {
		env = append(env, "HOME="+cmp.Or(p.Home, "/"))
	}
	pid, err = syscall.ForkExec(program, p.Argv, &syscall.ProcAttr{Dir: dir, Env: env, Files: files, Sys: &syscall.SysProcAttr{Credential: p.As}})
	if err != nil {
		return 0, fmt.Errorf("execute %s: %w%s", program, err, execHint(program, err))
	}
	return pid, nil
}

// execHint says what is wrong with a program that is there and cannot be executed.
func execHint(program string, err error) string {
	switch {
	case errors.Is(err, unix.ENOEXEC):
		return ": it is for another machine, or a script without #!"
	case errors.Is(err, unix.ENOENT):
		if _, serr := os.Stat(program); serr == nil {
			return ": the image has no interpreter for it; a program for glibc does not run on Alpine, nor one that is linked dynamically FROM scratch"
		}
	case errors.Is(err, unix.EACCES):
		return ": the image's user may not; chmod +x it"
	}
	return ""
}

// lookProgram finds argv[0] as a shell in the image would.
func lookProgram(dir string, argv, env []string) (string, error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", errors.New("neither the image nor the manifest says what to run: run: [PROGRAM, …]")
	}
	name := argv[0]
	if strings.ContainsRune(name, '/') {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("the image has no file %s", name)
		}
		return name, nil
	}
	for _, kv := range env {
		path, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, at := range filepath.SplitList(path) {
			if file, err := exec.LookPath(filepath.Join("/", at, name)); err == nil {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("the image has no program %s in its $PATH", name)
}
