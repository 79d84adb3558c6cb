package auth

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"titrate/internal/durable"
)

// The codes of what can be wrong with tokens. Once given, a code keeps its meaning.
const (
	codeName    = "T0807" // a name that no token can have, or that one has already
	codeDamaged = "T0808" // the file of tokens cannot be read
)

// Local is the name of whoever holds the token of the data folder: no other token
// has it.
const Local = "local"

// Prefix begins every token, so that those who look for leaked ones find it.
const Prefix = "titrate_"

// Token is what is told of a token: never the token.
type Token struct {
	Name    string    `json:"name"`
	Made    time.Time `json:"made"`
	By      string    `json:"by"` // who made it
	Role    Role      `json:"role,omitempty"`
	Expires time.Time `json:"expires"` // zero: never
	Used    time.Time `json:"used"`    // to the minute; zero: never
}

// Expired reports whether it is no longer good at a time.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// ErrUnknown is returned when there is no token by a name.
var ErrUnknown = errors.New("no such token")

// NameError says that a token cannot have a name.
type NameError struct{ Name, Why, Help string }

// Error names it and what to type.
func (e *NameError) Error() string {
	return fmt.Sprintf("error[%s]: %q: %s\n  help    %s", codeName, e.Name, e.Why, e.Help)
}

// kept is a token as the file holds it.
type kept struct {
	Token
	Hash string `json:"hash"` // SHA-256: what is hashed has 128 random bits and needs no salt
}

// Book holds the tokens of one server. Its methods may be called from any goroutine.
type Book struct {
	path string // of the admins', which a program from before roles reads, too
	some string // of the others', which it must not take for admins' and never sees
	log  *slog.Logger

	mu     sync.Mutex
	tokens []kept // by name
}

const format = 1

type file struct {
	Format int    `json:"format"`
	Tokens []kept `json:"tokens"`
}

// Open reads the tokens at path, and beside it those that may not everything; there
// may be none yet. One from before there were roles is an admin's, as it was.
func Open(path string, log *slog.Logger) (*Book, error) {
	b := &Book{path: path, some: strings.TrimSuffix(path, ".json") + "-roles.json", log: log}
	admins, err := read(b.path)
	if err != nil {
		return nil, err
	}
	for i := range admins {
		admins[i].Role = Admin
	}
	others, err := read(b.some)
	if err != nil {
		return nil, err
	}
	b.tokens = slices.SortedFunc(slices.Values(append(admins, others...)), byName)
	return b, nil
}

func byName(x, y kept) int { return cmp.Compare(x.Name, y.Name) }

func read(path string) ([]kept, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	var f file
	if err = json.Unmarshal(text, &f); err == nil && f.Format != format {
		err = fmt.Errorf("format %d, this program knows %d", f.Format, format)
	}
	if err != nil {
		return nil, fmt.Errorf("error[%s]: the tokens cannot be read: %w\n  where   %s\n  help    put the file back from a backup; or remove it, and nobody comes in but from this machine", codeDamaged, err, path)
	}
	return f.Tokens, nil
}

// nameForm is what a token may be called; what acts is named so in logs and history.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$`)

// Create makes a token of that name, role, maker and end, and returns it: the only
// time that anybody sees it.
func (b *Book) Create(t Token, now time.Time) (Token, string, error) {
	name := t.Name
	if !nameForm.MatchString(name) || name == Local {
		return Token{}, "", &NameError{name, "no token can be called so", "letters, digits, . _ - and @, at most 63, as in anna@laptop or ci"}
	}
	if !t.Role.May(Viewer) {
		return Token{}, "", fmt.Errorf("%q: %w", t.Role, ErrRole)
	}
	secret := Prefix + rand.Text()
	k := kept{Token: Token{Name: name, Made: now.UTC(), By: t.By, Role: t.Role, Expires: t.Expires.UTC()}, Hash: hash(secret)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.tokens, func(o kept) bool { return o.Name == name }) {
		return Token{}, "", &NameError{name, "there is a token by that name", "titrate token revoke " + name + " ends it; or choose another name"}
	}
	if err := b.write(append(slices.Clone(b.tokens), k)); err != nil {
		return Token{}, "", err
	}
	return k.Token, secret, nil
}

// Revoke ends a token at once.
func (b *Book) Revoke(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.tokens, func(o kept) bool { return o.Name == name })
	if i < 0 {
		return fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	return b.write(slices.Delete(slices.Clone(b.tokens), i, i+1))
}

// List tells of all tokens, by name.
func (b *Book) List() []Token {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Token, 0, len(b.tokens))
	for _, k := range b.tokens {
		out = append(out, k.Token)
	}
	return out
}

// usedWithin is how exactly the last use is kept: each use would be a write.
const usedWithin = time.Minute

// Who finds whose token it is, also when it has expired. How long it takes tells
// nothing of the tokens that there are.
func (b *Book) Who(secret string, now time.Time) (t Token, ok bool) {
	got := []byte(hash(secret))
	b.mu.Lock()
	defer b.mu.Unlock()
	found := -1
	for i, k := range b.tokens {
		if subtle.ConstantTimeCompare(got, []byte(k.Hash)) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Token{}, false
	}
	b.use(found, now)
	return b.tokens[found].Token, true
}

// use notes a use of a token. Guarded by mu.
func (b *Book) use(i int, now time.Time) {
	if k := &b.tokens[i]; !k.Expired(now) && now.Sub(k.Used) >= usedWithin {
		k.Used = now.UTC().Truncate(time.Second)
		if err := b.write(b.tokens); err != nil { // whoever holds it comes in all the same
			b.log.Warn("the last use of a token is not kept", slog.String("token", k.Name), slog.Any("error", err))
		}
	}
}

// write replaces the files, and what is held. Guarded by mu.
func (b *Book) write(tokens []kept) error {
	slices.SortFunc(tokens, byName)
	// First those of fewer rights: a token is never an admin's for want of the second.
	for _, path := range []string{b.some, b.path} {
		text, err := json.MarshalIndent(file{format, slices.DeleteFunc(slices.Clone(tokens), func(k kept) bool { return (k.Role == Admin) != (path == b.path) })}, "", "  ")
		if err != nil {
			return fmt.Errorf("write the tokens: %w", err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("write the tokens: %w", err)
		}
		if err := durable.WriteFile(path, append(text, '\n')); err != nil {
			return err
		}
	}
	b.tokens = tokens
	return nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
