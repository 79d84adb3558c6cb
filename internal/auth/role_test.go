package auth

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRole_eachMayWhatThoseBeforeItMayAndNothingElse(t *testing.T) {
	t.Parallel()
	for i, mine := range Roles() {
		for j, need := range Roles() {
			if got := mine.May(need); got != (i >= j) {
				t.Errorf("%s may what a %s may: %v", mine, need, got)
			}
		}
		if mine.May("") || mine.May("root") || Role("").May(mine) || Role("root").May(mine) {
			t.Errorf("%s: what is no role is enough, or is asked for", mine)
		}
	}
}

func TestBook_whatMayLessIsNoAdminForAProgramFromBeforeRoles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.json")
	// As that program left it.
	if err := os.WriteFile(path, []byte(`{"format":1,"tokens":[{"name":"old","made":"2026-01-01T00:00:00Z","by":"local","expires":"0001-01-01T00:00:00Z","used":"0001-01-01T00:00:00Z","hash":"`+hash("titrate_old")+`"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := book(t, path)
	if got, ok := b.Who("titrate_old", now); !ok || got.Role != Admin {
		t.Errorf("one from before roles: %+v, %v", got, ok)
	}
	_, ci, err := b.Create(Token{Name: "ci", By: Local, Role: Deployer}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Book{b, book(t, path)} {
		if got, ok := b.Who(ci, now); !ok || got.Role != Deployer {
			t.Errorf("%+v, %v", got, ok)
		}
		if list := b.List(); len(list) != 2 || list[0].Name != "ci" {
			t.Errorf("%+v", list)
		}
	}
	// What that program reads.
	if before, err := read(path); err != nil || len(before) != 1 || before[0].Name != "old" {
		t.Errorf("%+v, %v", before, err)
	}
	if info, err := os.Stat(filepath.Join(filepath.Dir(path), "tokens-roles.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := b.Revoke("ci"); err != nil {
		t.Fatal(err)
	}
	if _, ok := book(t, path).Who(ci, now.Add(time.Hour)); ok {
		t.Error("it is good after it was revoked")
	}
	if _, _, err := b.Create(Token{Name: "x", By: Local, Role: "root"}, now); !errors.Is(err, ErrRole) {
		t.Error(err)
	}
}
