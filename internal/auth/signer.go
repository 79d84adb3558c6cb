package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"time"
)

// Signers knows the keys with which requests are signed where a protocol sends no token.
// They follow from a token and a key of the server: nothing of them is kept, and they end
// with the token. Another token by the same name has others.
type Signers struct {
	Book  *Book
	Local string // the data folder's credential, which is [Local]'s; empty: it has no keys
	Key   []byte // of the server, secret
}

// AccessPrefix begins every access key's id, so that those who look for leaked ones find it.
const AccessPrefix = "TITRATE"

// Keys returns the keys that stand for the token of a name.
func (s *Signers) Keys(name string) (id, secret string, err error) {
	for _, k := range s.all() {
		if k.Name == name {
			return s.id(k), s.secret(k), nil
		}
	}
	return "", "", fmt.Errorf("%w: %s", ErrUnknown, name)
}

// Find returns whose token an access key's id stands for, also when that has expired, and
// the secret that goes with it. How long it takes tells nothing of the keys that there are.
func (s *Signers) Find(id string) (t Token, secret string, ok bool) {
	for _, k := range s.all() {
		if subtle.ConstantTimeCompare([]byte(s.id(k)), []byte(id)) == 1 {
			t, secret, ok = k.Token, s.secret(k), true
		}
	}
	return t, secret, ok
}

// Used notes that a request was signed with the keys of a name.
func (s *Signers) Used(name string, now time.Time) {
	s.Book.mu.Lock()
	defer s.Book.mu.Unlock()
	for i, k := range s.Book.tokens {
		if k.Name == name {
			s.Book.use(i, now)
		}
	}
}

// all are the tokens with their hashes.
func (s *Signers) all() []kept {
	s.Book.mu.Lock()
	defer s.Book.mu.Unlock()
	all := append([]kept{}, s.Book.tokens...)
	if s.Local != "" {
		all = append(all, kept{Token: Token{Name: Local, Role: Admin}, Hash: hash(s.Local)})
	}
	return all
}

// id has twenty letters and digits, as AWS's have.
func (s *Signers) id(k kept) string {
	sum := s.derive("id", k)
	return AccessPrefix + base32.StdEncoding.EncodeToString(sum)[:20-len(AccessPrefix)]
}

func (s *Signers) secret(k kept) string {
	return base64.RawURLEncoding.EncodeToString(s.derive("secret", k))
}

// derive is an HMAC of what names the token and nobody chooses: its hash.
func (s *Signers) derive(what string, k kept) []byte {
	h := hmac.New(sha256.New, s.Key)
	h.Write([]byte("titrate aws " + what + "\x00" + k.Name + "\x00" + k.Hash))
	return h.Sum(nil)
}
