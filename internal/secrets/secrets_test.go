package secrets

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	db  = Place{App: "cofe", Env: "production", Name: "DATABASE_URL"}
)

func open2(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func set(t *testing.T, s *Store, p Place, value string) {
	t.Helper()
	if err := s.Set(t.Context(), p, value, "ann", day); err != nil {
		t.Fatal(err)
	}
}

func TestStore_keepsValuesEncryptedAndThroughARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open2(t, dir)
	set(t, s, db, "postgres://u:hunter22@h/db")

	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "hunter22") || strings.Contains(string(b), "DATABASE_URL") {
			t.Errorf("%s shows the secret", path)
		}
		if info, _ := d.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	again := open2(t, dir)
	digests, err := again.Digests(t.Context(), "cofe", "production", []string{"DATABASE_URL"})
	if err != nil {
		t.Fatal(err)
	}
	values, err := again.Values(t.Context(), "cofe", "production", digests)
	if err != nil || values["DATABASE_URL"] != "postgres://u:hunter22@h/db" {
		t.Fatalf("values %v, %v", values, err)
	}
	list, err := again.List(t.Context(), "cofe", "production")
	if err != nil || len(list) != 1 || list[0].Name != "DATABASE_URL" || list[0].By != "ann" || !list[0].SetAt.Equal(day) {
		t.Fatalf("list %v, %v", list, err)
	}
}

func TestR1_aChangedSecretHasAnotherDigestAndOldVersionsKeepTheirs(t *testing.T) {
	t.Parallel()
	s := open2(t, t.TempDir())
	names := []string{db.Name}
	set(t, s, db, "first-value")
	first, _ := s.Digests(t.Context(), db.App, db.Env, names)
	set(t, s, db, "second-value")
	second, _ := s.Digests(t.Context(), db.App, db.Env, names)
	if first[db.Name] == second[db.Name] {
		t.Fatal("the digest did not change with the value")
	}
	set(t, s, db, "first-value")
	if back, _ := s.Digests(t.Context(), db.App, db.Env, names); back[db.Name] != first[db.Name] {
		t.Fatal("the same value has another digest")
	}
	if err := s.Unset(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	old, err := s.Values(t.Context(), db.App, db.Env, second)
	if err != nil || old[db.Name] != "second-value" {
		t.Fatalf("a version lost its value: %v, %v", old, err)
	}
	if err := s.Prune(t.Context(), db.App, db.Env, map[string]bool{first[db.Name]: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Values(t.Context(), db.App, db.Env, second); !errors.Is(err, ErrUnset) {
		t.Fatalf("pruned value: %v", err)
	}
	if _, err := s.Values(t.Context(), db.App, db.Env, first); err != nil {
		t.Fatalf("kept value: %v", err)
	}
}

func TestDigest_dependsOnTheKeyAndTheName(t *testing.T) {
	t.Parallel()
	a, b := open2(t, t.TempDir()), open2(t, t.TempDir())
	if a.Digest("A", "v") == b.Digest("A", "v") || a.Digest("A", "v") == a.Digest("B", "v") || a.Digest("A", "Bv") == a.Digest("AB", "v") {
		t.Fatal("digests collide")
	}
}

func TestStore_saysWhatIsNotSet(t *testing.T) {
	t.Parallel()
	s := open2(t, t.TempDir())
	set(t, s, db, "some-value")
	_, err := s.Digests(t.Context(), db.App, db.Env, []string{"DATABASE_URL", "PSP_KEY", "OTHER"})
	if !errors.Is(err, ErrUnset) || !strings.Contains(err.Error(), "PSP_KEY, OTHER") || !strings.Contains(err.Error(), "titrate secret set PSP_KEY -a cofe -e production") {
		t.Fatal(err)
	}
	if err := s.Unset(t.Context(), Place{"cofe", "production", "PSP_KEY"}); !errors.Is(err, ErrUnset) {
		t.Fatal(err)
	}
}

func TestStore_refusesNamesAndValuesThatCannotBe(t *testing.T) {
	t.Parallel()
	s := open2(t, t.TempDir())
	for _, p := range []Place{{"..", "production", "A"}, {"cofe", "../x", "A"}, {"cofe", "production", "A-B"}, {"", "p", "A"}, {"cofe", "production", ""}} {
		if err := s.Set(t.Context(), p, "value", "", day); err == nil {
			t.Errorf("%v was taken", p)
		}
	}
	for _, v := range []string{"", "a\x00b", strings.Repeat("x", maxValue+1)} {
		if err := s.Set(t.Context(), db, v, "", day); err == nil {
			t.Errorf("a value of %d bytes was taken", len(v))
		}
	}
}

func TestOpen_refusesAKeyThatOthersMayRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open2(t, dir)
	key := filepath.Join(dir, "keys", "secrets.key")
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), codeKeyMode) || !strings.Contains(err.Error(), "chmod 600 "+key) {
		t.Fatal(err)
	}
}

func TestOpen_neverMakesANewKeyBesideOldSecrets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data[1]*?") // a path, not a pattern
	set(t, open2(t, dir), db, "some-value")
	key := filepath.Join(dir, "keys", "secrets.key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), codeKeyGone) {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte("# only a comment\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), codeKeyGone) {
		t.Fatal(err)
	}
}

func TestStore_tellsOfABrokenFileAndKeepsTheGenerationBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open2(t, dir)
	set(t, s, db, "generation-one")
	set(t, s, db, "generation-two")
	path := filepath.Join(dir, "secrets", "cofe", "production.age")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)-5] ^= 1
	for name, broken := range map[string][]byte{"empty": {}, "cut": whole[:len(whole)/2], "cut at the end": whole[:len(whole)-1], "flipped": flipped} {
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptError
		if _, err := s.List(t.Context(), "cofe", "production"); !errors.As(err, &corrupt) || !strings.Contains(err.Error(), codeCorrupt) || !strings.Contains(err.Error(), "help    the generation before is kept: cp ") {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.Set(t.Context(), db, "generation-three", "", day); !errors.As(err, &corrupt) {
			t.Fatalf("%s: a broken file was overwritten: %v", name, err)
		}
	}
	kept, err := os.ReadFile(path + previous)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := s.Digests(t.Context(), "cofe", "production", []string{db.Name})
	if err != nil || d[db.Name] != s.Digest(db.Name, "generation-one") {
		t.Fatalf("previous generation: %v, %v", d, err)
	}
}

func TestStore_takesChangesFromSeveralAtOnce(t *testing.T) {
	t.Parallel()
	s := open2(t, t.TempDir())
	errs := make(chan error)
	for _, name := range []string{"A", "B", "C", "D"} {
		go func() { errs <- s.Set(t.Context(), Place{"cofe", "production", name}, "value-"+name, "", day) }()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.List(t.Context(), "cofe", "production"); err != nil || len(list) != 4 {
		t.Fatal(list, err)
	}
}
