package auth

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSigners_followFromATokenAndEndWithIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	b, err := Open(filepath.Join(t.TempDir(), "tokens.json"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Create(Token{Name: "ci", Role: Deployer}, now); err != nil {
		t.Fatal(err)
	}
	s := &Signers{Book: b, Local: "the-folders", Key: bytes.Repeat([]byte{7}, 32)}
	id, secret, err := s.Keys("ci")
	if err != nil || len(id) != 20 || !strings.HasPrefix(id, AccessPrefix) || len(secret) < 40 {
		t.Fatalf("%q %q %v", id, secret, err)
	}
	if tok, got, ok := s.Find(id); !ok || got != secret || tok.Name != "ci" || tok.Role != Deployer {
		t.Errorf("%+v %v", tok, ok)
	}
	if again, _, _ := (&Signers{Book: b, Key: s.Key}).Keys("ci"); again != id {
		t.Error("they change by themselves")
	}
	if other, _, _ := (&Signers{Book: b, Key: make([]byte, 32)}).Keys("ci"); other == id {
		t.Error("another server has the same")
	}
	if local, _, err := s.Keys(Local); err != nil || local == id {
		t.Errorf("%q %v", local, err)
	}
	s.Used("ci", now)
	if l := b.List(); !l[0].Used.Equal(now) {
		t.Errorf("the use is not kept: %+v", l)
	}
	if err := b.Revoke("ci"); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := s.Find(id); ok {
		t.Error("they outlive the token")
	}
	if _, _, err := s.Keys("ci"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, _, err := b.Create(Token{Name: "ci", Role: Admin}, now); err != nil {
		t.Fatal(err)
	}
	if again, _, _ := s.Keys("ci"); again == id {
		t.Error("another token by that name has the same keys")
	}
}
