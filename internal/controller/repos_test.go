package controller_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

const shop = `
titrate: 1
app: shop
defaults: { rollout: AllAtOnce, bake: 0s }
services:
  web: {}
  orders: { repo: orders, build: cmd }
  mailer: { repo: orders, worker: true }
  search: { repo: search }
together: [orders, search]
`

// asked notes what a builder was asked for: "shop@c1: web".
type asked struct{ builds []string }

func (a *asked) Build(ctx context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error) {
	var names []string
	for _, s := range b.Services {
		names = append(names, s.Name)
	}
	a.builds = append(a.builds, fmt.Sprintf("%s@%s: %s", b.Repo, b.Commit, strings.Join(names, " ")))
	return builds(ctx, b)
}

func TestRepos_aPushToOneBuildsWhatItOwns(t *testing.T) {
	t.Parallel()
	a := &asked{}
	r := run(t, t.TempDir(), a)
	push := func(repo, commit string) string {
		t.Helper()
		p := rollout.Push{App: "shop", Repo: repo, Commit: commit, Branch: "main", Default: true, By: "ana"}
		if repo == "shop" {
			p.Manifest = []byte(shop)
		}
		if err := r.Preview(t.Context(), p); err != nil && repo != "shop" { // the lease is there by then
			t.Fatal(err)
		}
		a.builds = nil
		var lines bytes.Buffer
		d, err := r.push(t, p, &lines)
		if err != nil {
			t.Fatal(err)
		}
		var moved []string
		for _, e := range d.Workloads {
			if e.What != controller.Unchanged && e.What != controller.InProgress {
				moved = append(moved, e.Key.Workload+" "+string(e.What))
			}
		}
		return fmt.Sprintf("%s\nmoves %s\n%s", strings.Join(a.builds, "\n"), strings.Join(moved, ", "), notes(lines.String()))
	}
	for _, step := range []struct{ repo, commit, want string }{
		{"shop", "s1", `shop@s1: web
moves web opens
note    orders waits for its repository: git push …/git/shop/orders.git
note    mailer waits for its repository: git push …/git/shop/orders.git
note    search waits for its repository: git push …/git/shop/search.git
`},
		{"shop/orders", "o1", `shop/orders@o1: orders mailer
moves orders opens, mailer opens
note    search waits for its repository: git push …/git/shop/search.git
`},
		{"shop/search", "f1", "shop/search@f1: search\nmoves search opens\n"},
		{"shop/orders", "o2", "shop/orders@o2: orders mailer\nmoves orders opens, mailer opens\n"},
		{"shop", "s2", "shop@s2: web\nshop/orders@o2: orders mailer\nshop/search@f1: search\nmoves web opens\n"},
	} {
		if got := push(step.repo, step.commit); got != step.want {
			t.Errorf("push of %s to %s:\n%swant\n%s", step.commit, step.repo, got, step.want)
		}
	}
	release, err := r.store.Release(t.Context(), "shop", 5)
	want := map[string]string{"shop": "s2", "shop/orders": "o2", "shop/search": "f1"}
	if err != nil || !maps.Equal(release.Sources, want) || release.Commit != "s2" || release.Repo != "" || len(release.Artifacts) != 4 {
		t.Errorf("%+v, %v", release, err)
	}
	if fourth, err := r.store.Release(t.Context(), "shop", 4); err != nil || fourth.Repo != "shop/orders" || fourth.Commit != "o2" || fourth.CommitOf("shop") != "s1" {
		t.Errorf("%+v, %v", fourth, err)
	}
}

// notes are the lines that begin with "note", in order.
func notes(text string) string {
	return strings.Join(slices.Collect(func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "note") && !yield(line) {
				return
			}
		}
	}), "")
}

func TestRepos_aRepositoryThatWasPushedBeforeTheManifestNamedItIsTakenAsItStands(t *testing.T) {
	t.Parallel()
	a := &asked{}
	r := run(t, t.TempDir(), a)
	p := rollout.Push{App: "shop", Repo: "shop", Commit: "s1", Branch: "main", Default: true, Manifest: []byte(shop), Heads: map[string]string{"shop/search": "f7"}}
	d, err := r.push(t, p, &bytes.Buffer{})
	if err != nil || !slices.Equal(a.builds, []string{"shop@s1: web", "shop/search@f7: search"}) || len(d.Workloads) != 2 {
		t.Fatalf("%+v, %v: %q", d, err, a.builds)
	}
}

func TestRepos_ofNoServiceMoveNothing(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir(), &asked{})
	if _, err := r.push(t, rollout.Push{App: "shop", Repo: "shop", Commit: "s1", Branch: "main", Default: true, Manifest: []byte(shop)}, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	_, err := r.push(t, rollout.Push{App: "shop", Repo: "shop/gone", Commit: "g1", Branch: "main", Default: true}, &bytes.Buffer{})
	wantKind(t, err, controller.Invalid)
	if err == nil || !strings.Contains(err.Error(), "no service of shop is built from the repository shop/gone") {
		t.Error(err)
	}
}
