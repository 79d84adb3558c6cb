package controller_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/store"
)

// crashFolder names the data folder of the process that is to be killed.
const crashFolder = "TITRATE_TEST_CRASH_FOLDER"

var began = time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	if folder := os.Getenv(crashFolder); folder != "" {
		if err := decideForever(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// decideForever delivers and moves releases as fast as it can, and says what is
// acknowledged as stored, until it is killed.
func decideForever(folder string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Folder: folder, Reserve: 1 << 16})
	if err != nil {
		return err
	}
	h := &hands{rps: 1000, failing: map[string]float64{}, broken: map[string]string{}}
	p := &place{hands: h, now: began}
	c := controller.New(controller.Config{Store: s, Target: target{h, p}, Router: target{h, p}, Meter: target{h, p}, Now: func() time.Time { return p.now }})
	if err := c.Start(ctx); err != nil {
		return err
	}
	t := &testing.T{} // for helpers that only fail on a broken manifest
	for n := 1; ; n++ {
		h.failing[fmt.Sprintf("orders v%d", n)] = float64(n%3) / 4
		d, err := c.Deliver(ctx, delivery(t, cofe, map[string]string{"orders": fmt.Sprintf("o%d-%d", n, os.Getpid()), "payments": "p1"}))
		if err != nil {
			return err
		}
		fmt.Printf("release %d\n", d.Release)
		for range 20 {
			p.now = p.now.Add(time.Second)
			c.Measure(h.windows(p.now))
			c.Observe(h.seen(p.now))
			if _, err := c.Step(ctx, p.now); err != nil {
				return err
			}
			for _, r := range c.Live() {
				fmt.Printf("rollout %d %d\n", r.Plan.Rollout, r.Revision)
			}
		}
	}
}

func TestR19_killedInTheMiddleOfDecidingNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for range 4 {
		revisions, release := killAfter(t, folder, 20+rand.IntN(200))
		h := &hands{rps: 1000, failing: map[string]float64{}, broken: map[string]string{}}
		p := openPlace(t, folder, h, began)
		for _, r := range p.Live() {
			if r.State.Since.After(p.now) {
				p.now = r.State.Since // the clock goes on where it stood
			}
		}
		for id, revision := range revisions {
			if r := p.rollout(id); r.Revision < revision {
				t.Errorf("rollout %d: revision %d was acknowledged, %d is stored", id, revision, r.Revision)
			}
			if r, err := p.Replay(t.Context(), id); err != nil || !r.Agrees() {
				t.Errorf("%+v, %v", r, err)
			}
		}
		if _, err := p.store.Release(t.Context(), "cofe", release); err != nil {
			t.Error(err)
		}
		p.settle()
		for _, w := range []string{"orders", "payments"} {
			if s := p.status(w); s.Health.State != controller.Healthy {
				t.Errorf("%s: %+v", w, s)
			}
		}
		if err := p.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs a deciding process, kills it after some lines, and returns what
// it had said to be stored.
func killAfter(t *testing.T, folder string, lines int) (map[int64]int64, rollout.Release) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashFolder+"="+folder)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	revisions := map[int64]int64{}
	var release rollout.Release
	scanner := bufio.NewScanner(out)
	for n := 0; scanner.Scan(); n++ {
		var id, revision int64
		if _, err := fmt.Sscanf(scanner.Text(), "rollout %d %d", &id, &revision); err == nil {
			revisions[id] = revision
		} else {
			_, _ = fmt.Sscanf(scanner.Text(), "release %d", &release)
		}
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait()
	if len(revisions) == 0 {
		t.Fatalf("it decided nothing: %s", complaints.String())
	}
	return revisions, release
}

// silent is a store whose answer to a promotion is lost once.
type silent struct {
	*store.Store
	lost bool
}

var errNoAnswer = errors.New("no answer")

func (s *silent) Commit(ctx context.Context, c rollout.Change) error {
	err := s.Store.Commit(ctx, c)
	if err == nil && len(c.Promotions) > 0 && !s.lost {
		s.lost = true
		return errNoAnswer
	}
	return err
}

func TestR8_aPushAfterALostAnswerTakesNoPromotionBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.first()
	s := &silent{Store: p.store}
	p.Controller = controller.New(controller.Config{
		Store: s, Target: target{p.hands, p}, Router: target{p.hands, p}, Meter: target{p.hands, p}, Vault: p.vault, Now: func() time.Time { return p.now },
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p1"})
	for range 600 {
		p.now = p.now.Add(time.Second)
		p.Measure(p.hands.windows(p.now))
		p.Observe(p.hands.seen(p.now))
		if _, err := p.Step(t.Context(), p.now); errors.Is(err, errNoAnswer) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !s.lost {
		t.Fatal("nothing was promoted")
	}
	p.deliver(cofe, map[string]string{"orders": "o2", "payments": "p2"})
	p.settle()
	p.tick()
	if f := p.hands.fleets("orders"); f[2].Count == 0 || f[1].Count != 0 {
		t.Errorf("v2 was promoted, and what is wanted is %v", f)
	}
}
