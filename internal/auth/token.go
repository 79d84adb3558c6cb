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
	By      string    `json:"by"`      // who made it
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
	path string
	log  *slog.Logger

	mu     sync.Mutex
	tokens []kept // by name
}

const format = 1

type file struct {
	Format int    `json:"format"`
	Tokens []kept `json:"tokens"`
}

// Open reads the tokens at path; there may be none yet.
func Open(path string, log *slog.Logger) (*Book, error) {
	b := &Book{path: path, log: log}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
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
	b.tokens = f.Tokens
	return b, nil
}

// nameForm is what a token may be called; what acts is named so in logs and history.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$`)

// Create makes a token and returns it: the only time that anybody sees it.
func (b *Book) Create(name, by string, now, expires time.Time) (Token, string, error) {
	if !nameForm.MatchString(name) || name == Local {
		return Token{}, "", &NameError{name, "no token can be called so", "letters, digits, . _ - and @, at most 63, as in anna@laptop or ci"}
	}
	secret := Prefix + rand.Text()
	k := kept{Token: Token{Name: name, Made: now.UTC(), By: by, Expires: expires.UTC()}, Hash: hash(secret)}
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
	if k := &b.tokens[found]; !k.Expired(now) && now.Sub(k.Used) >= usedWithin {
		k.Used = now.UTC().Truncate(time.Second)
		if err := b.write(b.tokens); err != nil { // whoever holds it comes in all the same
			b.log.Warn("the last use of a token is not kept", slog.String("token", k.Name), slog.Any("error", err))
		}
	}
	return b.tokens[found].Token, true
}

// write replaces the file, and what is held. Guarded by mu.
func (b *Book) write(tokens []kept) error {
	slices.SortFunc(tokens, func(x, y kept) int { return cmp.Compare(x.Name, y.Name) })
	text, err := json.MarshalIndent(file{format, tokens}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the tokens: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o700); err != nil {
		return fmt.Errorf("write the tokens: %w", err)
	}
	if err := durable.WriteFile(b.path, append(text, '\n')); err != nil {
		return err
	}
	b.tokens = tokens
	return nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
