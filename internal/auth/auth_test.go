package auth

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/internal/explain"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func book(t *testing.T, path string) *Book {
	t.Helper()
	b, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBook_aTokenIsKnownUntilItIsRevokedAndNeverStored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys", "tokens.json")
	b := book(t, path)
	_, anna, err := b.Create(Token{Name: "anna@laptop", By: Local, Role: Deployer, Expires: time.Time{}}, now)
	if err != nil {
		t.Fatal(err)
	}
	_, ci, err := b.Create(Token{Name: "ci", By: "anna@laptop", Role: Deployer, Expires: now.Add(time.Hour)}, now)
	if err != nil || ci == anna || !strings.HasPrefix(ci, Prefix) || len(ci) < len(Prefix)+26 {
		t.Fatalf("%q, %q, %v", ci, anna, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), anna) || strings.Contains(string(text), ci) {
		t.Fatalf("the file holds a token (%v):\n%s", err, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, b := range []*Book{b, book(t, path)} {
		if got, ok := b.Who(anna, now.Add(time.Minute)); !ok || got.Name != "anna@laptop" || got.By != Local {
			t.Errorf("anna is %+v, %v", got, ok)
		}
		for _, wrong := range []string{"", anna + "x", anna[:len(anna)-1], strings.ToUpper(anna), hash(anna)} {
			if got, ok := b.Who(wrong, now); ok {
				t.Errorf("%q is taken for %s", wrong, got.Name)
			}
		}
	}
	if err := b.Revoke("anna@laptop"); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Book{b, book(t, path)} {
		if _, ok := b.Who(anna, now); ok {
			t.Error("a revoked token is known")
		}
		if _, ok := b.Who(ci, now); !ok {
			t.Error("another one went with it")
		}
	}
	if err := b.Revoke("anna@laptop"); !errors.Is(err, ErrUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestBook_tellsOfUseAndExpiry(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.json")
	b := book(t, path)
	_, ci, err := b.Create(Token{Name: "ci", By: Local, Role: Deployer, Expires: now.Add(time.Hour)}, now)
	if err != nil {
		t.Fatal(err)
	}
	if l := b.List(); len(l) != 1 || !l[0].Used.IsZero() || l[0].Expired(now.Add(time.Hour-1)) {
		t.Errorf("%+v", l)
	}
	b.Who(ci, now.Add(10*time.Minute))
	b.Who(ci, now.Add(10*time.Minute+10*time.Second)) // to the minute
	if got := book(t, path).List()[0].Used; !got.Equal(now.Add(10 * time.Minute)) {
		t.Errorf("used %s", got)
	}
	if got, ok := b.Who(ci, now.Add(time.Hour)); !ok || !got.Expired(now.Add(time.Hour)) || got.Used.Equal(now.Add(time.Hour)) {
		t.Errorf("after its end: %+v, %v", got, ok)
	}
}

func TestBook_refusesNamesAndDamagedFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.json")
	b := book(t, path)
	if _, _, err := b.Create(Token{Name: "ci", By: Local, Role: Deployer, Expires: time.Time{}}, now); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", Local, "ci", "a b", "../x", "-x", strings.Repeat("x", 64), "a\nb"} {
		var no *NameError
		if _, _, err := b.Create(Token{Name: name, By: Local, Role: Deployer}, now); !errors.As(err, &no) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, text := range []string{"", "{", `{"format": 2}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLimit_boundsWhatIsTriedFromOnePlace(t *testing.T) {
	t.Parallel()
	l := Limit{Burst: 3, Every: 10 * time.Second}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range 3 {
		if w := l.Wait(a, now); w != 0 {
			t.Errorf("try %d waits %v", i, w)
		}
		l.Failed(a, now)
	}
	if w := l.Wait(a, now); w != 10*time.Second {
		t.Errorf("after three it waits %v", w)
	}
	if w := l.Wait(netip.MustParseAddr("::ffff:192.0.2.1"), now); w != 10*time.Second {
		t.Errorf("the same place by another name waits %v", w)
	}
	if l.Wait(b, now) != 0 || l.Wait(a, now.Add(10*time.Second)) != 0 {
		t.Error("another place, or a later time, waits")
	}
	l.Failed(netip.MustParseAddr("2001:db8::1"), now)
	l.Failed(netip.MustParseAddr("2001:db8::2"), now)
	l.Failed(netip.MustParseAddr("2001:db8::3"), now)
	if l.Wait(netip.MustParseAddr("2001:db8::4"), now) == 0 || l.Wait(netip.MustParseAddr("2001:db8:0:1::4"), now) != 0 {
		t.Error("a /64 is one place")
	}
}

func TestLimit_forgets(t *testing.T) {
	t.Parallel()
	l := Limit{Burst: 2, Every: time.Second}
	for i := range uint32(3 * maxPlaces) {
		l.Failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(l.tried) > maxPlaces {
		t.Errorf("%d places", len(l.tried))
	}
}

func TestCodes_areExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []string{codeName, codeDamaged} {
		if _, ok := explain.Page(c); !ok {
			t.Errorf("%s has no page", c)
		}
	}
}
