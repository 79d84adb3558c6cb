package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/source"
	"titrate/internal/store"
	"titrate/internal/world"
)

func TestTell_claimsThatAllIsAsPushedOnlyWhereItIs(t *testing.T) {
	t.Parallel()
	k := rollout.Key{App: "cofe", Env: "production", Workload: "orders"}
	for what, as := range map[controller.EffectKind]bool{
		controller.Unchanged: true, controller.Behind: false, controller.Orphaned: false, controller.InProgress: false,
	} {
		var out strings.Builder
		(&server{}).tell(t.Context(), controller.Delivered{
			App: "cofe", Release: 7, Envs: []string{"production"}, Workloads: []controller.Effect{{Key: k, What: what, Why: "aborted by ana"}},
		}, &out)
		if got := strings.Contains(out.String(), "what runs is what was pushed"); got != as {
			t.Errorf("%s: %s", what, out.String())
		}
	}
}

// TestTell_saysWhichRolloutIsUnderWay pushes what an open rollout brings already: a line
// that ends in a colon told nothing.
func TestTell_saysWhichRolloutIsUnderWay(t *testing.T) {
	t.Parallel()
	k := rollout.Key{App: "cofe", Env: "production", Workload: "orders"}
	var out strings.Builder
	(&server{}).tell(t.Context(), controller.Delivered{
		App: "cofe", Release: 7, Envs: []string{"production"}, Workloads: []controller.Effect{{Key: k, What: controller.InProgress, Version: 4, Rollout: 13}},
	}, &out)
	if !strings.Contains(out.String(), "v4 is under way in rollout #13\n") {
		t.Error(out.String())
	}
}

// TestFirsts_doNotMoveWhatRuns adds a function to a group of which others run: the push
// would stand still until they have been called often enough.
func TestFirsts_doNotMoveWhatRuns(t *testing.T) {
	t.Parallel()
	var all []controller.Effect
	for id, stable := range [][]rollout.Version{{0, 1}, {1, 0}, {1, 1}, {0, 0}} {
		for _, v := range stable {
			all = append(all, controller.Effect{What: controller.Opens, Stable: v, Version: 2, Rollout: int64(id)})
		}
	}
	if got := firsts(all); len(got) != 1 || !got[3] {
		t.Error(got)
	}
}

// deaf is a node that is never heard of.
type deaf struct{}

func (deaf) Ensure(context.Context, world.Wanted) error   { return nil }
func (deaf) Split(context.Context, world.Wanted) error    { return nil }
func (deaf) Served(context.Context) (world.Served, error) { return world.Served{}, nil }
func (deaf) Seen(ctx context.Context, _ uint64) (world.Seen, error) {
	<-ctx.Done()
	return world.Seen{}, ctx.Err()
}

func (deaf) Windows(ctx context.Context, _ uint64) ([]world.VersionWindow, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

type buildsNothing struct{}

func (buildsNothing) Build(context.Context, controller.BuildRequest) (map[string]rollout.Artifact, error) {
	return nil, controller.ErrBuild
}

// ill is a database that takes no push while it is.
type ill struct {
	*store.Store
	now atomic.Bool
}

func (s *ill) Commit(ctx context.Context, c rollout.Change) error {
	if s.now.Load() && len(c.Pushes) > 0 {
		return errors.New("store: disk I/O error")
	}
	return s.Store.Commit(ctx, c)
}

// openIll is a server without a node whose database is ill.
func openIll(t *testing.T) (*server, *ill) {
	t.Helper()
	dir := folder(t.TempDir())
	st, err := store.Open(t.Context(), store.Options{Folder: dir.store(), Reserve: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	sick := &ill{Store: st}
	s := &server{log: slog.New(slog.DiscardHandler), store: st, unstored: make(chan struct{}, 1)}
	s.controller = controller.New(controller.Config{Store: sick, Target: deaf{}, Router: deaf{}, Meter: deaf{}, Builder: buildsNothing{}})
	// A hook that says nothing: what it would ask is called by hand.
	s.source, err = source.Open(t.Context(), source.Config{
		Dir: dir.git(), HookCommand: []string{"true"}, Who: func(*http.Request) string { return "ann" }, Check: s.check, Accepted: s.accepted, Log: s.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p := newParts(s.log)
	p.start(ctx, "git remote", s.source.Run)
	p.start(ctx, "controller", s.controller.Run)
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(p.err(), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, sick
}

// pushed has a real git client push a commit to the app cofe.
func pushed(t *testing.T, s *server) source.Push {
	t.Helper()
	web := httptest.NewServer(s.source)
	defer web.Close()
	work := t.TempDir()
	manifest := "titrate: 1\napp: cofe\nservices:\n  orders: { build: orders, route: /orders }\n"
	if err := os.WriteFile(filepath.Join(work, "titrate.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "-m", "x"}, {"push", "-q", web.URL + "/git/cofe.git", "main"}} {
		c := exec.CommandContext(t.Context(), "git", args...)
		c.Dir = work
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@b")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %s", args, out)
		}
	}
	pending, err := s.source.Pending(t.Context())
	if err != nil || len(pending) != 1 {
		t.Fatal(pending, err)
	}
	return pending[0]
}

func TestPush_thatCannotBeStoredIsKeptAndTakenUpAgain(t *testing.T) {
	t.Parallel()
	s, db := openIll(t)
	p := pushed(t, s)
	db.now.Store(true)
	err := s.accepted(t.Context(), p, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "the push is kept") {
		t.Errorf("the person is told %v", err)
	}
	if pending, err := s.source.Pending(t.Context()); err != nil || len(pending) != 1 {
		t.Fatalf("pending: %v, %v", pending, err)
	}
	if err := s.resume(t.Context()); !errors.Is(err, errUnstored) { // fails, so that it is called again
		t.Errorf("got %v", err)
	}
	db.now.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	resumed := newParts(s.log)
	resumed.start(ctx, "interrupted pushes", s.resume)
	for {
		heard := s.store.Heard()
		got, err := s.store.Pushes(ctx, "cofe", 9)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 1 && got[0].Stage == rollout.PushFailed && got[0].Commit == p.New { // of buildsNothing
			break
		}
		select {
		case <-heard:
		case <-ctx.Done():
			t.Fatalf("stored: %+v", got)
		}
	}
	for {
		pending, err := s.source.Pending(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(pending) == 0 {
			break
		}
	}
	cancel()
	resumed.wait()
}
