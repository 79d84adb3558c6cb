package pipeline

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
)

// maxChecked bounds what is remembered of functions that can be called.
const maxChecked = 4096

// checked remembers the functions that could be called since this program began, so that
// one which has not changed is not loaded anew with each push.
type checked struct {
	mu   sync.Mutex
	good map[[3]string]bool
}

func (c *checked) knows(key [3]string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.good[key]
}

func (c *checked) add(key [3]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good == nil || len(c.good) >= maxChecked {
		c.good = map[[3]string]bool{}
	}
	c.good[key] = true
}

// checkFunction asks whether a function can be called here, before anything moves.
func (r *run) checkFunction(ctx context.Context, w Workload, art Artifact) error {
	key := [3]string{art.Digest, art.Runtime, art.Handler}
	if r.cfg.CheckFunction == nil || r.checked.knows(key) {
		return nil
	}
	at := r.artifacts.Path(art.Digest)
	err := r.cfg.CheckFunction(ctx, at, art.Runtime, art.Handler)
	if err == nil {
		r.checked.add(key)
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := fault(w, CodeFunction, StepKeep, err.Error(), "")
	var lack *LackError
	if errors.As(err, &lack) {
		e.Saw, e.Help = lack.Saw, lack.Help
	}
	// The artifact's folder is ours, and is named for nobody.
	e.Saw = strings.ReplaceAll(strings.ReplaceAll(e.Saw, at+"/", ""), at, w.Build.Dir)
	e.Saw = "the handler " + art.Handler + " with runtime " + art.Runtime + ": " + e.Saw
	e.Help = cmp.Or(e.Help, "mend it, commit, push again; runtime and handler in titrate.yaml say how it is called")
	return e
}
