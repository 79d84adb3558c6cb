package local

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// asks has a task done to the accessory db and returns how it ended.
func (b *bench) asks(db world.Accessory, task rollout.AccessoryTask) world.AccessorySeen {
	b.t.Helper()
	db.Task = &task
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	b.accessoryReady("db", 0)
	deadline := time.After(2 * time.Minute)
	for {
		seen, changed := b.Seen()
		if a := seen.accessory("db"); a.Task.ID == task.ID && a.Task.State.Over() {
			return a
		}
		select {
		case <-changed:
		case <-deadline:
			b.t.Fatalf("task %+v never ended: %+v", task, seen.accessory("db"))
		}
	}
}

func TestBackup_isRehearsedAndRestored(t *testing.T) {
	t.Parallel()
	needsPostgres(t)
	dir := newFolder(t)
	b := newBench(t, dir)
	db := world.Accessory{Key: accessoryKey("db"), Password: "not-to-be-guessed", Spec: rollout.AccessorySpec{Use: "postgres", Secret: "DATABASE_URL", Keep: 2}}
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	b.accessoryReady("db", 0)
	b.query("db", "CREATE TABLE coffee (name text PRIMARY KEY)")
	b.query("db", "INSERT INTO coffee VALUES ('geisha'), ('bourbon')")
	task := func(id int64, kind rollout.AccessoryTaskKind, backup string) rollout.AccessoryTask {
		return rollout.AccessoryTask{ID: id, Kind: kind, Backup: backup, At: time.Date(2026, 11, 27, 3, 0, int(id), 0, time.UTC)}
	}
	if a := b.asks(db, task(1, rollout.TaskRehearse, "")); a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, "there is no backup yet") {
		t.Errorf("%+v", a.Task)
	}
	a := b.asks(db, task(2, rollout.TaskBackup, ""))
	if a.Task.State != world.TaskDone || len(a.Backups) != 1 || a.Backups[0].Rows != 2 || a.Backups[0].Tables != 1 || a.Backups[0].Size == 0 {
		t.Fatalf("%+v", a)
	}
	first := a.Backups[0].Name
	if a = b.asks(db, task(3, rollout.TaskRehearse, "")); a.Task.State != world.TaskDone || a.Backups[0].Rehearsed.IsZero() || a.Backups[0].Problem != "" {
		t.Fatalf("%+v", a)
	}
	if got := b.query("db", "SELECT datname FROM pg_database WHERE datname LIKE 'titrate_re%'"); len(got) != 0 {
		t.Errorf("a rehearsal left %v", got)
	}
	b.query("db", "DELETE FROM coffee WHERE name = 'geisha'")
	a = b.asks(db, task(4, rollout.TaskRestore, first))
	if got := b.query("db", "SELECT name FROM coffee ORDER BY name"); a.Task.State != world.TaskDone || !slices.Equal(got, []string{"bourbon", "geisha"}) {
		t.Fatalf("restored: %v, %+v", got, a.Task)
	}
	if !strings.Contains(a.Task.Why, "_before_20261127t030004z") {
		t.Error(a.Task.Why)
	}

	// One that was interrupted after its end is not done twice: what was written since stays.
	b.query("db", "INSERT INTO coffee VALUES ('typica')")
	b.stop()
	record := filepath.Join(a.Folder, "accessory.json")
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, []byte(strings.Replace(string(text), `"state":"done"`, `"state":"running"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	b = newBench(t, dir)
	a = b.asks(db, task(4, rollout.TaskRestore, first))
	if got := b.query("db", "SELECT name FROM coffee ORDER BY name"); a.Task.State != world.TaskDone || len(got) != 3 {
		t.Errorf("after a restart: %v, %+v", got, a.Task)
	}

	// One that was changed since is neither restored nor called good.
	dump := filepath.Join(a.Folder, "backups", first+".dump")
	content, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(dump, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if a = b.asks(db, task(5, rollout.TaskRehearse, first)); a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, "has changed since it was made") || a.Backups[0].Problem == "" {
		t.Errorf("%+v", a)
	}
	if a = b.asks(db, task(6, rollout.TaskRestore, first)); a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, "the data is as it was") {
		t.Errorf("%+v", a)
	}
	if got := b.query("db", "SELECT count(*)::text FROM coffee"); !slices.Equal(got, []string{"3"}) {
		t.Errorf("a refused restore left %v rows", got)
	}
}

func TestBackup_isMadeByItselfWhenItIsDueAndOldOnesGo(t *testing.T) {
	t.Parallel()
	needsPostgres(t)
	b := newBench(t, newFolder(t))
	db := world.Accessory{Key: accessoryKey("db"), Password: "not-to-be-guessed", Spec: rollout.AccessorySpec{Use: "postgres", Secret: "DATABASE_URL", Every: time.Second, Keep: 2}}
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	b.accessoryReady("db", 0)
	var names []string
	for deadline := time.After(2 * time.Minute); ; {
		seen, changed := b.Seen()
		a := seen.accessory("db")
		for _, k := range a.Backups {
			if !slices.Contains(names, k.Name) {
				names = append(names, k.Name)
			}
			if k.Problem != "" {
				t.Fatalf("%+v", k)
			}
		}
		if a.Unkept != "" {
			t.Fatal(a.Unkept)
		}
		if len(names) > 3 && len(a.Backups) == 2 && !a.Backups[1].Rehearsed.IsZero() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%v: %+v", names, a)
		}
	}
}

// What was made while the clock was wrong, and stands in the future, neither keeps the
// next backup from being made nor takes its place.
func TestBackup_ofTheFutureIsNotTheNewest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	h := &held{dir: t.TempDir(), s: &Supervisor{cfg: Config{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}}}
	if err := os.MkdirAll(h.backupDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	keep := func(at time.Time) string {
		b := world.Backup{Name: at.Format("20060102T150405Z"), At: at}
		if err := errors.Join(h.describe(b), os.WriteFile(h.backupFile(b.Name), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		return b.Name
	}
	hourly := rollout.AccessorySpec{Every: time.Hour}
	keep(now.AddDate(4, 0, 0))
	later := keep(now.AddDate(4, 0, 1))
	if due := h.due(hourly); due.After(now) {
		t.Errorf("the next one is made at %s", due)
	}
	made := keep(now)
	if due := h.due(hourly); !due.Equal(now.Add(time.Hour)) {
		t.Errorf("the next one after that is made at %s", due)
	}
	h.pruneBackups(2)
	var left []string
	for _, b := range h.backups() {
		left = append(left, b.Name)
	}
	if want := []string{later, made}; !slices.Equal(left, want) {
		t.Errorf("%v are left, want %v", left, want)
	}
}

// Files of a backup that was interrupted go; the newest good one and what cannot be
// read for damage stay.
func TestPruneBackups_keepsWhatIsGood(t *testing.T) {
	t.Parallel()
	h := &held{dir: t.TempDir(), s: &Supervisor{cfg: Config{Log: slog.New(slog.DiscardHandler), Now: time.Now}}}
	if err := os.MkdirAll(h.backupDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	rehearsed := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	for _, b := range []world.Backup{
		{Name: "1", Rehearsed: rehearsed}, {Name: "2", Rehearsed: rehearsed}, {Name: "3", Rehearsed: rehearsed, Problem: "fewer rows"}, {Name: "4"}, {Name: "5"},
	} {
		if err := h.describe(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"1", "2", "3", "4", "5", "interrupted", "damaged"} {
		if err := os.WriteFile(h.backupFile(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(h.backupDir(), "damaged.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.pruneBackups(2)
	dumps, err := filepath.Glob(h.backupFile("*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range dumps {
		dumps[i] = strings.TrimSuffix(filepath.Base(dumps[i]), ".dump")
	}
	if want := []string{"2", "4", "5", "damaged"}; !slices.Equal(dumps, want) {
		t.Errorf("%v are left, want %v", dumps, want)
	}
}
