package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

func accessoryKey(name string) rollout.Key {
	return rollout.Key{App: orders.App, Env: orders.Env, Workload: name}
}

func (s Seen) accessory(name string) world.AccessorySeen {
	for _, a := range s.Accessories {
		if a.Key.Workload == name {
			return a
		}
	}
	return world.AccessorySeen{}
}

// accessoryReady waits as long as a busy machine takes to make a cluster.
func (b *bench) accessoryReady(name string, not int) world.AccessorySeen {
	b.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		seen, changed := b.Seen()
		if a := seen.accessory(name); a.State == world.AccessoryReady && a.PID != not {
			return a
		}
		select {
		case <-changed:
		case <-deadline:
			b.t.Fatalf("%s was never ready: %+v", name, seen.accessory(name))
		}
	}
}

// self is an accessory that this program serves.
func self(t *testing.T, name string) world.Accessory {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return world.Accessory{
		Key: accessoryKey(name), Password: "not-to-be-guessed",
		Spec: rollout.AccessorySpec{Run: "exec " + program + " serve", Secret: "CACHE_URL", URL: "test://:$PASSWORD@$HOST:$PORT"},
	}
}

func with(f world.Fleet, variable, accessory string) world.Fleet {
	f.Accessories = map[string]string{variable: accessory}
	return f
}

func TestAccessory_whatUsesItWaitsForItAndIsGivenItsAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	fleet := with(run(1, 1, "serve"), "CACHE_URL", "cache")
	works := []world.Workload{{Key: orders, Fleets: []world.Fleet{fleet}}}
	b.apply(world.Wanted{Workloads: works})
	b.until("the instance says what it waits for", func(s Seen) bool {
		return strings.Contains(s.instance("orders-v1-a").Why, "waits for the accessory cache")
	})
	b.apply(world.Wanted{Workloads: works, Accessories: []world.Accessory{self(t, "cache")}})
	a := b.accessoryReady("cache", 0)
	b.untilReady(1, 1)
	seen, _ := b.Seen()
	want := "test://:not-to-be-guessed@" + a.Addr
	if got := environ(seen.instance("orders-v1-a").PID)["CACHE_URL"]; got != want {
		t.Errorf("the instance was given %q, not %q", got, want)
	}
}

func TestAccessory_outlivesTheSupervisorAndKeepsItsPort(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	b := newBench(t, dir)
	wanted := world.Wanted{Accessories: []world.Accessory{self(t, "cache")}}
	b.apply(wanted)
	first := b.accessoryReady("cache", 0)
	b.stop()

	b = newBench(t, dir)
	b.apply(wanted)
	if again := b.accessoryReady("cache", 0); again.PID != first.PID || again.Addr != first.Addr {
		t.Errorf("taken back as %+v, was %+v", again, first)
	}
	kill9(t, first.PID)
	reapForTest(first.PID)
	if again := b.accessoryReady("cache", first.PID); again.Addr != first.Addr || again.Restarts == 0 {
		t.Errorf("after a kill %+v, was %+v", again, first)
	}
}

func TestAccessory_thatIsNotWantedEndsAndItsDataStays(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.apply(world.Wanted{Accessories: []world.Accessory{self(t, "cache")}})
	a := b.accessoryReady("cache", 0)
	precious := filepath.Join(a.Folder, "files", "data", "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.apply(world.Wanted{})
	b.until("it has ended", func(s Seen) bool { return s.accessory("cache").Folder == "" && !alive(a.PID) })
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	for _, path := range []string{a.Folder, filepath.Join(a.Folder, "files"), filepath.Join(a.Folder, "accessory.json")} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("others can look into %s: %v %v", path, st, err)
		}
	}
	b.apply(world.Wanted{Accessories: []world.Accessory{self(t, "cache")}})
	if again := b.accessoryReady("cache", a.PID); again.Addr != a.Addr {
		t.Errorf("wanted again it is at %s, was at %s", again.Addr, a.Addr)
	}
}

func TestAccessory_portOfAnotherProgram(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBench(t, newFolder(t))
	a := self(t, "cache")
	a.Spec.Port = l.Addr().(*net.TCPAddr).Port
	b.apply(world.Wanted{Accessories: []world.Accessory{a}})
	seen := b.until("it says so", func(s Seen) bool { return s.accessory("cache").State == world.AccessoryBackoff })
	if why := seen.accessory("cache").Why; !strings.Contains(why, fmt.Sprintf("port %d is taken by another program", a.Spec.Port)) {
		t.Error(why)
	}
	l.Close()
	b.accessoryReady("cache", 0)
}

func needsPostgres(t *testing.T) {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("makes a PostgreSQL cluster: TITRATE_TEST_SLOW=1")
	}
	if _, err := exec.LookPath("initdb"); err != nil {
		if all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(all) == 0 {
			t.Skip("no PostgreSQL on this machine")
		}
	}
}

// query runs a statement as the app does, and returns a column of text.
func (b *bench) query(name, statement string) []string {
	b.t.Helper()
	urls, waits := b.connections(orders, map[string]string{"DATABASE_URL": name})
	if waits != "" {
		b.t.Fatal(waits)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, urls["DATABASE_URL"])
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close(ctx)
	got, err := c.Query(ctx, statement)
	if err != nil {
		b.t.Fatal(err)
	}
	rows, err := pgx.CollectRows(got, pgx.RowTo[string])
	if err != nil {
		b.t.Fatalf("%s: %v", statement, err)
	}
	return rows
}

// A real PostgreSQL, which refuses to run as root.
func TestAccessory_postgres(t *testing.T) {
	t.Parallel()
	needsPostgres(t)
	dir := newFolder(t)
	b := newBench(t, dir)
	db := world.Accessory{Key: accessoryKey("db"), Password: "not-to-be-guessed", Spec: rollout.AccessorySpec{Use: "postgres", Secret: "DATABASE_URL"}}
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	first := b.accessoryReady("db", 0)
	do := func(statement string) []string { t.Helper(); return b.query("db", statement) }
	do("CREATE TABLE coffee (name text)")
	do("INSERT INTO coffee VALUES ('geisha')")
	if got := do("SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user"); !slices.Equal(got, []string{"false"}) {
		t.Errorf("the app is the administrator: %v", got)
	}

	b.stop() // as a killed node leaves it
	b = newBench(t, dir)
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	if again := b.accessoryReady("db", 0); again.PID != first.PID {
		t.Errorf("taken back as %+v, was %+v", again, first)
	}
	kill9(t, first.PID)
	reapForTest(first.PID)
	b.accessoryReady("db", first.PID)
	if got := do("SELECT name FROM coffee"); !slices.Equal(got, []string{"geisha"}) {
		t.Errorf("after a kill the table holds %v", got)
	}

	other := db
	other.Spec.Version = "99"
	b.apply(world.Wanted{Accessories: []world.Accessory{other}})
	seen, _ := b.Seen()
	pid := seen.accessory("db").PID
	kill9(t, pid)
	reapForTest(pid)
	b.until("data of another version is refused", func(s Seen) bool { return strings.Contains(s.accessory("db").Why, "T0570") })
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	b.accessoryReady("db", pid)
	if got := do("SELECT name FROM coffee"); !slices.Equal(got, []string{"geisha"}) {
		t.Errorf("after the refusal the table holds %v", got)
	}
}
