package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"titrate/internal/durable"

	"filippo.io/age"
)

// The codes of what can be wrong with secrets. Once given, a code keeps its meaning.
const (
	codeUnset   = "T0600" // a version needs a secret that is not set
	codeName    = "T0601" // a name that no secret, app or environment can have
	codeKeyMode = "T0602" // others may read the key
	codeKeyGone = "T0603" // there are secrets, but their key is missing or broken
	codeCorrupt = "T0604" // a file of secrets cannot be read
)

const (
	format   = 1
	previous = ".previous" // the generation before
)

// openKey reads the key, or makes it when nothing is encrypted yet: a new key
// beside old secrets would only hide that the old one is gone.
func openKey(dir string) (*age.X25519Identity, error) {
	path := filepath.Join(dir, "keys", "secrets.key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if kept, _ := fs.Glob(os.DirFS(filepath.Join(dir, "secrets")), "*/*.age*"); len(kept) > 0 {
			return nil, fmt.Errorf("error[%s]: the key of the secrets is gone\n  where   %s\n  saw     %d encrypted files that only it opens\n"+
				"  help    put the file back from a backup; or move %s away and set the secrets anew", codeKeyGone, path, len(kept), filepath.Join(dir, "secrets"))
		}
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of the secrets: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key of the secrets: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("error[%s]: others may read the key of the secrets\n  where   %s\n  saw     mode %04o, not 0600\n  help    chmod 600 %s",
			codeKeyMode, path, mode, path)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if identity, err := age.ParseX25519Identity(line); err == nil {
			return identity, nil
		}
	}
	return nil, fmt.Errorf("error[%s]: the key of the secrets cannot be read\n  where   %s\n  saw     no line that begins AGE-SECRET-KEY-1\n"+
		"  help    put the file back from a backup", codeKeyGone, path)
}

func makeKey(path string) (*age.X25519Identity, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for keys: %w", err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make the key of the secrets: %w", err)
	}
	text := "# Opens every secret of this data folder. Keep a copy where the backups are not.\n" + identity.String() + "\n"
	if err := durable.WriteFile(path, []byte(text)); err != nil {
		return nil, fmt.Errorf("make the key of the secrets: %w", err)
	}
	return identity, nil
}

// writeSealed replaces a file of secrets and keeps the generation before beside it.
func writeSealed(path string, to age.Recipient, v vault) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("encrypt secrets: %w", err)
	}
	if old, err := os.ReadFile(path); err == nil {
		if err := durable.WriteFile(path+previous, old); err != nil {
			return fmt.Errorf("keep the secrets of before: %w", err)
		}
	}
	return durable.WriteFile(path, sealed.Bytes())
}

// readSealed reads a file of secrets; one that does not exist is empty. What
// cannot be read is never overwritten, because every change reads first.
func readSealed(path string, by age.Identity) (vault, error) {
	v := vault{Format: format, Current: map[string]Secret{}, Values: map[string]string{}}
	sealed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return vault{}, fmt.Errorf("read secrets: %w", err)
	}
	plain, err := open(sealed, by)
	if err == nil {
		err = json.Unmarshal(plain, &v)
	}
	if err == nil && v.Format != format {
		err = fmt.Errorf("format %d, this titrate knows %d", v.Format, format)
	}
	if err != nil {
		return vault{}, &CorruptError{Path: path, Err: err}
	}
	return v, nil
}

func open(sealed []byte, by age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), by)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// CorruptError says that a file of secrets cannot be read. It is left as it is.
type CorruptError struct {
	Path string
	Err  error
}

// Error says where, what was seen and what to type.
func (e *CorruptError) Error() string {
	help := "put the file back from a backup"
	if _, err := os.Stat(e.Path + previous); err == nil {
		help = "the generation before is kept: cp " + e.Path + previous + " " + e.Path
	}
	return fmt.Sprintf("error[%s]: the secrets cannot be read; nothing was changed\n  where   %s\n  saw     %v\n  help    %s", codeCorrupt, e.Path, e.Err, help)
}

// Unwrap returns what was seen.
func (e *CorruptError) Unwrap() error { return e.Err }
