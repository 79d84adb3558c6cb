package dev

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const ofTwo = `titrate: 1
app: shop
services:
  web: { build: ., host: shop.example.org }
  orders: { repo: orders, build: . }
  mailer: { repo: orders, build: mailer, worker: true }
`

// shop is a folder with a manifest, and what runs it says.
func shop(t *testing.T, cfg Config) (*dev, *bytes.Buffer) {
	t.Helper()
	if cfg.Root == "" {
		cfg.Root = filepath.Join(t.TempDir(), "shop")
	}
	folder(t, cfg.Root)
	if err := os.WriteFile(filepath.Join(cfg.Root, "titrate.yaml"), []byte(ofTwo), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	return &dev{Config: cfg, say: &teller{out: &out}, repos: map[string]*repo{}, told: map[string]bool{}}, &out
}

func folder(t *testing.T, elem ...string) string {
	t.Helper()
	dir := filepath.Join(elem...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// take reads the manifest, and returns the services that can run.
func (d *dev) take(t *testing.T) []string {
	t.Helper()
	a, err := d.read(d.Root)
	if err != nil {
		t.Fatal(err)
	}
	d.saved = a
	d.further()
	return names(a.services)
}

func TestRepo_aCheckoutBesideIsTakenAndItIsSaidOnce(t *testing.T) {
	t.Parallel()
	d, said := shop(t, Config{})
	beside := filepath.Join(filepath.Dir(d.Root), "orders")
	want := "▲ not run: orders, mailer, of the repository orders, whose files are not here\n  help    titrate dev --repo orders=PATH, or a git checkout at " + beside + "\n"
	for range 2 {
		if got := d.take(t); !slices.Equal(got, []string{"web"}) || said.String() != want {
			t.Errorf("without a checkout %v run; it says\n%s", got, said)
		}
	}
	folder(t, beside)
	if got := d.take(t); len(got) != 1 {
		t.Errorf("a folder that is no checkout is taken: %v", got)
	}
	folder(t, beside, ".git")
	for range 2 {
		if got := d.take(t); !slices.Equal(got, []string{"web", "orders", "mailer"}) {
			t.Errorf("with a checkout %v run", got)
		}
	}
	if got := said.String(); got != want+"  orders, mailer from "+beside+" (repo: orders)\n" {
		t.Errorf("it says\n%s", got)
	}
	if here := d.here(); len(here) != 2 || here[0].dir != d.Root || here[1].dir != beside {
		t.Errorf("here are %+v", here)
	}
}

func TestRepo_theAppsOwnFolderIsNoneBesideIt(t *testing.T) {
	t.Parallel()
	d, _ := shop(t, Config{Root: filepath.Join(t.TempDir(), "orders")})
	folder(t, d.Root, ".git")
	if got := d.take(t); len(got) != 1 {
		t.Errorf("%v run", got)
	}
}

func TestRepo_isWhereItIsSaidToBe(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	d, said := shop(t, Config{Repos: map[string]string{"orders": elsewhere}, Only: []string{"mailer"}})
	folder(t, filepath.Dir(d.Root), "orders", ".git")
	d.take(t)
	if got := said.String(); got != "  mailer from "+elsewhere+" (repo: orders)\n" {
		t.Errorf("it says\n%s", got)
	}
	if err := d.named(); err != nil {
		t.Error(err)
	}
	d.Repos["nothing"] = elsewhere
	if err := d.named(); err == nil || !strings.Contains(err.Error(), "help    --repo orders=PATH") {
		t.Errorf("a repository that nothing names: %v", err)
	}
	d.Only = []string{"web"}
	d.take(t)
	if err := d.named(); err == nil || !strings.Contains(err.Error(), "say repo: nothing") {
		t.Errorf("a repository that nothing names: %v", err)
	}
}

func TestRepo_onlyAServiceWithoutFilesSaysWhatToType(t *testing.T) {
	t.Parallel()
	d, _ := shop(t, Config{Only: []string{"orders"}})
	if _, err := d.read(d.Root); err == nil || !strings.Contains(err.Error(), "help    titrate dev --repo orders=PATH, or a git checkout at "+filepath.Join(filepath.Dir(d.Root), "orders")) {
		t.Errorf("%v", err)
	}
	d.Only = []string{"web"}
	d.take(t)
	if len(d.saved.further) != 0 {
		t.Errorf("what is not to run is missed: %v", d.saved.further)
	}
}

func TestWatch_tellsWhichRepositoryHasChanged(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	d := &dev{changes: make(chan change)}
	all := []*repo{{dir: t.TempDir()}, {name: "orders", dir: t.TempDir()}}
	for _, r := range append(all, all...) {
		if err := d.watch(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range all {
		if err := os.WriteFile(filepath.Join(r.dir, "main.go"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		select {
		case c := <-d.changes:
			if c.in != r || c.lost {
				t.Errorf("a save in %q is told as one in %q", r.name, c.in.name)
			}
		case <-time.After(time.Minute):
			t.Fatal("a save is not told")
		}
	}
	end()
	d.watching.Wait()
}
