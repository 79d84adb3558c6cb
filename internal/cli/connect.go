package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"

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

// connect finds the server and a credential for it: flags before environment
// before the server that is up on this machine.
func (s *session) connect() (*client.Client, error) {
	url, token := s.server, s.variable("TITRATE_TOKEN")
	if url == "" {
		url = s.variable("TITRATE_SERVER")
	}
	if url != "" && !urlForm.MatchString(url) {
		return nil, usage("%s is no URL of a server\n  help    --server http://127.0.0.1:7070", url)
	}
	if url != "" && token != "" {
		return &client.Client{URL: url, Token: token}, nil
	}
	dir, err := s.dataDir()
	if err != nil {
		return nil, err
	}
	here, err := daemon.ReadRunning(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if url != "" {
			return nil, &exitError{exitSignIn, fmt.Errorf("no credential for %s\n  help    set TITRATE_TOKEN", url)}
		}
		return nil, &exitError{exitFailed, fmt.Errorf("no server is up on this machine\n  where   %s\n  help    titrate up", dir)}
	}
	if err != nil {
		return nil, err
	}
	if url == "" {
		url = here.API
	}
	if token == "" && url == here.API { // a token goes to the server that made it and to no other
		if token, err = daemon.Token(dir); err != nil {
			return nil, &exitError{exitSignIn, err}
		}
	}
	if token == "" {
		return nil, &exitError{exitSignIn, fmt.Errorf("no credential for %s\n  help    set TITRATE_TOKEN", url)}
	}
	return &client.Client{URL: url, Token: token}, nil
}
