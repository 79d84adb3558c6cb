package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"titrate/client"
	"titrate/internal/daemon"
)

const defaultDataHint = "titrate in $XDG_DATA_HOME or ~/.local/share"

// dataDir is the data folder that the call means.
func (s *session) dataDir() (string, error) {
	for _, dir := range []string{s.data, s.variable("TITRATE_DATA")} {
		if dir != "" {
			return filepath.Abs(dir)
		}
	}
	if base := s.variable("XDG_DATA_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "titrate"), nil
	}
	home := s.variable("HOME")
	if home == "" {
		return "", usage("HOME is not set\n  help    --data FOLDER, or TITRATE_DATA")
	}
	return filepath.Join(home, ".local", "share", "titrate"), nil
}

var urlForm = regexp.MustCompile(`^https?://[^/\s]+`)

// access is which server is asked, with what, and who said so.
type access struct {
	url, token, from string
	ca               string
	login            bool // git has been set up for it, by titrate login
}

// client asks that server.
func (a access) client() (*client.Client, error) {
	hc, err := trusting(a.ca)
	if err != nil {
		return nil, err
	}
	return &client.Client{URL: a.url, Token: a.token, HTTP: hc}, nil
}

// connect finds the server and a credential for it.
func (s *session) connect() (*client.Client, error) {
	a, err := s.access()
	if err != nil {
		return nil, err
	}
	return a.client()
}

// access finds the server: flag before environment before the one that is up on this
// machine before the last login. A token goes to the server that made it and to no
// other, unless TITRATE_TOKEN says otherwise.
func (s *session) access() (access, error) {
	a := access{url: s.server, token: s.variable("TITRATE_TOKEN"), from: "--server"}
	if a.url == "" {
		a.url, a.from = s.variable("TITRATE_SERVER"), "TITRATE_SERVER"
	}
	if a.url != "" && !urlForm.MatchString(a.url) {
		return a, usage("%s is no URL of a server\n  help    --server http://127.0.0.1:7070", a.url)
	}
	if a.token != "" && a.url != "" {
		a.from += " and TITRATE_TOKEN"
	}
	if s.data == "" && a.url != "" {
		if known, err := s.logins(); err != nil && a.token == "" {
			return a, err
		} else if err == nil {
			a.take(known, strings.TrimSuffix(a.url, "/"))
		}
	}
	if a.url != "" && a.token != "" {
		return a, nil
	}
	return s.here(a)
}

// serviceData is where the server of Titrate's package keeps its data. It belongs to a
// user of its own, who alone can look into it.
const serviceData = "/var/lib/titrate"

// noServer says that none is up for this user, and how to come to one: that of the
// package, where service is there, or one of their own.
func noServer(dir, service, user string) error {
	if _, err := os.Stat(service); err != nil || service == dir {
		return &exitError{exitFailed, fmt.Errorf("no server is up on this machine\n  where   %s\n  help    titrate up; or titrate login URL, where one is up elsewhere", dir)}
	}
	if !plainWord.MatchString(user) {
		user = "me"
	}
	return &exitError{exitFailed, fmt.Errorf("no server of yours is up on this machine; the package's has to know you first\n  where   %s; the package's is in %s\n"+
		"  help    sudo -u titrate titrate token create %s --data %s | titrate login http://%s", dir, service, user, service, daemon.DefaultAPI)}
}

// take completes what is known of a server by a login to it, if there is one.
func (a *access) take(known *logins, url string) {
	l, ok := known.of(url)
	if !ok {
		return
	}
	a.url, a.ca = l.URL, l.CA
	if a.token == "" {
		a.token, a.login, a.from = l.Token, true, "titrate login "+l.URL
	}
}

// here completes it by the server that is up on this machine, or the last login.
func (s *session) here(a access) (access, error) {
	dir, err := s.dataDir()
	if err != nil {
		return a, err
	}
	up, err := daemon.ReadRunning(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.url == "" && s.data == "":
		known, err := s.logins()
		if err != nil {
			return a, err
		}
		if len(known.list) == 0 {
			return a, noServer(dir, serviceData, s.variable("USER"))
		}
		a.from = "TITRATE_TOKEN"
		a.take(known, known.list[0].URL)
		return a, nil
	case errors.Is(err, fs.ErrNotExist) && a.url == "":
		return a, &exitError{exitFailed, fmt.Errorf("no server is up on this machine\n  where   %s\n  help    titrate up", dir)}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return a, err
	}
	if err == nil && a.url == "" {
		a.url, a.from = up.API, "the server that is up on this machine"
	}
	if err == nil && a.token == "" && a.url == up.API {
		if a.token, err = daemon.Token(dir); err != nil {
			return a, &exitError{exitSignIn, err}
		}
	}
	if a.token == "" {
		return a, &exitError{exitSignIn, fmt.Errorf("no credential for %s\n  help    titrate login %s, or set TITRATE_TOKEN", a.url, a.url)}
	}
	return a, nil
}
