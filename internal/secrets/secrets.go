// Package secrets keeps the values of secrets encrypted under the data folder,
// tells versions them by keyed digest, and takes them out of what is printed.
package secrets

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
)

// ErrUnset is wrapped when a value is asked for that is not set, or kept no longer.
var ErrUnset = errors.New("secret not set")

// maxValue keeps a value, and a handful of them, below what Linux takes for one
// string of an environment (128 KiB, MAX_ARG_STRLEN).
const maxValue = 64 << 10

// Store holds the secrets of every app and environment in one data folder. One
// process writes it at a time (the data folder's lock sees to that); its methods
// may be called from several goroutines.
type Store struct {
	dir      string
	identity *age.X25519Identity
	digests  []byte // key of the HMAC

	mu sync.Mutex // held over each read-change-write
}

// Secret is what may be shown of a secret: never its value.
type Secret struct {
	Name   string    `json:"name"`
	Digest string    `json:"digest"`
	SetAt  time.Time `json:"set_at"`
	By     string    `json:"by,omitempty"`
}

// Place names one secret.
type Place struct {
	App, Env, Name string
}

// Open opens the secrets under the data folder dir, and makes their key when
// there is neither a key nor a secret yet. It refuses a key that others may read.
func Open(dir string) (*Store, error) {
	identity, err := openKey(dir)
	if err != nil {
		return nil, err
	}
	digests, err := hkdf.Key(sha256.New, []byte(identity.String()), nil, "titrate secret digests v1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of secret digests: %w", err)
	}
	return &Store{dir: dir, identity: identity, digests: digests}, nil
}

// Set gives the secret at p a value. Versions made before keep the value they
// were made with.
func (s *Store) Set(_ context.Context, p Place, value, by string, now time.Time) error {
	if err := p.check(); err != nil {
		return err
	}
	switch {
	case value == "":
		return fmt.Errorf("set %s: the value is empty; take it away with: titrate secret unset %s", p.Name, p.Name)
	case len(value) > maxValue:
		return fmt.Errorf("set %s: the value has %d bytes, at most %d are kept", p.Name, len(value), maxValue)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("set %s: the value holds a zero byte, which no environment variable can", p.Name)
	}
	return s.change(p.App, p.Env, func(v *vault) {
		digest := s.Digest(p.Name, value)
		v.Current[p.Name] = Secret{Name: p.Name, Digest: digest, SetAt: now.UTC(), By: by}
		v.Values[digest] = value
	})
}

// Generate returns the digest of the secret at p, which is given a value of its own
// making when it has none. Calling it again changes nothing.
func (s *Store) Generate(_ context.Context, p Place, by string, now time.Time) (digest string, err error) {
	if err := p.check(); err != nil {
		return "", err
	}
	err = s.change(p.App, p.Env, func(v *vault) {
		if have, ok := v.Current[p.Name]; ok {
			digest = have.Digest
			return
		}
		value := rand.Text()
		digest = s.Digest(p.Name, value)
		v.Current[p.Name] = Secret{Name: p.Name, Digest: digest, SetAt: now.UTC(), By: by}
		v.Values[digest] = value
	})
	return digest, err
}

// Unset takes the secret at p away, or wraps [ErrUnset]. Versions made before
// keep the value they were made with.
func (s *Store) Unset(_ context.Context, p Place) error {
	if err := p.check(); err != nil {
		return err
	}
	known := false
	err := s.change(p.App, p.Env, func(v *vault) {
		_, known = v.Current[p.Name]
		delete(v.Current, p.Name)
	})
	if err == nil && !known {
		return fmt.Errorf("unset %s of %s in %s: %w", p.Name, p.App, p.Env, ErrUnset)
	}
	return err
}

// List returns what is set in an environment, by name.
func (s *Store) List(_ context.Context, app, env string) ([]Secret, error) {
	v, err := s.read(app, env)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(v.Current), func(a, b Secret) int { return strings.Compare(a.Name, b.Name) }), nil
}

// Digests returns the keyed digest of the present value of each name, or wraps
// [ErrUnset] naming all those that are not set.
func (s *Store) Digests(_ context.Context, app, env string, names []string) (map[string]string, error) {
	v, err := s.read(app, env)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(names))
	var unset []string
	for _, name := range names {
		if c, ok := v.Current[name]; ok {
			out[name] = c.Digest
		} else {
			unset = append(unset, name)
		}
	}
	if len(unset) > 0 {
		return nil, &UnsetError{App: app, Env: env, Names: unset}
	}
	return out, nil
}

// Values returns the value behind each digest, by the names given with them, or
// wraps [ErrUnset] when one is kept no longer.
func (s *Store) Values(_ context.Context, app, env string, digests map[string]string) (map[string]string, error) {
	v, err := s.read(app, env)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(digests))
	for name, digest := range digests {
		value, ok := v.Values[digest]
		if !ok {
			return nil, fmt.Errorf("value of %s that a version of %s in %s was made with: %w", name, app, env, ErrUnset)
		}
		out[name] = value
	}
	return out, nil
}

// Prune forgets the values that are neither set now nor named by keep, the
// digests that versions still hold.
func (s *Store) Prune(_ context.Context, app, env string, keep map[string]bool) error {
	return s.change(app, env, func(v *vault) {
		current := map[string]bool{}
		for _, c := range v.Current {
			current[c.Digest] = true
		}
		maps.DeleteFunc(v.Values, func(digest, _ string) bool { return !current[digest] && !keep[digest] })
	})
}

// Digest returns the keyed digest of a value: equal for equal names and values
// under one key, and of no use to guess the value without the key (R1).
func (s *Store) Digest(name, value string) string {
	mac := hmac.New(sha256.New, s.digests)
	mac.Write([]byte(name))
	mac.Write([]byte{0})
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil))
}

// UnsetError says which secrets a version needs that are not set.
type UnsetError struct {
	App, Env string
	Names    []string
}

// Error names the secrets and how to set them.
func (e *UnsetError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "error[%s]: %s in %s needs secrets that are not set: %s", codeUnset, e.App, e.Env, strings.Join(e.Names, ", "))
	for _, name := range e.Names {
		fmt.Fprintf(&b, "\n  help    titrate secret set %s -a %s -e %s", name, e.App, e.Env)
	}
	return b.String()
}

// Unwrap makes it an [ErrUnset].
func (e *UnsetError) Unwrap() error { return ErrUnset }

// NameError says that something cannot have a name.
type NameError struct{ Name, What string }

// Error names it, and what a name may be.
func (e *NameError) Error() string {
	return fmt.Sprintf("error[%s]: %q cannot be %s", codeName, e.Name, e.What)
}

var (
	placeName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
)

func (p Place) check() error {
	if !secretName.MatchString(p.Name) {
		return &NameError{p.Name, "the name of a secret\n  help    letters, digits and _, as for an environment variable: DATABASE_URL"}
	}
	return checkEnv(p.App, p.Env)
}

// checkEnv keeps names from becoming paths.
func checkEnv(app, env string) error {
	for _, n := range []string{app, env} {
		if !placeName.MatchString(n) {
			return &NameError{n, "the name of an app or environment"}
		}
	}
	return nil
}

// vault is the content of one file: the secrets of an app in an environment.
type vault struct {
	Format  int               `json:"format"`
	Current map[string]Secret `json:"current"` // by name
	Values  map[string]string `json:"values"`  // by digest
}

func (s *Store) path(app, env string) string {
	return filepath.Join(s.dir, "secrets", app, env+".age")
}

func (s *Store) change(app, env string, edit func(*vault)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.read(app, env)
	if err != nil {
		return err
	}
	edit(&v)
	path := s.path(app, env)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make room for secrets: %w", err)
	}
	return writeSealed(path, s.identity.Recipient(), v)
}

func (s *Store) read(app, env string) (vault, error) {
	if err := checkEnv(app, env); err != nil {
		return vault{}, err
	}
	return readSealed(s.path(app, env), s.identity)
}
