package jwt

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// issuer is a real OIDC issuer over HTTP with a key that can be changed.
type issuer struct {
	*httptest.Server
	mu  sync.Mutex
	key *rsa.PrivateKey
	id  string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.rotate(t, "one")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: i.id, Algorithm: "RS256", Use: "sig"}}})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.id = key, id
}

func (i *issuer) request(t *testing.T, claims map[string]any) *http.Request {
	t.Helper()
	all := map[string]any{"iss": i.URL, "aud": "app", "exp": 2000, "sub": "me", "scope": "read write"}
	for k, v := range claims {
		all[k] = v
		if v == nil {
			delete(all, k)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.key, KeyID: i.id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(all)
	signed, err := signer.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := signed.CompactSerialize()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func authorizer(t *testing.T, url string) *Authorizer {
	t.Helper()
	a, err := New(Config{Issuer: url, Audience: []string{"app"}, Scopes: []string{"read"}, Now: func() time.Time { return time.Unix(1000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	a := authorizer(t, i.URL)
	for name, c := range map[string]struct {
		claims map[string]any
		status int
	}{
		"good":           {nil, 0},
		"client_id":      {map[string]any{"aud": nil, "client_id": "app"}, 0},
		"other audience": {map[string]any{"aud": "other"}, 401},
		"expired":        {map[string]any{"exp": 999}, 401},
		"other issuer":   {map[string]any{"iss": "https://other.test"}, 401},
		"not yet":        {map[string]any{"nbf": 1001}, 401},
		"no scope":       {map[string]any{"scope": "none"}, 403},
	} {
		got, err := a.Authorize(t.Context(), i.request(t, c.claims))
		var d *DeniedError
		if c.status == 0 && (err != nil || got.Claims["sub"] != "me") || c.status != 0 && (!errors.As(err, &d) || d.Status != c.status) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestAuthorize_followsARotatedKey(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	a := authorizer(t, i.URL)
	for _, id := range []string{"two", "three"} {
		if _, err := a.Authorize(t.Context(), i.request(t, nil)); err != nil {
			t.Fatal(err)
		}
		i.rotate(t, id)
	}
	if _, err := a.Authorize(t.Context(), i.request(t, nil)); err != nil {
		t.Fatal(err)
	}
}

func TestAuthorize_deniesWhenTheIssuerIsDown(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	r := i.request(t, nil)
	i.Close()
	_, err := authorizer(t, i.URL).Authorize(t.Context(), r)
	var d *DeniedError
	if !errors.As(err, &d) || d.Answer().Status != 401 || !strings.Contains(d.Reason, "does not answer") {
		t.Fatal(err)
	}
}

func TestAuthorize_doesNotHangOnASilentIssuer(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	a, err := New(Config{Issuer: silent.URL, Audience: []string{"app"}, Timeout: 20 * time.Millisecond, Now: func() time.Time { return time.Unix(1000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer x")
	var d *DeniedError
	if _, err := a.Authorize(t.Context(), r); !errors.As(err, &d) || d.Status != http.StatusUnauthorized {
		t.Fatal(err)
	}
}
