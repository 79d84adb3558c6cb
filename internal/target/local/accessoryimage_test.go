package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/engine"
	"titrate/internal/engine/enginetest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// remembering is an accessory of the tests' image that adds a word to a file of its
// volume at each start, and tells them all.
func remembering(word string, f world.Fleet) world.Accessory {
	return world.Accessory{
		Key: accessoryKey("db"), Password: "not-to-be-guessed", Secrets: map[string]string{"LICENCE": "of-the-house"},
		Spec: rollout.AccessorySpec{
			Image: "oci:images/db", Artifact: &rollout.Artifact{Digest: f.Artifact, Image: f.Image, Command: []string{"/app", "remember"}}, Port: 3306,
			Env: map[string]string{"TITRATE_VERSION": word, "ROOT_PASSWORD": "$PASSWORD"}, Secrets: map[string]string{"LICENCE": "a digest"},
			Volumes: rollout.Volumes{"data": {Path: "/var/lib/db"}}, Health: "/healthz",
			Secret: "DATABASE_URL", URL: "db://root:$ROOT_PASSWORD@$HOST:$PORT/$LICENCE",
		},
	}
}

func TestAccessory_image(t *testing.T) {
	t.Parallel()
	needImages(t)
	dir := newFolder(t)
	addPicture(t, dir)
	imageAccessory(t, dir, imaged(run(1, 1, "serve")))
}

// TestAccessory_engine is the same of the images that an engine holds.
func TestAccessory_engine(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		e := d.Open(t)
		t.Cleanup(func() { e.Close() })
		dir := newFolder(t)
		useEngine(t, dir, d)
		imageAccessory(t, dir, contained(pictureOf(t, e))(run(1, 1, "serve")))
		list, err := e.Containers(t.Context(), engine.LabelShim, "")
		if err != nil || len(list) > 0 {
			t.Errorf("left: %+v, %v", list, err)
		}
	})
}

// imageAccessory takes an accessory that is an image through its life.
func imageAccessory(t *testing.T, dir string, f world.Fleet) {
	t.Helper()
	b := newBench(t, dir)
	db := remembering("one", f)
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	first := b.accessoryReady("db", 0)
	url := "db://root:not-to-be-guessed@" + first.Addr + "/of-the-house"
	if urls, waits := b.connections(orders, map[string]string{"DATABASE_URL": "db"}); urls["DATABASE_URL"] != url || waits != "" {
		t.Errorf("%v, %s", urls, waits)
	}
	env := get(t, first.Addr, "/env")
	for _, want := range []string{"ROOT_PASSWORD=not-to-be-guessed", "PASSWORD=not-to-be-guessed", "LICENCE=of-the-house", "PORT=3306", "TITRATE_VOLUME_DATA=/var/lib/db"} {
		if !strings.Contains(env, `"`+want+`"`) {
			t.Errorf("%s is not in %s", want, env)
		}
	}
	words := func(want ...string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(first.Folder, "volumes", "data", "versions"))
		if got := strings.Fields(string(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("the volume holds %v, want %v; %v", got, want, err)
		}
	}
	words("one")

	b.stop() // as a killed node leaves it
	b = newBench(t, dir)
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	if again := b.accessoryReady("db", 0); again.PID != first.PID || again.Addr != first.Addr {
		t.Errorf("taken back as %+v, was %+v", again, first)
	}
	kill9(t, first.PID)
	reapForTest(first.PID)
	again := b.accessoryReady("db", first.PID)
	words("one", "one")

	// What was wanted since waits until a person says so, and then the old one ends first.
	two := remembering("two", f)
	b.apply(world.Wanted{Accessories: []world.Accessory{two}})
	if same := b.accessoryReady("db", 0); same.PID != again.PID {
		t.Errorf("started again by itself: %+v, was %+v", same, again)
	}
	if a := b.asks(two, rollout.AccessoryTask{ID: 1, Kind: rollout.TaskRestart, At: time.Now()}); a.Task.State != world.TaskDone || !strings.Contains(a.Task.Why, "oci:images/db (sha256:") || a.PID == again.PID || a.Addr != first.Addr || a.Restarts != again.Restarts {
		t.Errorf("%+v, was %+v", a, again)
	}
	words("one", "one", "two")
	if len(b.logs(world.LogQuery{App: orders.App, Env: orders.Env, Workload: "db"})) == 0 {
		t.Error("it has no log")
	}

	// One that cannot start is told, and mended by what is wanted next.
	gone := remembering("three", f)
	gone.Spec.Artifact = &rollout.Artifact{Digest: strings.Repeat("ee", 32), Image: &rollout.Image{Digest: "sha256:" + strings.Repeat("ee", 32)}}
	if a := b.asks(gone, rollout.AccessoryTask{ID: 2, Kind: rollout.TaskRestart, At: time.Now()}); a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, "it runs on as it was") {
		t.Errorf("%+v", a.Task)
	}
	words("one", "one", "two")
	b.apply(world.Wanted{})
	b.until("it has ended", func(s Seen) bool { return s.accessory("db").Folder == "" })
	words("one", "one", "two")
}

// One that was never ready holds nothing: what is wanted next is started at once.
func TestAccessory_neverReadyTakesWhatMightMendIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	broken, good := self(t, "cache"), self(t, "cache")
	broken.Spec.Run = "exec sleep 1000"
	b.apply(world.Wanted{Accessories: []world.Accessory{broken}})
	b.until("it does not answer", func(s Seen) bool { return strings.Contains(s.accessory("cache").Why, "does not answer yet") })
	b.apply(world.Wanted{Accessories: []world.Accessory{good}})
	b.accessoryReady("cache", 0)
}
