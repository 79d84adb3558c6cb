package controller_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/store"
)

// builder is a func field with the shape of the seam.
type builder func(ctx context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error)

func (f builder) Build(ctx context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error) {
	return f(ctx, b)
}

// builds gives each service an artifact named after the commit.
func builds(_ context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error) {
	all := map[string]rollout.Artifact{}
	for _, s := range b.Services {
		fmt.Fprintf(b.Progress, "built %s\n", s.Name)
		all[s.Name] = rollout.Artifact{Digest: s.Name + "-" + b.Commit, Command: []string{"./" + s.Name}}
	}
	return all, nil
}

// sick is a store that takes no push while it is ill: a full disk, an I/O error.
type sick struct {
	*store.Store
	ill      atomic.Bool
	attempts chan time.Time
}

func (s *sick) Commit(ctx context.Context, c rollout.Change) error {
	if !s.ill.Load() || len(c.Pushes) == 0 {
		return s.Store.Commit(ctx, c)
	}
	s.attempts <- time.Now()
	return errors.New("disk I/O error")
}

// running is a controller that runs by itself.
type running struct {
	*controller.Controller
	store *store.Store
	vault vault
	stop  func()
}

func run(t *testing.T, folder string, b controller.Builder) running {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Folder: folder, Reserve: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	return runOn(t, s, s, b)
}

// runOn runs a controller on what stands before the store s.
func runOn(t *testing.T, s *store.Store, before controller.Store, b controller.Builder) running {
	t.Helper()
	h, secrets := &pacedHands{hands: &hands{rps: 1000}}, vault{}
	c := controller.New(controller.Config{Store: before, Target: h, Router: h, Meter: h, Builder: b, Vault: secrets})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var once sync.Once
	r := running{Controller: c, store: s, vault: secrets, stop: func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-ended, s.Close()); err != nil {
				t.Error(err)
			}
		})
	}}
	t.Cleanup(r.stop)
	return r
}

// push pushes until the controller has its lease.
func (r running) push(t *testing.T, p rollout.Push, w io.Writer) (controller.Delivered, error) {
	t.Helper()
	for {
		d, err := r.Push(t.Context(), p, w)
		if !errors.Is(err, rollout.ErrFenced) {
			return d, err
		}
	}
}

func aPush(commit string) rollout.Push {
	return rollout.Push{App: "cofe", Repo: "cofe", Commit: commit, Branch: "main", Default: true, Author: "ana", By: "ana", Manifest: []byte(cofe)}
}

func TestPush_buildsAndDelivers(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir(), builder(builds))
	var lines bytes.Buffer
	d, err := r.push(t, aPush("c1"), &lines)
	if err != nil || d.Release != 1 || len(d.Rollouts) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	if lines.String() != "built orders\nbuilt payments\n" {
		t.Errorf("%q", lines.String())
	}
	pushes, err := r.store.Pushes(t.Context(), "cofe", 9)
	if err != nil || len(pushes) != 1 || pushes[0].Stage != rollout.PushDelivered || pushes[0].Release != 1 {
		t.Errorf("%+v, %v", pushes, err)
	}
}

func TestPush_thatCannotBeBuiltMovesNothing(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir(), builder(func(context.Context, controller.BuildRequest) (map[string]rollout.Artifact, error) {
		return nil, fmt.Errorf("orders: main.go:3: undefined: x: %w", controller.ErrBuild)
	}))
	_, err := r.push(t, aPush("c1"), io.Discard)
	wantKind(t, err, controller.BuildFailed)
	pushes, err := r.store.Pushes(t.Context(), "", 9)
	if err != nil || pushes[0].Stage != rollout.PushFailed || !strings.Contains(pushes[0].Problem, "undefined: x") {
		t.Errorf("%+v, %v", pushes, err)
	}
	if apps, err := r.store.Apps(t.Context()); err != nil || len(apps) != 0 {
		t.Errorf("%+v, %v", apps, err)
	}
}

func TestPush_ofABranchThatNoEnvironmentTakesBuildsNothing(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir(), builder(func(context.Context, controller.BuildRequest) (map[string]rollout.Artifact, error) {
		t.Error("it was built")
		return nil, controller.ErrBuild
	}))
	p := aPush("c1")
	p.Branch, p.Default = "feature/x", false
	_, err := r.push(t, p, io.Discard)
	wantKind(t, err, controller.Invalid)
}

func TestPush_whoseEndCannotBeStoredIsTriedWithBackOffAndNotBuiltAgain(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), store.Options{Folder: t.TempDir(), Reserve: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	s := &sick{Store: st, attempts: make(chan time.Time, 1000)}
	var built atomic.Int64
	r := runOn(t, st, s, builder(func(context.Context, controller.BuildRequest) (map[string]rollout.Artifact, error) {
		built.Add(1)
		s.ill.Store(true)
		return nil, controller.ErrBuild
	}))
	var lines bytes.Buffer
	pushed := make(chan error, 1)
	go func() {
		_, err := r.push(t, aPush("c1"), &lines)
		pushed <- err
	}()
	first := <-s.attempts
	<-s.attempts
	if third := <-s.attempts; third.Sub(first) < 200*time.Millisecond {
		t.Errorf("three attempts within %v", third.Sub(first))
	}
	s.ill.Store(false)
	wantKind(t, <-pushed, controller.BuildFailed)
	pushes, err := st.Pushes(t.Context(), "", 9)
	if err != nil || len(pushes) != 1 || pushes[0].Stage != rollout.PushFailed || built.Load() != 1 {
		t.Errorf("built %d times: %+v, %v", built.Load(), pushes, err)
	}
	if got := lines.String(); strings.Count(got, "disk I/O error") != 1 {
		t.Errorf("%q", got)
	}
}

func TestR19_anAcceptedPushIsTakenUpAgainAfterACrash(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	building := make(chan struct{})
	r := run(t, folder, builder(func(ctx context.Context, _ controller.BuildRequest) (map[string]rollout.Artifact, error) {
		close(building)
		<-ctx.Done() // the server ends in the middle of the build
		return nil, ctx.Err()
	}))
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		for {
			_, err := r.Push(ctx, aPush("c1"), io.Discard)
			if !errors.Is(err, rollout.ErrFenced) {
				left <- err
				return
			}
		}
	}()
	<-building
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who left got %v", err)
	}
	r.stop()

	r = run(t, folder, builder(builds))
	for heard := r.store.Heard(); ; heard = r.store.Heard() {
		p, err := r.store.Push(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if p.Stage.Over() {
			if p.Stage != rollout.PushDelivered {
				t.Errorf("%+v", p)
			}
			return
		}
		select {
		case <-heard:
		case <-time.After(time.Minute):
			t.Fatalf("it is not taken up: %+v", p)
		}
	}
}

func TestPush_ofOneAppGoInOrderAndOfTwoAtOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string
	other := make(chan struct{})
	r := run(t, t.TempDir(), builder(func(ctx context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error) {
		if b.App == "cofe" && b.Commit == "c1" {
			<-other // c1 cannot go on unless another app's push does
		}
		mu.Lock()
		order = append(order, b.Commit)
		mu.Unlock()
		if b.App == "tea" {
			close(other)
		}
		return builds(ctx, b)
	}))
	if _, err := r.push(t, rollout.Push{App: "none", Manifest: []byte("titrate: 1\napp: none\n")}, io.Discard); err == nil {
		t.Error("a push of no branch was delivered")
	}
	var all sync.WaitGroup
	go1 := func(p rollout.Push) {
		started := make(chan struct{})
		all.Go(func() {
			close(started)
			if _, err := r.Push(t.Context(), p, io.Discard); err != nil {
				t.Error(err)
			}
		})
		<-started
	}
	go1(aPush("c1"))
	waitPushes(t, r, 2)
	go1(aPush("c2"))
	waitPushes(t, r, 3)
	tea := aPush("t1")
	tea.App, tea.Repo, tea.Manifest = "tea", "tea", []byte(strings.Replace(cofe, "app: cofe", "app: tea", 1))
	go1(tea)
	all.Wait()
	if got := strings.Join(order, " "); got != "t1 c1 c2" {
		t.Error(got)
	}
}

func waitPushes(t *testing.T, r running, n int) {
	t.Helper()
	for heard := r.store.Heard(); ; heard = r.store.Heard() {
		all, err := r.store.Pushes(t.Context(), "", 99)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) >= n {
			return
		}
		<-heard
	}
}

func TestPush_thatIsUnderWayIsJoinedNotBegunAgain(t *testing.T) {
	t.Parallel()
	built := make(chan struct{}, 9)
	goOn := make(chan struct{})
	r := run(t, t.TempDir(), builder(func(ctx context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error) {
		built <- struct{}{}
		<-goOn
		return builds(ctx, b)
	}))
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if d, err := r.push(t, aPush("c1"), io.Discard); err != nil || d.Release != 1 {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
	<-built
	close(goOn)
	all.Wait()
	if pushes, err := r.store.Pushes(t.Context(), "", 9); err != nil || len(pushes) > 2 {
		t.Errorf("%d pushes, %v", len(pushes), err)
	}
}
