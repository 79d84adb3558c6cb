package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/backup"
	"titrate/internal/store"
)

// a data folder as titrate leaves it when it is taken down.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	for _, part := range []string{"server", "keys", "node", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "format"), "1\n")
	write(t, filepath.Join(dir, "keys", "token"), "titrate_x\n")
	s, err := store.Open(t.Context(), store.Options{Folder: filepath.Join(dir, "server"), Reserve: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
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

func examine(t *testing.T, dir string, change func(*Config)) Report {
	t.Helper()
	cfg := Config{Dir: dir, API: "127.0.0.1:0", Gateway: "127.0.0.1:0", Env: os.Environ(), Now: time.Now}
	if change != nil {
		change(&cfg)
	}
	return Examine(t.Context(), cfg, "1.0.0")
}

func TestDoctor_findsNothingWrongWithWhatIsRight(t *testing.T) {
	t.Parallel()
	r := examine(t, folder(t), nil)
	for _, f := range r.Findings {
		if f.Level != OK && f.Level != Info && f.Check != "space" {
			t.Errorf("%+v", f)
		}
	}
	if !r.Healthy {
		t.Error("it is said to be ill")
	}
}

func TestDoctor_aFolderThatIsNotThereYetIsNoFault(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "none")
	if r := examine(t, dir, nil); !r.Healthy {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
}

func TestDoctor_saysWhatIsWrong(t *testing.T) {
	t.Parallel()
	// Each breaks one thing; want is a part of what must be said about it.
	cases := map[string]struct {
		check, want string
		level       Level
		spoil       func(t *testing.T, dir string, cfg *Config)
	}{
		"the folder is open to others": {"folder", "other users may enter", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			chmod(t, dir, 0o755)
		}},
		"it is a file": {"folder", "no folder", Fault, func(t *testing.T, dir string, cfg *Config) {
			t.Helper()
			cfg.Dir = filepath.Join(dir, "format")
		}},
		"the token is open to others": {"keys", "others can read", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			chmod(t, filepath.Join(dir, "keys", "token"), 0o644)
		}},
		"a key is empty": {"keys", "empty", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			write(t, filepath.Join(dir, "keys", "preview.key"), "")
		}},
		"a newer titrate wrote the folder": {"format", "T0704", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			write(t, filepath.Join(dir, "format"), "99\n")
		}},
		"the format is damaged": {"format", "T0703", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			write(t, filepath.Join(dir, "format"), "?\n")
		}},
		"the database is damaged": {"database", "error[", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			path := filepath.Join(dir, "server", "titrate.db")
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte(strings.Repeat("x", 4096)), 8192); err != nil {
				t.Fatal(err)
			}
		}},
		"titrate was killed": {"keeper", "was killed", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			write(t, filepath.Join(dir, "up.json"), `{"pid": 4194305, "api": "http://127.0.0.1:1", "gateway": "http://127.0.0.1:2", "version": "0.9.0"}`)
		}},
		"what is up is damaged": {"keeper", "T0706", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			write(t, filepath.Join(dir, "up.json"), `{"pid"`)
		}},
		"a port is taken": {"port", "another program", Fault, func(t *testing.T, _ string, cfg *Config) {
			t.Helper()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			cfg.Gateway = l.Addr().String()
		}},
		"an address is of another machine": {"port", "nobody can listen", Fault, func(_ *testing.T, _ string, cfg *Config) {
			cfg.API = "192.0.2.1:7070"
		}},
		"git is not installed": {"git", "not installed", Fault, func(t *testing.T, dir string, cfg *Config) {
			t.Helper()
			cfg.Env = []string{"PATH=" + dir}
		}},
		"git is too old": {"git", "too old", Fault, func(t *testing.T, dir string, cfg *Config) {
			t.Helper()
			write(t, filepath.Join(dir, "git"), "#!/bin/sh\necho git version 2.20.1\n")
			chmod(t, filepath.Join(dir, "git"), 0o755)
			cfg.Env = []string{"PATH=" + dir}
		}},
		"git says nothing": {"git", "does not say its version", Fault, func(t *testing.T, dir string, cfg *Config) {
			t.Helper()
			write(t, filepath.Join(dir, "git"), "#!/bin/sh\nexit 1\n")
			chmod(t, filepath.Join(dir, "git"), 0o755)
			cfg.Env = []string{"PATH=" + dir}
		}},
		"the clock stands at 1970": {"clock", "1970", Fault, func(_ *testing.T, _ string, cfg *Config) {
			cfg.Now = func() time.Time { return time.Unix(0, 0) }
		}},
		"nobody keeps the clock": {"clock", "nothing keeps this machine's clock right", Info, func(_ *testing.T, _ string, cfg *Config) {
			cfg.Kept = func() bool { return false }
		}},
		"the clock is an hour off": {"clock", "differ", Warn, func(_ *testing.T, _ string, cfg *Config) {
			cfg.Now = func() time.Time { return time.Now().Add(time.Hour) }
		}},
		"a certificate has ended":      {"certificates", "has ended", Fault, certified(-100*24*time.Hour, -24*time.Hour)},
		"a certificate will end":       {"certificates", "ends on", Warn, certified(-80*24*time.Hour, 10*24*time.Hour)},
		"a certificate has not begun":  {"certificates", "begins on", Fault, certified(24*time.Hour, 90*24*time.Hour)},
		"a certificate is good":        {"certificates", "1 certificates are good", OK, certified(-24*time.Hour, 89*24*time.Hour)},
		"a short certificate is fresh": {"certificates", "1 certificates are good", OK, certified(-time.Hour, 5*24*time.Hour)},
		"a backup is late":             {"backup", "the last backup is 48h0m0s old", Warn, backedUp(backup.Record{Every: 24 * time.Hour}, 48*time.Hour)},
		"a backup was not made":        {"backup", "there is no backup", Warn, backedUp(backup.Record{Every: time.Hour, Since: time.Now().Add(-3 * time.Hour)}, 0)},
		"a backup is fresh":            {"backup", "the last backup is 1h0m0s old", OK, backedUp(backup.Record{Every: 24 * time.Hour}, time.Hour)},
		"a certificate is damaged": {"certificates", "damaged", Fault, func(t *testing.T, dir string, _ *Config) {
			t.Helper()
			write(t, filepath.Join(dir, "certs", "x.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			r := examine(t, dir, func(cfg *Config) { c.spoil(t, dir, cfg) })
			found := false
			for _, f := range r.Findings {
				if f.Check != c.check || f.Level != c.level || !strings.Contains(f.What, c.want) {
					continue
				}
				found = true
				if f.Level == Fault && f.Check != "certificates" && f.Help == "" {
					t.Errorf("it does not say what to type: %+v", f)
				}
			}
			if !found || r.Healthy != (c.level != Fault) {
				t.Errorf("want %s %s %q; healthy %v, found %s", c.check, c.level, c.want, r.Healthy, listed(r))
			}
		})
	}
}

func listed(r Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n  %s %s: %s", f.Level, f.Check, f.What)
	}
	return b.String()
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// certified puts a certificate into the folder that is good from and until then.
func certified(from, until time.Duration) func(*testing.T, string, *Config) {
	return func(t *testing.T, dir string, _ *Config) {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example"}, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "certs", "shop.example.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
}

// backedUp has the last backup be that old; 0: there is none.
func backedUp(r backup.Record, ago time.Duration) func(*testing.T, string, *Config) {
	return func(t *testing.T, dir string, _ *Config) {
		t.Helper()
		if ago > 0 {
			r.Last = time.Now().Add(-ago)
		}
		if err := r.Store(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDoctor_saysNothingOfBackupsUntilItIsAskedTo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := (backup.Record{Last: time.Now().Add(-9999 * time.Hour)}).Store(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range examine(t, dir, nil).Findings {
		if f.Check == "backup" {
			t.Errorf("%+v", f)
		}
	}
}

func TestDoctor_looksForTheEngineThatIsMeant(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "d.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for asked, want := range map[string]string{
		"unix://" + socket: "a container engine answers",
		"none":             "no container engine is to be used",
	} {
		r := examine(t, folder(t), func(c *Config) { c.Env = append([]string{"TITRATE_ENGINE=" + asked}, c.Env...) })
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.What, want) }) {
			t.Errorf("with %s it says\n%s", asked, listed(r))
		}
	}
}
