package store

import (
	"errors"
	"os"
	"strings"
	"testing"

	"titrate/internal/rollout"
)

// opened makes a store in a folder of its own.
func opened(t *testing.T) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Folder: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func TestFits_readsAlsoWhileTheServerLives(t *testing.T) {
	t.Parallel()
	_, dir := opened(t)
	files, _ := migrationFiles()
	if f, err := Fits(t.Context(), dir); err != nil || f.Number != len(files) || f.Core != 0 {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestFits_aNewFolderIsAnyones(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if f, err := Fits(t.Context(), dir); err != nil || f != (Format{}) {
		t.Errorf("got %+v, %v", f, err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("it made %v", left)
	}
}

// A downgrade: the database has a format that this program does not know. It goes on
// where the newer program said that it may, and else nothing is changed.
func TestDowngrade_goesOnWhereTheNewerFormatAllowsIt(t *testing.T) {
	t.Parallel()
	files, _ := migrationFiles()
	for name, c := range map[string]struct {
		since int
		fits  bool
	}{
		"only something was added":   {since: len(files), fits: true},
		"and for long":               {since: 1, fits: true},
		"something else was changed": {since: len(files) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := opened(t)
			for _, step := range []string{
				`ALTER TABLE apps ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'`,
				`INSERT INTO format (number) VALUES ($1 + 1)`,
				`INSERT INTO format_since (number, since) VALUES ($1 + 1, $2)`,
			} {
				if _, err := s.write.ExecContext(t.Context(), step, []any{len(files), c.since}[:strings.Count(step, "$")]...); err != nil {
					t.Fatal(err)
				}
			}
			_, fits := Fits(t.Context(), dir)
			s.Close()
			again, opens := Open(t.Context(), Options{Folder: dir})
			if opens == nil {
				again.Close()
			}
			for _, err := range []error{fits, opens} {
				var fault *FaultError
				if c.fits && err != nil || !c.fits && (!errors.As(err, &fault) || fault.Code != CodeNewer) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestFits_refusesRolloutsThatANewerCoreHasDecidedAbout(t *testing.T) {
	t.Parallel()
	s, dir := opened(t)
	token := lease(t, s)
	open := opening(token, 1, 1)
	commit(t, s, open)
	commit(t, s, moving(token, open.Opened[0], rollout.Shifting))
	if _, err := s.write.ExecContext(t.Context(), `UPDATE history SET core = $1`, rollout.CoreVersion+1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		phase string
		fits  bool
	}{{"shifting", false}, {"ended", true}} {
		if _, err := s.write.ExecContext(t.Context(), `UPDATE rollouts SET phase = $1`, c.phase); err != nil {
			t.Fatal(err)
		}
		if f, err := Fits(t.Context(), dir); (err == nil) != c.fits {
			t.Errorf("%s: got %+v, %v", c.phase, f, err)
		}
	}
}
