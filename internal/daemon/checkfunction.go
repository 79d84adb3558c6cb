package daemon

import (
	"context"
	"errors"
	"strings"

	"titrate/internal/pipeline"
	"titrate/internal/target/local/runtimes"
)

// checkFunction says before anything moves why the files in a folder cannot be called as
// a function here. Their own code is not run for it: that is for the walls in which the
// node starts a candidate, at 0 %.
func checkFunction(ctx context.Context, folder, runtime, handler string) error {
	rt, err := runtimes.Find(ctx, runtime)
	if err == nil && rt.Family == runtimes.Provided {
		err = rt.Check(ctx, runtimes.Handler{Folder: folder, Name: handler}) // which only looks
	}
	var bad *runtimes.Error
	if errors.As(err, &bad) {
		saw := strings.Join(said(bad.What, bad.Where, bad.Why), ": ")
		return &pipeline.LackError{Saw: saw, Help: bad.Next}
	}
	return err
}

// said are those of several that say something.
func said(all ...string) (some []string) {
	for _, s := range all {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}
