package local

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

func needsRedis(t *testing.T) {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("starts Redis many times: TITRATE_TEST_SLOW=1")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("no Redis on this machine: make test installs it")
	}
}

// redis runs a command in the accessory db as the app does, and returns what redis-cli
// prints.
func (b *bench) redis(args ...string) string {
	b.t.Helper()
	urls, waits := b.connections(orders, map[string]string{"REDIS_URL": "db"})
	if waits != "" {
		b.t.Fatal(waits)
	}
	u, err := url.Parse(urls["REDIS_URL"])
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.CommandContext(b.t.Context(), "redis-cli", append([]string{"-e", "-h", u.Hostname(), "-p", u.Port()}, args...)...)
	password, _ := u.User.Password()
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestBackup_redis is the whole life of the backups of a real Redis.
func TestBackup_redis(t *testing.T) {
	t.Parallel()
	needsRedis(t)
	dir := newFolder(t)
	b := newBench(t, dir)
	db := world.Accessory{Key: accessoryKey("db"), Password: "not-to-be-guessed", Spec: rollout.AccessorySpec{Use: "redis", Secret: "REDIS_URL", Keep: 2}}
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	b.accessoryReady("db", 0)
	b.redis("MSET", "bean", "geisha", "roast", "light")
	b.redis("SET", "passing", "x", "EX", "1000")
	b.redis("-n", "3", "SET", "other", "y")
	task := func(id int64, kind rollout.AccessoryTaskKind, backup string) rollout.AccessoryTask {
		return rollout.AccessoryTask{ID: id, Kind: kind, Backup: backup, At: time.Date(2026, 11, 27, 3, 0, int(id), 0, time.UTC)}
	}
	a := b.asks(db, task(1, rollout.TaskBackup, ""))
	if a.Task.State != world.TaskDone || len(a.Backups) != 1 || a.Backups[0].Rows != 4 || a.Backups[0].Tables != 2 || a.Backups[0].Passing != 1 || a.Backups[0].Size == 0 || !strings.Contains(a.Task.Why, "4 keys in 2 databases") {
		t.Fatalf("%+v", a)
	}
	first := a.Backups[0].Name

	// What ends by itself since is not missed.
	b.redis("DEL", "passing")
	if a = b.asks(db, task(2, rollout.TaskRehearse, "")); a.Task.State != world.TaskDone || a.Backups[0].Rehearsed.IsZero() || a.Backups[0].Problem != "" {
		t.Fatalf("%+v", a)
	}
	pid := a.PID
	b.redis("SET", "bean", "robusta")
	b.redis("SET", "since", "z")
	a = b.asks(db, task(3, rollout.TaskRestore, first))
	if a.Task.State != world.TaskDone || b.redis("GET", "bean") != "geisha" || b.redis("DBSIZE") != "3" || b.redis("-n", "3", "GET", "other") != "y" || a.PID == pid {
		t.Fatalf("%+v: %s, %s", a.Task, b.redis("GET", "bean"), b.redis("DBSIZE"))
	}
	if all, _ := filepath.Glob(filepath.Join(a.Folder, "before_*", "appendonlydir", "*")); len(all) == 0 || !strings.Contains(a.Task.Why, filepath.Join(a.Folder, "before_20261127t030003z")) {
		t.Errorf("what was there before: %v, %s", all, a.Task.Why)
	}

	// One that was interrupted after its end is not done twice, and what was restored is kept over a kill.
	b.redis("SET", "since", "the restore")
	b.stop()
	record := filepath.Join(a.Folder, "accessory.json")
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, []byte(strings.Replace(string(text), `"state":"done"`, `"state":"running"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	kill9(t, a.PID)
	reapForTest(a.PID)
	b = newBench(t, dir)
	a = b.asks(db, task(3, rollout.TaskRestore, first))
	if a.Task.State != world.TaskDone || b.redis("GET", "since") != "the restore" || b.redis("GET", "bean") != "geisha" {
		t.Errorf("after a restart: %+v, %s", a.Task, b.redis("GET", "since"))
	}

	// One that cannot be read is told, and changes nothing.
	dump := filepath.Join(a.Folder, "backups", first+".dump")
	content, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(dump, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if a = b.asks(db, task(4, rollout.TaskRehearse, first)); a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, "has changed since it was made") || a.Backups[0].Problem == "" {
		t.Errorf("%+v", a)
	}
	if a = b.asks(db, task(5, rollout.TaskRestore, first)); a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, "the data is as it was") || b.redis("GET", "since") != "the restore" {
		t.Errorf("%+v", a)
	}
	if left, _ := filepath.Glob(filepath.Join(a.Folder, "files", "*")); strings.Contains(fmt.Sprint(left), twinFolder) {
		t.Errorf("left: %v", left)
	}

	// By schedule, as PostgreSQL's.
	db.Spec.Every = time.Second
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	b.until("backups are made and rehearsed", func(s Seen) bool {
		all := s.accessory("db").Backups
		return len(all) == 2 && all[1].Name > first && !all[1].Rehearsed.IsZero() && all[1].Problem == "" && !all[0].Rehearsed.IsZero()
	})
}

// TestBackup_theCopyThatIsNone tells of a dump that no Redis reads.
func TestBackup_theCopyThatIsNone(t *testing.T) {
	t.Parallel()
	needsRedis(t)
	b := newBench(t, newFolder(t))
	db := world.Accessory{Key: accessoryKey("db"), Password: "not-to-be-guessed", Spec: rollout.AccessorySpec{Use: "redis", Secret: "REDIS_URL"}}
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	b.accessoryReady("db", 0)
	h := b.accessories[accessoryKey("db")]
	none := filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(none, []byte("REDIS0099 this is none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(h.backupDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := h.keepBackup(none, world.Backup{Name: "20260101T000000Z", Of: world.OfKeys}); err != nil {
		t.Fatal(err)
	}
	a := b.asks(db, rollout.AccessoryTask{ID: 1, Kind: rollout.TaskRehearse, At: time.Now()})
	if a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, "a server on the copy") || !strings.Contains(a.Task.Why, "RDB format version") {
		t.Errorf("%+v", a.Task)
	}
	if _, err := net.Dial("tcp", a.Addr); err != nil {
		t.Error(err)
	}
}
