// Package jwt asks an OIDC issuer's keys whether a request carries a token
// that an HTTP API's JWT authorizer would let through.
//
// Source: the AWS page "Control access to HTTP APIs with JWT authorizers in API
// Gateway".
package jwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"titrate/internal/httpevent"
)

// Config says which tokens are let through.
type Config struct {
	Issuer   string
	Audience []string // one of them must be in aud, or be client_id where aud is absent
	Scopes   []string // one of them must be in scope or scp; none asks for none
	// Source is the identity source, "$request.header.Authorization" when empty.
	Source  string
	Timeout time.Duration // for each question to the issuer; 5 s when zero
	Client  *http.Client  // nil: the default one
	Now     func() time.Time
}

// DeniedError says with which status a request was refused. Reason is for the
// log and never holds the token.
type DeniedError struct {
	Status int // 401 or 403
	Reason string
}

// Error tells the reason.
func (e *DeniedError) Error() string { return "authorize the request: " + e.Reason }

// Answer is what the client gets, as API Gateway words it.
func (e *DeniedError) Answer() httpevent.Answer {
	if e.Status == http.StatusForbidden {
		return httpevent.Message(e.Status, "Forbidden")
	}
	a := httpevent.Message(e.Status, "Unauthorized")
	a.Header.Set("WWW-Authenticate", "Bearer")
	return a
}

// Authorizer checks tokens. Safe for many requests at once.
type Authorizer struct {
	config Config
	header string

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
}

// New makes an authorizer; it does not ask the issuer yet.
func New(c Config) (*Authorizer, error) {
	if c.Issuer == "" || len(c.Audience) == 0 || c.Now == nil {
		return nil, errors.New("the JWT authorizer needs an issuer, an audience and a clock: set issuer and audience")
	}
	if c.Source == "" {
		c.Source = "$request.header.Authorization"
	}
	header, ok := strings.CutPrefix(c.Source, "$request.header.")
	if !ok || header == "" {
		return nil, fmt.Errorf("identity source %q is not supported: write $request.header.NAME", c.Source)
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	client := *c.Client
	// The key set outlives a request, so its questions need a limit of their own.
	client.Timeout = c.Timeout
	c.Client = &client
	return &Authorizer{config: c, header: header}, nil
}

// Authorize checks the request's token, or returns a DeniedError. It asks the
// issuer for its keys when it does not know the token's key yet.
func (a *Authorizer) Authorize(ctx context.Context, r *http.Request) (*httpevent.Authorized, error) {
	raw := strings.TrimSpace(r.Header.Get(a.header))
	if len(raw) > 7 && strings.EqualFold(raw[:7], "Bearer ") {
		raw = strings.TrimSpace(raw[7:])
	}
	if raw == "" {
		return nil, denied("header %s has no token", a.header)
	}
	ctx, cancel := context.WithTimeout(ctx, a.config.Timeout)
	defer cancel()
	verifier, err := a.discover(ctx)
	if err != nil {
		return nil, denied("issuer %s does not answer: %v", a.config.Issuer, err)
	}
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, denied("the token is not valid: %v", err)
	}
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return nil, denied("the claims are malformed: %v", err)
	}
	audience := token.Audience
	if len(audience) == 0 {
		audience = []string{text(claims["client_id"])}
	}
	if !overlap(audience, a.config.Audience) {
		return nil, denied("audience %q is not one of %q", audience, a.config.Audience)
	}
	if nbf, ok := claims["nbf"]; ok {
		var at float64
		if json.Unmarshal(nbf, &at) != nil || time.Unix(int64(at), 0).After(a.config.Now()) {
			return nil, denied("the token is not valid yet (nbf %s)", nbf)
		}
	}
	has := scopes(claims)
	if len(a.config.Scopes) > 0 && !overlap(has, a.config.Scopes) {
		return nil, &DeniedError{http.StatusForbidden, fmt.Sprintf("the token's scopes %q have none of %q", has, a.config.Scopes)}
	}
	out := &httpevent.Authorized{Claims: map[string]string{}, Scopes: a.config.Scopes}
	for name, value := range claims {
		out.Claims[name] = text(value)
	}
	return out, nil
}

// discover reads the issuer's configuration once; a failure is not kept.
func (a *Authorizer) discover(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	a.mu.Lock()
	verifier := a.verifier
	a.mu.Unlock()
	if verifier != nil {
		return verifier, nil
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, a.config.Client), a.config.Issuer)
	if err != nil {
		return nil, err
	}
	// The provider's keys come without the end of this request's context.
	verifier = provider.Verifier(&oidc.Config{SkipClientIDCheck: true, Now: a.config.Now})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verifier = verifier
	return verifier, nil
}

func scopes(claims map[string]json.RawMessage) []string {
	var out []string
	for _, name := range []string{"scope", "scp"} {
		var list []string
		if json.Unmarshal(claims[name], &list) != nil {
			list = strings.Fields(text(claims[name]))
		}
		out = append(out, list...)
	}
	return out
}

// text returns a string claim as its text and any other as its JSON.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func denied(format string, args ...any) error {
	return &DeniedError{http.StatusUnauthorized, fmt.Sprintf(format, args...)}
}
