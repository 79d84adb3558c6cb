// Package daemon wires the parts into the processes of `titrate up`: the keeper's
// two children, server and node, by hand and from top to bottom. It decides
// nothing.
package daemon

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"titrate/internal/backup"
	"titrate/internal/durable"
)

// folderFormat is the format of the data folder as a whole. A folder of a newer
// format is refused: this program would not understand what it finds.
const folderFormat = 1

// folder is the data folder.
type folder string

func (f folder) at(elem ...string) string {
	return filepath.Join(append([]string{string(f)}, elem...)...)
}
func (f folder) store() string      { return f.at("server") }
func (f folder) git() string        { return f.at("git") }
func (f folder) artifacts() string  { return f.at("artifacts") }
func (f folder) logs() string       { return f.at("logs") }
func (f folder) keys() string       { return f.at("keys") }
func (f folder) node() string       { return f.at("node") }
func (f folder) nodeSocket() string { return f.at("node", "node.sock") }
func (f folder) tokens() string     { return f.at("keys", "tokens.json") }
func (f folder) running() string    { return f.at("up.json") }

// TokenPath is where the local user's token stands in the data folder dir.
func TokenPath(dir string) string { return folder(dir).at("keys", "token") }

// nodeTokenPath is where the token stands with which server, node and keeper know
// each other.
func (f folder) nodeTokenPath() string { return f.at("keys", "node.token") }

// nodeToken reads it.
func (f folder) nodeToken() (string, error) { return readToken(f.nodeTokenPath()) }

// prepare makes the data folder and what must be in it.
func (f folder) prepare() error {
	for _, dir := range []string{string(f), f.store(), f.git(), f.artifacts(), f.logs(), f.keys(), f.node()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the data folder: %w", err)
		}
	}
	if err := os.Chmod(string(f), 0o700); err != nil {
		return fmt.Errorf("protect the data folder: %w", err)
	}
	if err := f.checkFormat(); err != nil {
		return err
	}
	if err := makeToken(f.nodeTokenPath(), "node_"); err != nil {
		return err
	}
	return makeToken(TokenPath(string(f)), "titrate_")
}

func (f folder) checkFormat() error {
	n, err := f.readFormat()
	if err == nil && n == 0 {
		return durable.WriteFile(f.at("format"), []byte(strconv.Itoa(folderFormat)+"\n"))
	}
	return err
}

// readFormat is the data folder's format, 0 where there is none yet, and an error
// where this program must not go on in it.
func (f folder) readFormat() (int, error) {
	if _, err := os.Lstat(f.at(backup.Unfinished)); err == nil {
		return 0, fmt.Errorf("error[T0735]: a backup was being put back into the data folder, and that was ended\n  where   %s\n  help    titrate server restore FILE --data %s begins anew", f, f)
	}
	path := f.at("format")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the data folder's format: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	switch {
	case err != nil || n < 1:
		return 0, fmt.Errorf("error[T0703]: the data folder's format cannot be read\n  where   %s\n  saw     %q\n  help    if nothing else is damaged: echo %d > %s", path, b, folderFormat, path)
	case n > folderFormat:
		return 0, fmt.Errorf("error[T0704]: the data folder was written by a newer titrate\n  where   %s\n  saw     format %d, this program knows %d\n  help    run the newer titrate", path, n, folderFormat)
	}
	return n, nil
}

// makeToken makes a token unless there is one, and refuses one that others can
// read.
func makeToken(path, prefix string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return durable.WriteFile(path, []byte(prefix+rand.Text()+"\n"))
	case err != nil:
		return fmt.Errorf("look at the token: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("error[T0705]: others can read the token\n  where   %s, mode %04o\n  help    if nobody has: chmod 600 %s; else remove it, and the next titrate up makes a new one", path, info.Mode().Perm(), path)
	}
	_, err = readToken(path)
	return err
}

// Token reads the local user's token in the data folder dir.
func Token(dir string) (string, error) { return readToken(TokenPath(dir)) }

func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("error[T0708]: the token is empty\n  where   %s\n  help    rm %s, then titrate up --replace makes a new one", path, path)
	}
	return token, nil
}

// Running says what is up on a data folder.
type Running struct {
	PID     int    `json:"pid"`     // of the keeper
	API     string `json:"api"`     // URL
	Gateway string `json:"gateway"` // URL
	Version string `json:"version"`
	Program string `json:"program"` // path of the keeper's
	// Supervised says that a service manager watches the keeper's process: the next
	// keeper must be the same process.
	Supervised bool      `json:"supervised,omitempty"`
	Started    time.Time `json:"started"`
}

// ReadRunning reads what is up on the data folder dir, or was when its keeper
// was killed. It wraps fs.ErrNotExist when nothing is.
func ReadRunning(dir string) (Running, error) {
	var r Running
	b, err := os.ReadFile(folder(dir).running())
	if err != nil {
		return r, fmt.Errorf("look for a running titrate: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil || r.PID < 1 || r.API == "" || r.Gateway == "" {
		return Running{}, fmt.Errorf("error[T0706]: what is up cannot be read: the file is damaged\n  where   %s\n  help    titrate up --replace writes it anew, and nothing stops; titrate down works without it", folder(dir).running())
	}
	return r, nil
}
