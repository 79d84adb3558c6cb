package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"titrate/internal/world"
)

// write makes a self-signed pair for names at dir/file.crt and .key, and returns its
// serial number.
func write(t *testing.T, dir, file string, from, until time.Time, names ...string) (Files, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "test", Organization: []string{"Testers"}}, DNSNames: names, NotBefore: from, NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := Files{filepath.Join(dir, file+".crt"), filepath.Join(dir, file+".key")}
	for path, b := range map[string]*pem.Block{f.Cert: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f, serial.String()
}

func open(t *testing.T, cfg Config) *Stock {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serves returns the serial number of what a client that asks for name is shown.
func serves(t *testing.T, s *Stock, name string) string {
	t.Helper()
	c, err := s.Certificate(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	if c == nil {
		return ""
	}
	return c.Leaf.SerialNumber.String()
}

func TestStock_aFileServesTheHostsItNames(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	_, shop := write(t, dir, "shop", now.Add(-time.Hour), now.Add(time.Hour), "shop.example.org")
	_, wild := write(t, dir, "wild", now.Add(-time.Hour), now.Add(time.Hour), "*.example.org")
	s := open(t, Config{Dir: dir})
	s.SetHosts([]string{"shop.example.org", "api.example.org", "other.test.org", "web.localhost", "127.0.0.1"})
	for name, want := range map[string]string{"api.example.org": wild, "any.example.org": wild, "API.example.org": wild, "other.test.org": "", "": ""} {
		if got := serves(t, s, name); got != want {
			t.Errorf("%q is shown %q, want %q", name, got, want)
		}
	}
	if got := serves(t, s, "shop.example.org"); got != shop && got != wild {
		t.Errorf("shop is shown %q", got)
	}
	for host, want := range map[string]bool{"shop.example.org": true, "api.example.org": true, "other.test.org": false, "web.localhost": false} {
		if s.Covers(host) != want {
			t.Errorf("covers %s: %v", host, !want)
		}
	}
	hosts := s.Hosts()
	if len(hosts) != 3 || hosts[1].Host != "other.test.org" || hosts[1].Problem == "" || hosts[0].Problem != "" || hosts[0].Source != world.CertificateFile {
		t.Errorf("hosts: %+v", hosts)
	}
}

func TestStock_takesAReplacedFileAndKeepsTheLastGoodOne(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	f, first := write(t, dir, "shop", now.Add(-time.Hour), now.Add(time.Hour), "shop.example.org")
	s := open(t, Config{Dir: dir})
	s.SetHosts([]string{"shop.example.org"})

	// In the middle of being replaced: the new certificate stands beside the old key.
	oldKey, err := os.ReadFile(f.Key)
	if err != nil {
		t.Fatal(err)
	}
	_, second := write(t, dir, "shop", now.Add(-time.Hour), now.Add(2*time.Hour), "shop.example.org")
	newKey, err := os.ReadFile(f.Key)
	if err != nil {
		t.Fatal(err)
	}
	change := func(key []byte, at time.Time) {
		if err := os.WriteFile(f.Key, key, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{f.Cert, f.Key} {
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		if !s.read() {
			t.Error("the change is not seen")
		}
		s.put()
	}
	change(oldKey, now.Add(time.Minute))
	if got := serves(t, s, "shop.example.org"); got != first {
		t.Errorf("with a key that does not fit, %s is served and not the one before", got)
	}
	if p := s.Hosts()[0].Problem; !strings.Contains(p, f.Cert) {
		t.Errorf("the problem is %q", p)
	}
	change(newKey, now.Add(2*time.Minute))
	if got := serves(t, s, "shop.example.org"); got != second || s.Hosts()[0].Problem != "" {
		t.Errorf("served %s with %q, want the new one %s", got, s.Hosts()[0].Problem, second)
	}
	if s.read() {
		t.Error("what has not changed is read again")
	}
	for _, path := range []string{f.Cert, f.Key} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if !s.read() {
		t.Error("the end of a file is not seen")
	}
	s.put()
	if s.Covers("shop.example.org") {
		t.Error("a certificate outlives its file")
	}
}

func TestStock_aWrongClockIsSaidAndLeadsNobodyToHTTPS(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	_, serial := write(t, dir, "shop", now.Add(-time.Hour), now.Add(time.Hour), "shop.example.org")
	for clock, want := range map[time.Duration]string{-48 * time.Hour: "valid from", 48 * time.Hour: "has expired", 0: ""} {
		s := open(t, Config{Dir: dir, Clock: func() time.Time { return now.Add(clock) }})
		s.SetHosts([]string{"shop.example.org"})
		p := s.Hosts()[0].Problem
		if !strings.Contains(p, want) || want == "" && p != "" {
			t.Errorf("clock %v off: %q", clock, p)
		}
		if s.Covers("shop.example.org") != (want == "") {
			t.Errorf("clock %v off: covered is %v", clock, want != "")
		}
		if serves(t, s, "shop.example.org") != serial {
			t.Error("a client whose clock is right is not served")
		}
	}
}

func TestStock_aNamedPairAnswersWhoNamesNoHostAndMustBeGood(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	f, serial := write(t, dir, "own", now.Add(-time.Hour), now.Add(time.Hour), "shop.example.org")
	if got := serves(t, open(t, Config{Pair: f}), ""); got != serial {
		t.Errorf("shown %q", got)
	}
	if err := os.WriteFile(f.Key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Pair: f}); err == nil || !strings.Contains(err.Error(), f.Cert) {
		t.Errorf("a bad pair that was named: %v", err)
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"example.org": true, "a.b.example.org.": true, "localhost": false, "web.localhost": false, "WEB.LOCALHOST.": false,
		"10.0.0.1": false, "[::1]": false, "printer.local": false, "db.internal": false, "nas": false,
	} {
		if Public(host) != want {
			t.Errorf("Public(%q) is %v", host, !want)
		}
	}
}

func TestExplain_saysWhatToDo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	limited := acme.Problem{Type: acme.ProblemTypeRateLimited, Detail: "too many certificates, retry after 2026-01-03 00:00:00 UTC: see the docs"}
	for _, c := range []struct {
		err  error
		want string
	}{
		{limited, "asked too often"},
		{acme.Problem{Type: acme.ProblemTypeDNS, Detail: "NXDOMAIN"}, "A or AAAA record"},
		{acme.Problem{Type: acme.ProblemTypeConnection}, "ports 80 and 443"},
		{acme.Problem{Type: acme.ProblemTypeCAA}, "CAA record"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, "set the clock"},
		{x509.UnknownAuthorityError{}, "--acme-ca-root"},
		{context.DeadlineExceeded, "did not finish"},
		{errors.New("as it is"), "as it is"},
	} {
		if got := explain("shop.example.org", fmt.Errorf("wrapped: %w", c.err), now); !strings.Contains(got, c.want) {
			t.Errorf("%v is explained as %q", c.err, got)
		}
	}
	if got := notBefore(limited, now); !got.Equal(time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("a CA that says until when is asked again at %s", got)
	}
	if got := notBefore(acme.Problem{Type: acme.ProblemTypeRateLimited}, now); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("a CA that does not say until when is asked again at %s", got)
	}
	if got := notBefore(errors.New("else"), now); !got.IsZero() {
		t.Errorf("another failure waits until %s", got)
	}
	for i := 1; i < 20; i++ {
		if wait(i) > wait(i+1) || wait(i) > time.Hour || wait(i) < 2*time.Minute {
			t.Errorf("after %d failures it waits %v", i, wait(i))
		}
	}
}
