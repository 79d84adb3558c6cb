package local

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/internal/engine"
	"titrate/internal/engine/enginetest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// keepWords is a database of the tests: a file of lines, in the volume or folder that it
// keeps. What is posted replaces it.
func keepWords([]string) {
	file := filepath.Join(os.Getenv("TITRATE_VOLUME_DATA"), "words")
	http.HandleFunc("GET /words", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	http.HandleFunc("POST /words", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	fmt.Println(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
	os.Exit(1)
}

// askWords is the tool of that database: dump, fill and count.
func askWords(args []string) {
	at := "http://" + os.Getenv("HOST") + ":" + os.Getenv("PORT") + "/words"
	res, err := http.Get(at)
	if args[0] == "fill" {
		res, err = http.Post(at, "text/plain", os.Stdin)
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the database says %s", res.Status)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot", args[0]+":", err, "with", os.Getenv("PASSWORD"))
		os.Exit(1)
	}
	text, _ := io.ReadAll(res.Body)
	if args[0] == "count" {
		text = fmt.Append(nil, strings.Count(string(text), "\n"))
	}
	_, _ = os.Stdout.Write(text)
}

func needSlow(t *testing.T) {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("starts many accessories: TITRATE_TEST_SLOW=1")
	}
}

func TestBackup_byCommandsOfAnImage(t *testing.T) {
	t.Parallel()
	needSlow(t)
	needImages(t)
	dir := newFolder(t)
	addPicture(t, dir)
	byCommands(t, dir, remembering("one", imaged(run(1, 1, "serve"))), "/app")
}

func TestBackup_byCommandsInAnEngine(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		e := d.Open(t)
		t.Cleanup(func() { e.Close() })
		dir := newFolder(t)
		useEngine(t, dir, d)
		byCommands(t, dir, remembering("one", contained(pictureOf(t, e))(run(1, 1, "serve"))), "/app")
		if list, err := e.Containers(t.Context(), engine.LabelShim, ""); err != nil || len(list) > 0 {
			t.Errorf("left: %+v, %v", list, err)
		}
	})
}

func TestBackup_byCommandsOfALocalService(t *testing.T) {
	t.Parallel()
	needSlow(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	byCommands(t, newFolder(t), self(t, "db"), program)
}

func imageOf(db world.Accessory) *world.Image {
	if db.Spec.Artifact == nil {
		return nil
	}
	return db.Spec.Artifact.Image
}

// byCommands takes an accessory through the life of its backups.
func byCommands(t *testing.T, dir string, db world.Accessory, app string) {
	t.Helper()
	b := newBench(t, dir)
	db.Spec.Health, db.Spec.Keep = "", 3
	if db.Spec.Run = "exec " + app + " keep-words"; db.Spec.Image != "" {
		db.Spec.Run, db.Spec.Artifact.Command = "", []string{app, "keep-words"}
	}
	says := rollout.BackupCommands{Dump: app + " ask-words dump", Restore: app + " ask-words fill", Check: app + " ask-words count"}
	db.Spec.Commands = &says
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	at := "http://" + b.accessoryReady("db", 0).Addr + "/words"
	words := func() string {
		t.Helper()
		return get(t, strings.TrimPrefix(strings.TrimSuffix(at, "/words"), "http://"), "/words")
	}
	set := func(text string) {
		t.Helper()
		res, err := http.Post(at, "text/plain", strings.NewReader(text))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		res.Body.Close()
	}
	id := int64(0)
	ask := func(kind rollout.AccessoryTaskKind, backup string) world.AccessorySeen {
		t.Helper()
		id++
		return b.asks(db, rollout.AccessoryTask{ID: id, Kind: kind, Backup: backup, At: time.Date(2026, 11, 27, 3, 0, int(id), 0, time.UTC)})
	}
	// Nothing is there yet, so that the dump fails: with its last lines, and without what is secret.
	if a := ask(rollout.TaskBackup, ""); a.Task.State != world.TaskFailed || len(a.Backups) > 0 || !strings.Contains(a.Task.Why, "cannot count: the database says 404") || strings.Contains(a.Task.Why, db.Password) {
		t.Fatalf("%+v", a)
	}
	set("")
	says.Check = ""
	if a := ask(rollout.TaskBackup, ""); a.Task.State != world.TaskFailed || len(a.Backups) > 0 || !strings.Contains(a.Task.Why, "wrote nothing") {
		t.Fatalf("an empty dump: %+v", a)
	}
	says.Check = app + " ask-words count"
	set("geisha\nbourbon\n")
	a := ask(rollout.TaskBackup, "")
	if a.Task.State != world.TaskDone || len(a.Backups) != 1 || a.Backups[0].Size != 15 || a.Backups[0].Checked != "2" || !strings.Contains(a.Task.Why, "a dump of 15 bytes") {
		t.Fatalf("%+v", a)
	}
	first := a.Backups[0]
	file := filepath.Join(a.Folder, "backups", first.Name+".dump")
	if text, err := os.ReadFile(file); err != nil || string(text) != "geisha\nbourbon\n" {
		t.Errorf("%q, %v", text, err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	set("robusta\n")
	if a = ask(rollout.TaskRehearse, ""); a.Task.State != world.TaskDone || a.Backups[0].Rehearsed.IsZero() || a.Backups[0].Problem != "" || words() != "robusta" {
		t.Fatalf("%+v; %q", a, words())
	}
	pid := a.PID
	if a = ask(rollout.TaskRestore, first.Name); a.Task.State != world.TaskDone || words() != "geisha\nbourbon" || a.PID == pid {
		t.Fatalf("%+v; %q", a.Task, words())
	}
	before, err := filepath.Glob(filepath.Join(a.Folder, "before_20261127T030005Z", "*", "data", "words"))
	if err == nil && db.Spec.Image == "" {
		before, err = filepath.Glob(filepath.Join(a.Folder, "before_20261127T030005Z", "data", "words"))
	}
	if err != nil || len(before) != 1 || !strings.Contains(a.Task.Why, "before_20261127T030005Z") {
		t.Errorf("what was there before: %v, %v; %s", before, err, a.Task.Why)
	}

	// One that was interrupted after its end is not done twice.
	set("since\n")
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
	id--
	if a = ask(rollout.TaskRestore, first.Name); a.Task.State != world.TaskDone || words() != "since" {
		t.Errorf("%+v; %q", a.Task, words())
	}
	if engined(world.Fleet{Image: imageOf(db)}) { // what follows is no engine's matter, and takes its time
		b.apply(world.Wanted{})
		b.until("it has ended", func(s Seen) bool { return s.accessory("db").Folder == "" })
		return
	}

	// What restores to something else is told, and changes nothing.
	set("other\n")
	says.Restore = "echo half | " + app + " ask-words fill; cat >/dev/null"
	if db.Spec.Image != "" { // which has no cat
		says.Restore = "echo half | " + app + " ask-words fill"
	}
	for _, kind := range []rollout.AccessoryTaskKind{rollout.TaskRehearse, rollout.TaskRestore} {
		if a = ask(kind, first.Name); a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, `backup.check says "1", and said "2"`) || words() != "other" {
			t.Errorf("%s: %+v; %q", kind, a.Task, words())
		}
	}
	if a.Backups[0].Problem == "" {
		t.Errorf("%+v", a.Backups[0])
	}
	// Without a way back there is a backup all the same, that nobody has tried.
	says.Restore = ""
	db.Spec.Every = time.Nanosecond
	b.apply(world.Wanted{Accessories: []world.Accessory{db}})
	b.until("a backup is made by itself", func(s Seen) bool { return len(s.accessory("db").Backups) > 1 })
	db.Spec.Every = 0
	if a = ask(rollout.TaskRehearse, ""); a.Task.State != world.TaskFailed || !strings.Contains(a.Task.Why, "backup: { restore:") || !a.Backups[1].Rehearsed.IsZero() || a.Backups[1].Problem != "" || a.Unkept != "" {
		t.Errorf("%+v", a)
	}
	for _, left := range []string{"task", "second", "files/second/data", "restore.json", "files/again", "files/dump"} {
		if _, err := os.Stat(filepath.Join(a.Folder, left)); err == nil {
			t.Errorf("%s is left", left)
		}
	}
	b.apply(world.Wanted{})
	b.until("it has ended", func(s Seen) bool { return s.accessory("db").Folder == "" })
}

// A restore that was interrupted between two folders goes on, and one that fails takes
// back what it has done.
func TestSwap_isAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var s swap
	for _, name := range []string{"state", "volumes"} {
		f := folder{From: filepath.Join(dir, "second", name), To: filepath.Join(dir, name)}
		for _, at := range []string{f.From, f.To} {
			if err := os.MkdirAll(at, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		f.Inode, _ = inode(f.From)
		s.Folders = append(s.Folders, f)
	}
	swapped := func() (n int) {
		for _, f := range s.Folders {
			if i, err := inode(f.To); err == nil && i == f.Inode {
				n++
			}
		}
		return n
	}
	if err := s.Folders[0].swap(); err != nil {
		t.Fatal(err)
	}
	if err := s.do(); err != nil || swapped() != 2 {
		t.Errorf("%v, %d have changed", err, swapped())
	}
	for _, f := range s.Folders {
		if err := f.swap(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(s.Folders[1].From); err != nil {
		t.Fatal(err)
	}
	if err := s.do(); err == nil || swapped() != 0 {
		t.Errorf("%v, %d have changed", err, swapped())
	}
}
