package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

var made = time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)

// files is a data folder: a name that ends in / is a folder, -> a link, and $ closes
// the folder to its owner.
func files(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	for _, name := range []string{
		"format", "up.json", "up.lock", "backup.json", "builds/work/x", "logs/app/x", "keys/token", "certs/x.crt", "server/titrate.db", "server/titrate.db-wal", "server/lock", "server/reserve",
		"artifacts/ab/bin/run", "artifacts/ab.json", "artifacts/half/x", "artifacts/.tmp-1/x", "git/app.git/refs/heads/main", "git/app.git/objects/pack/p", "git/app.git/packed-refs",
		"node/wanted", "node/local/workloads/shop/production/web/state/deep/x", "node/local/workloads/shop/production/web/web-v1-a/x", "node/local/workloads/shop/production/web/v1.fleet",
		"volumes/shop/production/web/data/x", "volumes/shop/production/web/data.lock", "accessories/shop/production/db/accessory.json", "accessories/shop/production/db/files/base",
		"accessories/shop/production/db/backups/one.dump", "accessories/shop/production/sql/files/volumes/data/base", "later/x",
	} {
		write(t, filepath.Join(dir, name), "content of "+name)
	}
	for _, err := range []error{
		os.Symlink("run", filepath.Join(dir, "artifacts/ab/bin/link")), unix.Mkfifo(filepath.Join(dir, "keys/fifo"), 0o600),
		os.Chmod(filepath.Join(dir, "artifacts/ab/bin/run"), 0o555), os.Chmod(filepath.Join(dir, "artifacts/ab/bin"), 0o555),
		os.Chtimes(filepath.Join(dir, "artifacts/ab"), made, made),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "accessories/shop/production/mail/files/state"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "artifacts/ab/bin"), 0o700) })
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func backupOf(dir, file string) Backup {
	return Backup{
		Dir: dir, File: file, Header: Header{Folder: 1, Version: "1.2.3", Made: made},
		Database: func(_ context.Context, to string) error { return os.WriteFile(to, []byte("the database"), 0o644) },
	}
}

func mustWrite(t *testing.T, b Backup) Report {
	t.Helper()
	r, err := Write(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			out = append(out, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBackup_comesBackAsItWas(t *testing.T) {
	t.Parallel()
	dir, file, to := files(t), filepath.Join(t.TempDir(), "x.tar.zst"), filepath.Join(t.TempDir(), "other")
	r := mustWrite(t, backupOf(dir, file))
	if r.Files != 15 || r.Bytes == 0 || !slices.Equal(r.Without, []string{"shop/production/db"}) || !slices.Equal(r.Lost, []string{"shop/production/sql"}) || len(r.Changing) != 0 {
		t.Errorf("%+v", r)
	}
	if all := list(t, filepath.Dir(file)); len(all) != 1 {
		t.Errorf("beside it it leaves %v", all)
	}
	back, err := Read(t.Context(), Restore{File: file, Dir: to, Folder: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(to, "artifacts/ab/bin"), 0o700) })
	if back.Files != r.Files || back.Version != "1.2.3" || !back.Made.Equal(made) {
		t.Errorf("%+v", back)
	}
	want := []string{
		"accessories/shop/production/db/backups/one.dump", "artifacts/ab/bin/link", "artifacts/ab/bin/run", "artifacts/ab.json", "backup.json", "certs/x.crt", "format",
		"git/app.git/objects/pack/p", "git/app.git/packed-refs", "git/app.git/refs/heads/main", "keys/token", "later/x",
		"node/local/workloads/shop/production/web/state/deep/x", "server/titrate.db", "volumes/shop/production/web/data/x",
	}
	if got := list(t, to); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	for _, name := range want {
		if b, err := os.ReadFile(filepath.Join(to, name)); name != "server/titrate.db" && !strings.HasSuffix(name, "link") && (err != nil || string(b) != "content of "+name) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for name, want := range map[string]fs.FileMode{"artifacts/ab/bin": fs.ModeDir | 0o555, "artifacts/ab/bin/run": 0o555, "server/titrate.db": 0o600, "keys": fs.ModeDir | 0o700} {
		if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(filepath.Join(to, "artifacts/ab")); err != nil || !info.ModTime().Equal(made) {
		t.Error("an artifact is as old as its restore", err)
	}
	// In a repository names come before what they name.
	names := entries(t, file)
	if a, b, c := slices.Index(names, "git/app.git/refs/heads/main"), slices.Index(names, "git/app.git/packed-refs"), slices.Index(names, "git/app.git/objects/"); a > b || b > c {
		t.Error(names)
	}
}

func entries(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, h.Name)
	}
}

func TestBackup_logsAreInItWhenAsked(t *testing.T) {
	t.Parallel()
	b := backupOf(files(t), filepath.Join(t.TempDir(), "x"))
	b.Header.Logs = true
	mustWrite(t, b)
	if !slices.Contains(entries(t, b.File), "logs/app/x") {
		t.Error("they are not")
	}
}

func TestBackup_leavesNothingWhenItFails(t *testing.T) {
	t.Parallel()
	b := backupOf(files(t), filepath.Join(t.TempDir(), "x"))
	write(t, b.File, "the one before")
	b.Database = func(context.Context, string) error { return unix.ENOSPC }
	_, err := Write(t.Context(), b)
	wantCode(t, err, "T0731", "no space")
	ctx, cancel := context.WithCancel(t.Context())
	b.Database = func(_ context.Context, to string) error { cancel(); return os.WriteFile(to, nil, 0o600) }
	if _, err := Write(ctx, b); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if all := list(t, filepath.Dir(b.File)); len(all) != 1 {
		t.Error(all)
	}
	if text, err := os.ReadFile(b.File); string(text) != "the one before" {
		t.Error(string(text), err)
	}
	_, err = Write(t.Context(), backupOf(b.Dir, filepath.Join(b.Dir, "x")))
	wantCode(t, err, "T0731", "in the data folder")
	_, err = Write(t.Context(), backupOf(b.Dir, filepath.Join(b.Dir, "..", "none", "x")))
	wantCode(t, err, "T0731", "no such file")
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, there := range []string{pipe, filepath.Dir(pipe)} {
		_, err = Write(t.Context(), backupOf(b.Dir, there))
		wantCode(t, err, "T0731", "no file that a backup could take the place of")
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().IsRegular() {
		t.Error("the pipe is gone", err)
	}
}

func wantCode(t *testing.T, err error, code, saw string) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != code || !strings.Contains(e.Saw, saw) || e.Help == "" {
		t.Errorf("%v, want %s: %s", err, code, saw)
	}
}

// dies names the folder of a backup that is to be killed.
const dies = "TITRATE_TEST_BACKUP_DIES"

func TestBackup_thatIsKilledLeavesNoHalfFile(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(dies); dir != "" {
		b := backupOf(filepath.Join(dir, "data"), filepath.Join(dir, "x"))
		b.Database = func(_ context.Context, to string) error {
			if err := os.WriteFile(to, []byte("half"), 0o600); err != nil {
				return err
			}
			_, _ = os.Stdout.WriteString("now\n")
			select {}
		}
		_, _ = Write(t.Context(), b)
		return
	}
	dir := filepath.Dir(files(t))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), dies+"="+dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	b := backupOf(filepath.Join(dir, "data"), filepath.Join(dir, "x"))
	_, err = Write(t.Context(), b)
	wantCode(t, err, "T0731", "another backup")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if _, err := os.Stat(b.File); !os.IsNotExist(err) {
		t.Error("it has its name", err)
	}
	mustWrite(t, b)
	if left, _ := filepath.Glob(filepath.Join(dir, ".x.*")); len(left) != 0 {
		t.Error(left)
	}
}

func TestRestore_refusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	b := backupOf(files(t), filepath.Join(t.TempDir(), "x"))
	for i := range 200 { // so that there is a middle
		write(t, filepath.Join(b.Dir, "more", string(rune('a'+i%26)), strings.Repeat("y", i%50+1)), strings.Repeat(string(rune(i)), 5000))
	}
	mustWrite(t, b)
	whole, err := os.ReadFile(b.File)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0x55
	for name, content := range map[string][]byte{
		"cut": whole[:len(whole)/2], "cut at its end": whole[:len(whole)-40], "flipped": flipped, "empty": {}, "something else": []byte("a letter to my mother"),
		"not what it was": repacked(t, whole, func(h *tar.Header, c []byte) []byte {
			if h.Name == "keys/token" {
				c[0] = 'X'
			}
			return c
		}),
		"one is missing": repacked(t, whole, func(h *tar.Header, c []byte) []byte {
			if h.Name == "keys/token" {
				h.Name = "keys/another"
			}
			return c
		}),
		"leads out": repacked(t, whole, func(h *tar.Header, c []byte) []byte {
			if h.Name == "keys/token" {
				h.Name = "../token"
			}
			return c
		}),
	} {
		file, to := filepath.Join(t.TempDir(), "x"), filepath.Join(t.TempDir(), "to")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(t.Context(), Restore{File: file, Dir: to, Folder: 1})
		wantCode(t, err, "T0732", "")
		if left, err := os.ReadDir(to); err == nil && len(left) != 0 {
			t.Errorf("%s: it leaves %v", name, left)
		}
	}
	newer := repacked(t, whole, func(h *tar.Header, c []byte) []byte {
		if h.Name == headerName {
			c, _ = json.Marshal(Header{Format: 2, Folder: 1, Version: "9.0.0"})
			h.Size = int64(len(c))
		}
		return c
	})
	write(t, b.File, string(newer))
	_, err = Read(t.Context(), Restore{File: b.File, Dir: t.TempDir(), Folder: 1})
	wantCode(t, err, "T0733", "9.0.0")
}

// repacked changes the entries of an archive.
func repacked(t *testing.T, whole []byte, change func(*tar.Header, []byte) []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out bytes.Buffer
	zw, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(zw)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		content = change(h, content)
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRestore_onlyIntoAnEmptyFolder(t *testing.T) {
	t.Parallel()
	b := backupOf(files(t), filepath.Join(t.TempDir(), "x"))
	mustWrite(t, b)
	to := t.TempDir()
	write(t, filepath.Join(to, "mine"), "kept")
	_, err := Read(t.Context(), Restore{File: b.File, Dir: to, Folder: 1})
	wantCode(t, err, "T0734", "not empty")
	if got := list(t, to); !slices.Equal(got, []string{"mine"}) {
		t.Error(got)
	}
	// One that was killed is begun anew, however far it was.
	write(t, filepath.Join(to, Unfinished, "format"), "half")
	if _, err := Read(t.Context(), Restore{File: b.File, Dir: to, Folder: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(to, "artifacts/ab/bin"), 0o700) })
	if got := list(t, to); slices.Contains(got, "mine") || !slices.Contains(got, "format") {
		t.Error(got)
	}
}

func TestRecord_isLateAfterHalfAsLongAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if r, err := ReadRecord(dir); err != nil || r != (Record{}) {
		t.Error(r, err)
	}
	r := Record{Every: 24 * time.Hour, Since: made}
	if err := r.Store(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadRecord(dir); err != nil || got != r {
		t.Error(got, err)
	}
	for after, want := range map[time.Duration]bool{35 * time.Hour: false, 37 * time.Hour: true} {
		if _, late := r.Due(made.Add(after)); late != want {
			t.Errorf("%s: %t", after, late)
		}
		last := Record{Every: r.Every, Since: made.Add(-time.Hour * 99), Last: made}
		if since, late := last.Due(made.Add(after)); late != want || since != made {
			t.Errorf("%s: %t", after, late)
		}
	}
	if _, late := (Record{Last: made}).Due(made.Add(9999 * time.Hour)); late {
		t.Error("it nags")
	}
}
