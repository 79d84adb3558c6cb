package pipeline

import (
	"context"
	"slices"

	"titrate/internal/manifest"
)

// image takes a workload from its image.
func (r *run) image(_ context.Context, w Workload) {
	r.done(w.Name, Result{Err: fault(w, CodeImage, StepPull, "images cannot be run yet", "build: {command: …, output: …, run: …} builds the service from the repository")})
}

// of returns the workload of that name.
func (r *run) of(name string) Workload {
	return r.job.Workloads[slices.IndexFunc(r.job.Workloads, func(w Workload) bool { return w.Name == name })]
}

// started returns what starts an artifact: what the manifest says, or else what
// the build has found. Of an image, empty: what the image says.
func started(a Artifact, run manifest.Run) []string {
	switch {
	case run.Line != "":
		return []string{"/bin/sh", "-c", run.Line}
	case len(run.Args) == 0:
		return a.Command
	case a.Image != nil:
		return slices.Concat(a.Image.Entrypoint, run.Args)
	default:
		return run.Args
	}
}
