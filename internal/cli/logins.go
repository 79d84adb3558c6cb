package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"titrate/internal/durable"
)

// login is a server elsewhere that this user has signed in to.
type login struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	Name  string `json:"name"`         // whose token it is
	CA    string `json:"ca,omitempty"` // file with who signs its certificate; empty: the system knows
}

// logins are all of them, the newest first. They are in a file that its owner alone
// can read.
type logins struct {
	path string
	list []login
}

type loginFile struct {
	Format  int     `json:"format"`
	Servers []login `json:"servers"`
}

const loginFormat = 1

// configDir is this user's folder of settings.
func (s *session) configDir() (string, error) {
	if base := s.variable("XDG_CONFIG_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "titrate"), nil
	}
	home := s.variable("HOME")
	if home == "" {
		return "", usage("HOME is not set\n  help    set it, or XDG_CONFIG_HOME")
	}
	return filepath.Join(home, ".config", "titrate"), nil
}

func (s *session) logins() (*logins, error) {
	dir, err := s.configDir()
	if err != nil {
		return nil, err
	}
	l := &logins{path: filepath.Join(dir, "logins.json")}
	text, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read where you are signed in: %w", err)
	}
	if info, err := os.Stat(l.path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("error[T0726]: others can read your tokens\n  where   %s, mode %04o\n  help    if nobody has: chmod 600 %s; else titrate token revoke, and sign in anew", l.path, info.Mode().Perm(), l.path)
	}
	var f loginFile
	if err = json.Unmarshal(text, &f); err == nil && f.Format != loginFormat {
		err = fmt.Errorf("format %d, this program knows %d", f.Format, loginFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("error[T0726]: where you are signed in cannot be read: %w\n  where   %s\n  help    remove it and sign in anew", err, l.path)
	}
	l.list = f.Servers
	return l, nil
}

// of finds the login to a server.
func (l *logins) of(url string) (login, bool) {
	i := slices.IndexFunc(l.list, func(x login) bool { return x.URL == url })
	if i < 0 {
		return login{}, false
	}
	return l.list[i], true
}

// without is the list less one server.
func (l *logins) without(url string) []login {
	return slices.DeleteFunc(slices.Clone(l.list), func(x login) bool { return x.URL == url })
}

func (l *logins) write(list []login) error {
	text, err := json.MarshalIndent(loginFile{loginFormat, list}, "", "  ")
	if err != nil {
		return fmt.Errorf("keep where you are signed in: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return fmt.Errorf("keep where you are signed in: %w", err)
	}
	if err := durable.WriteFile(l.path, append(text, '\n')); err != nil {
		return err
	}
	l.list = list
	return nil
}

// serverURL is the one form of a server's URL in which it is kept and compared. What
// is no URL of a server, or would send a token in the clear, is refused.
func serverURL(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", usage("%s is no URL of a server\n  help    titrate login https://titrate.example.org", text)
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		return "https://" + strings.TrimSuffix(host, ":443"), nil
	case "http":
		if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
			return "http://" + host, nil
		}
		return "", usage("a token would go to %s in the clear\n  help    titrate login https://%s; the server has one with titrate up --https :443 --host NAME", text, u.Hostname())
	}
	return "", usage("%s is no URL of a server: http and https only\n  help    titrate login https://titrate.example.org", text)
}

// trusting is an HTTP client that also takes who signs by a file; nil without one.
func trusting(ca string) (*http.Client, error) {
	if ca == "" {
		return nil, nil //nolint:nilnil // the standard client
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read who signs the server's certificate: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, usage("there is no certificate in PEM form\n  where   %s\n  help    --ca FILE names who signs the server's certificate", ca)
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: tr}, nil
}

// unreached says why a server could not be asked, and what to do about it.
func unreached(server string, err error) error {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var op *net.OpError
	cert := func(what, help string) error {
		return fmt.Errorf("error[T0724]: %s shows a certificate that cannot be trusted: %s\n  saw     %w\n  help    %s", server, what, err, help)
	}
	switch {
	case errors.As(err, &unknown):
		return cert("nobody known here has signed it", "--ca FILE names who signs it, if that is a CA of your own; otherwise somebody stands between")
	case errors.As(err, &name):
		return cert("it is for another host", "use the name that titrate up --host has; titrate certificate ls on the server shows what it serves")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return cert("it is not valid now", "look at the clock of this machine (date), then at titrate certificate ls on the server")
	case errors.As(err, &invalid):
		return cert("it is not one of a server", "titrate certificate ls on the server shows what it serves")
	case errors.As(err, &alert):
		return fmt.Errorf("error[T0724]: %s serves no such host over TLS\n  saw     %w\n  help    titrate up --https :443 --host NAME on the server; titrate certificate ls there says whether it has a certificate", server, err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("error[T0724]: %s speaks no TLS\n  saw     %w\n  help    name the port of titrate up --https", server, err)
	case errors.As(err, &dns):
		return fmt.Errorf("error[T0723]: %s is not found\n  saw     %w\n  help    look at the name, and at its A or AAAA record", server, dns)
	case errors.As(err, &op):
		return fmt.Errorf("error[T0723]: %s cannot be reached\n  saw     %w\n  help    is titrate up there, and its HTTPS port let through?", server, op)
	}
	return err
}
