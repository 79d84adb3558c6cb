package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"titrate/internal/api"
	"titrate/internal/controller"
	"titrate/internal/manifest"
	"titrate/internal/pipeline"
	"titrate/internal/rollout"
	"titrate/internal/secrets"
	"titrate/internal/source"
)

// freshFolder makes dir empty: what a crash left of exported commits goes.
func freshFolder(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clean up exported commits: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder for exported commits: %w", err)
	}
	return nil
}

// accepted takes a push that has moved its branch through to a release, and says
// how it gets on. It returns when rollouts have been opened, and for first
// releases when they have ended: they take no time but the processes' own.
func (s *server) accepted(ctx context.Context, p source.Push, out io.Writer) error {
	push, err := s.pushOf(ctx, p)
	if err != nil {
		return err
	}
	got, err := s.controller.Push(ctx, push, out)
	if ctx.Err() != nil {
		return ctx.Err() // not handled: taken up again at the next start
	}
	if err != nil {
		if stored, kerr := s.knows(ctx, p); kerr != nil || !stored {
			select {
			case s.unstored <- struct{}{}:
			default:
			}
			return fmt.Errorf("%w: %w", errUnstored, withHint(errors.Join(err, kerr)))
		}
	}
	if herr := s.source.Handled(ctx, p); herr != nil {
		return errors.Join(err, herr)
	}
	if err != nil {
		return withHint(err)
	}
	s.tell(ctx, got, out)
	return nil
}

// errUnstored is wrapped for a push that could not be stored.
var errUnstored = errors.New("the push is kept and is taken up again by itself")

func (s *server) pushOf(ctx context.Context, p source.Push) (rollout.Push, error) {
	t, err := s.manifest(ctx, p)
	if err != nil {
		return rollout.Push{}, err
	}
	push, err := options(p, t.app)
	if err != nil {
		return push, err
	}
	info, err := p.Tree.Info(ctx)
	if err != nil {
		return push, err
	}
	push.Message, push.Author, push.Manifest, push.Folders = info.Subject, info.Author, t.src, t.folders
	push.Heads, err = s.heads(ctx, t.app, p.Branch)
	return push, err
}

// heads returns where the further repositories of an app stand, for those that no
// release has a commit of. One that nobody has pushed to is not in it.
func (s *server) heads(ctx context.Context, app *manifest.App, branch string) (map[string]string, error) {
	var heads map[string]string
	for _, repo := range controller.Further(app) {
		commit, err := s.source.Tip(ctx, repo, branch)
		if err != nil {
			return nil, err
		}
		if commit == "" {
			continue
		}
		if heads == nil {
			heads = map[string]string{}
		}
		heads[repo] = commit
	}
	return heads, nil
}

// firstRelease is how long a push shows the start of versions that have nothing
// before them.
const firstRelease = 2 * time.Minute

// foldAt is how many workloads of a rollout, or addresses, a push lists.
const foldAt = 8

// tell writes what came of a push.
func (s *server) tell(ctx context.Context, got controller.Delivered, out io.Writer) {
	fmt.Fprintf(out, "%s of %s\n", got.Release, got.App)
	if len(got.Envs) == 0 {
		fmt.Fprintf(out, "no environment takes this branch by itself: titrate deploy --env NAME\n")
	}
	folded := map[int64]int{}
	for _, a := range got.Accessories {
		fmt.Fprintf(out, "%-12s %-16s accessory %s\n", a.Key.Env, a.Key.Workload, strings.TrimSuffix(string(a.What)+": "+a.Why, ": "))
	}
	for _, e := range got.Workloads {
		switch e.What {
		case controller.Opens:
			from := e.Stable.String()
			if e.Stable == 0 {
				from = "first release"
			}
			if folded[e.Rollout]++; folded[e.Rollout] > foldAt {
				continue
			}
			fmt.Fprintf(out, "%-12s %-16s %s → %s   rollout #%d\n", e.Key.Env, e.Key.Workload, from, e.Version, e.Rollout)
			if e.Why != "" {
				fmt.Fprintf(out, "%-12s %-16s %s\n", "", "", e.Why)
			}
		case controller.Behind:
			then := ""
			if other := !strings.HasPrefix(e.Again, e.Key.App+"/"+e.Key.Workload+"@"); other {
				then = ", and once that is promoted titrate deploy"
			}
			fmt.Fprintf(out, "%-12s %-16s %s: %s; to try it again: titrate rollout retry %s --env %s%s\n",
				e.Key.Env, e.Key.Workload, e.What, e.Why, e.Again, e.Key.Env, then)
		case controller.InProgress:
			fmt.Fprintf(out, "%-12s %-16s %s is under way in rollout #%d\n", e.Key.Env, e.Key.Workload, e.Version, e.Rollout)
		case controller.Orphaned:
			fmt.Fprintf(out, "%-12s %-16s %s: %s\n", e.Key.Env, e.Key.Workload, e.What, e.Why)
		case controller.Unchanged:
		}
	}
	for _, id := range got.Rollouts {
		if more := folded[id] - foldAt; more > 0 {
			fmt.Fprintf(out, "and %d more of rollout #%d\n", more, id)
		}
	}
	if len(got.Rollouts) == 0 {
		other := slices.ContainsFunc(got.Workloads, func(e controller.Effect) bool { return e.What != controller.Unchanged })
		if !other && len(got.Envs) > 0 {
			fmt.Fprintln(out, "nothing to roll out: what runs is what was pushed")
		}
		return
	}
	first := firsts(got.Workloads)
	later := len(first) < len(got.Rollouts)
	s.tellFirst(ctx, first, out)
	if later || len(first) > 0 {
		fmt.Fprintf(out, "watch: titrate rollout watch %s\n", got.App)
	}
	s.tellAddresses(got, out)
}

// tellAddresses says where what has been released for the first time answers.
func (s *server) tellAddresses(got controller.Delivered, out io.Writer) {
	told := map[string]bool{}
	for _, e := range got.Workloads {
		if e.What != controller.Opens || e.Stable != 0 {
			continue
		}
		for _, st := range s.controller.Status(e.Key.App, e.Key.Env) {
			if st.Key == e.Key && st.Stable != 0 {
				for _, url := range api.URLs(s.gateway, s.secure, st.Hosts, st.Routes) {
					if !told[url] { // the functions of an app have one
						fmt.Fprintln(out, url)
					}
					told[url] = true
				}
			}
		}
	}
}

// firsts are the rollouts that bring first releases and nothing else. One that moves
// something that runs, too, takes as long as any rollout.
func firsts(all []controller.Effect) map[int64]bool {
	only := map[int64]bool{}
	for _, e := range all {
		if e.What == controller.Opens {
			before, known := only[e.Rollout]
			only[e.Rollout] = e.Stable == 0 && (before || !known)
		}
	}
	maps.DeleteFunc(only, func(_ int64, is bool) bool { return !is })
	return only
}

// tellFirst waits for first releases and says how each ended; what it leaves in first has
// not ended.
func (s *server) tellFirst(ctx context.Context, first map[int64]bool, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, firstRelease)
	defer cancel()
	for len(first) > 0 {
		heard := s.store.Heard()
		for id := range first {
			r, err := s.store.Rollout(ctx, id)
			if err != nil || !r.State.Over() {
				continue
			}
			delete(first, id)
			if n := len(r.Plan.Members); n >= foldAt && r.State.Outcome != rollout.Promoted { // one reason for all
				fmt.Fprintf(out, "%-12s %d workloads of rollout #%d %s: %s\n", r.Plan.Env, n, id, r.State.Outcome, r.State.Why)
				continue
			}
			for i, m := range r.Plan.Members {
				if i >= foldAt {
					fmt.Fprintf(out, "%-12s %-16s and %d more %s\n", r.Plan.Env, "", len(r.Plan.Members)-i, r.State.Outcome)
					break
				}
				why := strings.TrimPrefix(r.State.Why, m.Workload+" "+m.Candidate.String()+" ") // the line says which
				fmt.Fprintf(out, "%-12s %-16s %s %s\n", r.Plan.Env, m.Workload, m.Candidate, why)
			}
		}
		if len(first) == 0 {
			return
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return
		}
	}
}

// resume takes up pushes that were not stored: those that a crash interrupted, and
// then those for which the database was not to be had. It fails while one of them
// still cannot be stored, to be called again a little later.
func (s *server) resume(ctx context.Context) error {
	for {
		if err := s.takeUp(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.unstored:
		}
	}
}

func (s *server) takeUp(ctx context.Context) error {
	pending, err := s.source.Pending(ctx)
	if err != nil {
		return err
	}
	for _, p := range pending {
		if known, err := s.knows(ctx, p); err != nil {
			return err
		} else if known { // stored: the controller goes on with it
			if err := s.source.Handled(ctx, p); err != nil {
				return err
			}
			continue
		}
		err := s.accepted(ctx, p, io.Discard)
		if errors.Is(err, errUnstored) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("an interrupted push moved nothing", slog.String("app", p.App), slog.Any("error", err))
		}
	}
	return nil
}

// knows reports whether a push has been stored.
func (s *server) knows(ctx context.Context, p source.Push) (bool, error) {
	pushes, err := s.store.Pushes(ctx, p.App, 200)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(pushes, func(q rollout.Push) bool {
		return q.Repo == p.Repo && q.Commit == p.New && q.Branch == p.Branch && !q.At.Before(p.At)
	}), nil
}

// pushedError is an error of the pipeline that the controller knows as the pushed
// code's: its text stays as it is.
type pushedError struct{ error }

// Is makes it a controller.ErrBuild.
func (pushedError) Is(target error) bool { return target == controller.ErrBuild }

// Unwrap is the pipeline's own error.
func (f pushedError) Unwrap() error { return f.error }

// builder is the controller's Builder: it exports the commit and has the pipeline
// build it.
type builder struct{ *server }

// Build implements controller.Builder.
func (b builder) Build(ctx context.Context, req controller.BuildRequest) (map[string]rollout.Artifact, error) {
	tree, err := b.source.Tree(ctx, req.Repo, req.Commit)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.tmp, req.App+"-")
	if err != nil {
		return nil, fmt.Errorf("export the commit: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := tree.Export(ctx, dir); err != nil {
		return nil, err
	}
	modules, err := tree.Submodules(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		fmt.Fprintf(req.Progress, "note    the submodule %s is not fetched: its folder is empty\n", m)
	}
	job := pipeline.Job{App: req.App, Label: buildLabel(req.Push), Commit: req.Commit, Source: dir, Progress: req.Progress, Logins: map[string]pipeline.Login{}}
	for _, svc := range req.Services {
		w := pipeline.Workload{Name: svc.Name, Build: svc.Build, Image: svc.Image, Run: svc.Run, Accessory: req.Accessory}
		if svc.Function != nil {
			w.Function = &pipeline.FunctionBuild{Runtime: svc.Function.Run.Runtime, Handler: svc.Function.Run.Handler, Layers: svc.Function.Layers}
		}
		job.Workloads = append(job.Workloads, w)
	}
	for host, l := range req.Logins {
		job.Logins[host] = pipeline.Login(l)
	}
	results, err := b.pipeline.Build(ctx, job)
	var fault *pipeline.BuildError
	if errors.As(err, &fault) {
		return nil, pushedError{err}
	}
	if err != nil {
		return nil, err
	}
	out := map[string]rollout.Artifact{}
	for _, r := range results {
		out[r.Workload] = rollout.Artifact{Digest: r.Artifact.Digest, Command: r.Artifact.Command, Image: r.Artifact.Image, Runtime: r.Artifact.Runtime, Handler: r.Artifact.Handler}
	}
	return out, nil
}

// buildLabel names the logs of a push's build.
func buildLabel(push int64) string { return fmt.Sprintf("push-%d", push) }

// vault is the controller's Vault.
type vault struct{ *secrets.Store }

// Digests implements controller.Vault.
func (v vault) Digests(ctx context.Context, app, env string, names []string) (map[string]string, error) {
	ds, err := v.Store.Digests(ctx, app, env, names)
	return ds, noSecret(err)
}

// Values implements controller.Vault.
func (v vault) Values(ctx context.Context, app, env string, digests map[string]string) (map[string]string, error) {
	vs, err := v.Store.Values(ctx, app, env, digests)
	return vs, noSecret(err)
}

// Generate implements controller.Generator.
func (v vault) Generate(ctx context.Context, app, env, name string) (string, error) {
	return v.Store.Generate(ctx, secrets.Place{App: app, Env: env, Name: name}, "titrate", time.Now())
}

func noSecret(err error) error {
	if errors.Is(err, secrets.ErrUnset) {
		return unsetError{err}
	}
	return err
}

// unsetError is the store's own word for what the controller knows as
// [controller.ErrNoSecret].
type unsetError struct{ error }

// Is makes it a [controller.ErrNoSecret].
func (unsetError) Is(target error) bool { return target == controller.ErrNoSecret }

// Unwrap is what the store said.
func (e unsetError) Unwrap() error { return e.error }
