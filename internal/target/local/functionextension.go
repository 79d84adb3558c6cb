package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"titrate/internal/target/local/runtimeapi"
)

// extensionsOf are the programs that run beside a function: the executables in the folder
// extensions of its layers ("Using the Lambda Extensions API to create extensions").
func extensionsOf(layers string) (paths []string) {
	if layers == "" {
		return nil
	}
	dir := filepath.Join(layers, "extensions")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		at := filepath.Join(dir, e.Name())
		if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			paths = append(paths, at)
		}
	}
	return paths
}

// startExtensions starts the environment's extensions as the runtime will be, with the same
// walls, limits and outputs, and returns when all have registered: before, the runtime is not
// started. One that ends while the environment does not, ends it.
func (e *environment) startExtensions(like launch, paths []string, limit time.Duration) error {
	var names []string
	for _, path := range paths {
		l, name := like, filepath.Base(path)
		l.Argv = []string{path}
		p, failed, err := e.fn.s.spawn(l, e.out)
		if err != nil {
			return fmt.Errorf("start the extension %s: %w", name, err)
		}
		e.extensions++
		e.fn.s.calls.Go(p.watch)
		e.fn.s.calls.Go(func() {
			<-p.done
			e.drain()
			e.api.Exited(runtimeapi.ExtensionEnded(name, p.exit.lambda()))
			p.letGo()
			e.fn.pool.Drop(e)
		})
		if text := failed(); text != "" {
			return fmt.Errorf("start the extension %s: %s", name, text)
		}
		names = append(names, name)
	}
	done := make(chan struct{})
	stop := time.AfterFunc(limit, func() { close(done) })
	defer stop.Stop()
	missing, err := e.api.Registered(names, done)
	var f *runtimeapi.InvocationError
	switch {
	case errors.As(err, &f):
		return f
	case missing != "":
		return runtimeapi.NotStarted("Extension.InitError", fmt.Sprintf("the extension %s has not registered within %.2f seconds", missing, limit.Seconds()))
	}
	return nil
}
