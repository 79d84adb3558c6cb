package local

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"titrate/internal/target/local/runtimes"
	"titrate/internal/world"
)

// runner is how the process of a function is started.
type runner struct {
	runtimes.Runtime
	command []string // in place of the runtime's own; nil: that
}

// artifact is the folder of an artifact.
func (s *Supervisor) artifact(digest string) string { return filepath.Join(s.cfg.Artifacts, digest) }

// clients is the folder of the runtimes' clients.
func (s *Supervisor) clients() string { return filepath.Join(s.cfg.Dir, "clients") }

// runtime finds what runs a fleet. An interpreter is asked for its version once, and the
// clients are written once; either again after it has failed.
func (s *Supervisor) runtime(ctx context.Context, spec world.Fleet) (runner, error) {
	name := spec.Function.Runtime
	if name == "" {
		name = string(runtimes.Provided)
	}
	s.finding.Lock()
	defer s.finding.Unlock()
	found, ok := s.runtimes[name]
	if !ok {
		if err := runtimes.Write(s.clients()); err != nil {
			return runner{}, err
		}
		var err error
		if found, err = runtimes.Find(ctx, name); err != nil {
			return runner{}, err
		}
		s.runtimes[name] = found
	}
	r := runner{Runtime: found}
	if found.Family == runtimes.Provided && len(spec.Command) > 0 {
		r.command = spec.Command
	}
	return r, nil
}

// forgetRuntime has an interpreter be looked for again: what was there may be gone.
func (s *Supervisor) forgetRuntime(r runner) {
	if r.Path == "" {
		return
	}
	if _, err := os.Stat(r.Path); err == nil {
		return
	}
	s.finding.Lock()
	defer s.finding.Unlock()
	delete(s.runtimes, r.Name)
}

// check tells what can be known without running the function's own code, which runs
// behind its walls alone: its first start shows the rest.
func (r runner) check(ctx context.Context, folder string, spec world.Fleet) error {
	if r.Family != runtimes.Provided || r.command != nil {
		return nil
	}
	return r.Check(ctx, runtimes.Handler{Folder: folder, Name: spec.Function.Handler})
}

// argv is what to execute.
func (r runner) argv(clients, folder string) []string {
	if r.command != nil {
		return r.command
	}
	return r.Command(clients, folder)
}

// environmentOf is the environment of a function's process: that of every workload, and
// what Lambda defines. Variables that programs choose a region or a zone by are as they
// are set elsewhere.
func (s *Supervisor) environmentOf(pl place, w *wish, address string) []string {
	reserved := w.identity.Variables(address)
	reserved["PYTHONDONTWRITEBYTECODE"] = "1" // its folder cannot be written
	reserved["GOMAXPROCS"] = strconv.Itoa(processors(w.identity.Memory))
	var out []string
	for _, kv := range s.env(pl) {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "TZ", "AWS_REGION", "AWS_DEFAULT_REGION", "PYTHONDONTWRITEBYTECODE", "GOMAXPROCS":
			delete(reserved, name)
		}
		if reserved[name] == "" {
			out = append(out, kv)
		}
	}
	for name, value := range reserved {
		out = append(out, name+"="+value)
	}
	return out
}

// processors is how many Lambda gives a function of so much memory, in MiB: one for each
// 1,769 of them ("Configure Lambda function memory"). A program in Go that believes to have
// more than it works with passes its one invocation from thread to thread.
func processors(memory int) int {
	const each = 1769
	return max(1, (memory+each-1)/each)
}
