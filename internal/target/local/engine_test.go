package local

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"titrate/internal/engine"
	"titrate/internal/engine/enginetest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// engineFile, in a data folder of a test, names the socket of its engine.
const engineFile = "engine"

// The containers of every engine keep every promise. With TITRATE_TEST_ENGINE=all each is
// tried on each.
func TestConformance_docker(t *testing.T)         { conformance(t, enginetest.Docker) }
func TestConformance_podman(t *testing.T)         { conformance(t, enginetest.Podman) }
func TestConformance_rootlessDocker(t *testing.T) { conformance(t, enginetest.RootlessDocker) }
func TestConformance_rootlessPodman(t *testing.T) { conformance(t, enginetest.RootlessPodman) }

func conformance(t *testing.T, of enginetest.Kind) {
	t.Helper()
	t.Parallel()
	enginetest.RunWith(t, of, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		e := d.Open(t)
		t.Cleanup(func() { e.Close() })
		if v, err := e.Version(t.Context()); err != nil || v.Rootless != of.Rootless {
			t.Fatalf("%+v, %v", v, err)
		}
		k := kind{name: "engine", image: true, counts: true, loose: !e.Known().Limits, slack: 5 * time.Second, prepare: func(tb testing.TB, dir string) {
			tb.Helper()
			useEngine(tb, dir, d)
		}, fleet: contained(pictureOf(t, e))}
		brief := of.Rootless && os.Getenv("TITRATE_TEST_ENGINE") != "all"
		if !brief {
			t.Run("it starts soon", func(t *testing.T) { startsSoon(t, k) })
		}
		t.Run("promises", func(t *testing.T) { keeps(t, k, brief) })
		t.Run("it goes away", func(t *testing.T) { engineAway(t, k, d) })
		t.Run("a killed shim", func(t *testing.T) { killedShim(t, k, d) })
		t.Run("nothing is left", func(t *testing.T) {
			list, err := e.Containers(t.Context(), engine.LabelShim, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				t.Errorf("a container is left: %+v", c)
			}
		})
	})
}

// useEngine gives a data folder an engine, and the folder of the image's artifact.
func useEngine(tb testing.TB, dir string, d *enginetest.Daemon) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "artifacts", picture), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, engineFile), []byte(d.Host()), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// pictureOf has the engine build the tests' image, and returns its id.
func pictureOf(tb testing.TB, e *engine.Engine) string {
	tb.Helper()
	dir := tb.TempDir()
	addPicture(tb, dir)
	root := filepath.Join(dir, "artifacts", picture)
	if err := os.WriteFile(filepath.Join(root, "Dockerfile"), []byte("FROM scratch\nCOPY . /\nENTRYPOINT [\"/app\"]\nUSER app\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	c, err := engine.OpenContext(os.DirFS(root), "")
	if err != nil {
		tb.Fatal(err)
	}
	id, err := e.Build(tb.Context(), c, engine.Build{}, io.Discard)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// contained makes a fleet of processes one of an image that an engine holds.
func contained(id string) func(world.Fleet) world.Fleet {
	return func(f world.Fleet) world.Fleet {
		f.Artifact, f.Image = picture, &rollout.Image{Digest: id, Engine: true, Entrypoint: []string{"/app"}, User: "app"}
		f.Command[0] = "/app"
		return f
	}
}

// startsSoon times the way of a version from Apply to OnReady. The figure is a second
// on a machine that does nothing else; what is asked here is far more.
func startsSoon(t *testing.T, k kind) {
	t.Helper()
	dir := newFolder(t)
	k.prepare(t, dir)
	b := newBench(t, dir)
	var took []time.Duration
	for v := range rollout.Version(7) {
		began := time.Now()
		b.want(k.fleet(run(v+1, 1, "serve")))
		b.untilReady(v+1, 1)
		took = append(took, time.Since(began))
		b.want()
		b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
	}
	slices.Sort(took)
	t.Logf("from Apply to OnReady, the median of %d: %s; %v", len(took), took[len(took)/2], took)
	if took[0] > 10*time.Second {
		t.Error("the fastest start took longer than 10 s")
	}
}

// engineAway has the engine go away under a version, and come back: the version
// serves on, and what is to start meanwhile says why it cannot.
func engineAway(t *testing.T, k kind, d *enginetest.Daemon) {
	t.Helper()
	dir := newFolder(t)
	k.prepare(t, dir)
	b := newBench(t, dir)
	old, young := k.fleet(run(1, 1, "serve")), k.fleet(run(2, 1, "serve"))
	b.want(old)
	at := b.untilReady(1, 1)[0]
	before, _ := b.Seen()
	d.Kill()
	b.want(old, young)
	b.until("it says why it does not start", func(s Seen) bool {
		return strings.Contains(s.fleet(2).Failure, "could not be started") && strings.Contains(s.fleet(2).Failure, "does not answer")
	})
	get(t, at.Addr, "/healthz")
	d.Start(t)
	b.untilReady(2, 1)
	get(t, at.Addr, "/healthz")
	after, _ := b.Seen()
	if was, is := before.instance("orders-v1-a"), after.instance("orders-v1-a"); was.PID != is.PID || is.Restarts != 0 {
		t.Errorf("%+v, then %+v", was, is)
	}
	defer func() {
		b.want()
		b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
	}()
	if d.Name != "Docker" {
		return
	}
	// Docker as it comes ends what runs when it starts again: then it is started again.
	d.Forgets = true
	d.Kill()
	d.Start(t)
	d.Kill()
	d.Start(t)
	b.until("started again", func(s Seen) bool {
		return s.fleet(1).Restarts+s.fleet(2).Restarts >= 2 && s.fleet(1).Ready == 1 && s.fleet(2).Ready == 1
	})
	d.Forgets = false
}

// killedShim kills a shim while the engine is away: nothing of its container lives when
// the next instance begins with the volume (R31).
func killedShim(t *testing.T, k kind, d *enginetest.Daemon) {
	t.Helper()
	dir := newFolder(t)
	k.prepare(t, dir)
	b := newBench(t, dir)
	b.want(k.fleet(writing(1, 1, alone, "ignore-term")))
	b.untilReady(1, 1)
	text, err := os.ReadFile(filepath.Join(b.layout.runDir(orders, "orders-v1-a"), pidFile))
	if err != nil {
		t.Fatal(err)
	}
	first, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	within := familyOf(t, first)
	if len(within.session()) < 2 {
		t.Errorf("of the container are seen %v", within.session())
	}
	d.Kill()
	seen, _ := b.Seen()
	kill9(t, seen.instance("orders-v1-a").PID)
	b.until("it would start", func(s Seen) bool { return strings.Contains(s.instance("orders-v1-a").Why, "does not answer") })
	if left := within.session(); len(left) > 0 {
		t.Errorf("processes %v live", left)
	}
	d.Start(t)
	b.untilReady(1, 1)
	b.want()
	b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
}
