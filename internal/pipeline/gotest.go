package pipeline

import (
	"context"
	"path/filepath"
)

// tested reports whether a workload is tested before it is kept.
func tested(w Workload) bool { return w.Build.Test != "" }

// goTest runs the test of a Go program in the root of its module, with what was
// fetched and compiled for it.
func (r *run) goTest(ctx context.Context, l listing, t toolchain, root string, w Workload) error {
	if !tested(w) {
		return nil
	}
	if err := r.networkAllowed(w); err != nil {
		return err
	}
	env := setEnv(l.place.env, "PATH="+filepath.Join(t.Root, "bin")+":"+toolPath(), "CI=1")
	if w.Build.Network {
		env = setEnv(env, fetchEnv()...)
	}
	return r.shellStep(ctx, w, StepTest, w.Build.Test, step{
		binds: l.place.binds, network: w.Build.Network, dir: filepath.Join(l.place.src, filepath.FromSlash(root)), env: env,
	})
}
