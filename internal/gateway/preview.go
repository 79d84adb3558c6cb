package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"titrate/internal/rollout"
)

// Names that carry previews. A request reaches a version past the split by the
// preview host with a token in the query, the cookie or the header; or by any
// address of the workload with both headers.
const (
	HeaderVersion = "Titrate-Version" // response: the version that answered; request: the one that is asked for
	HeaderPreview = "Titrate-Preview" // request: the token
	PreviewParam  = "titrate_preview" // query parameter and cookie: the token
)

// defaultPreviewDomain is what preview hosts end in: browsers and resolvers take
// every name below it to this machine.
const defaultPreviewDomain = "localhost"

// ErrToken is returned for a preview token that lets nobody in.
var ErrToken = errors.New("the preview token is forged or expired")

// SignPreview returns a token that lets its bearer reach version v of workload k
// until a moment: its second, a dot, and an HMAC-SHA-256 under key.
func SignPreview(key []byte, k rollout.Key, v rollout.Version, until time.Time) string {
	at := until.Unix()
	return strconv.FormatInt(at, 10) + "." + base64.RawURLEncoding.EncodeToString(previewMAC(key, k, v, at))
}

// VerifyPreview returns ErrToken unless token was made by [SignPreview] under the
// same key, for the same version of the same workload, and has not expired. An
// empty key lets nobody in.
func VerifyPreview(key []byte, k rollout.Key, v rollout.Version, token string, now time.Time) error {
	if len(key) == 0 {
		return ErrToken
	}
	until, err := expiry(token)
	if err != nil || now.Unix() >= until {
		return ErrToken
	}
	// Compared as text: a token has one spelling only.
	if !hmac.Equal([]byte(token), []byte(SignPreview(key, k, v, time.Unix(until, 0)))) {
		return ErrToken
	}
	return nil
}

// expiry reads the second before the dot, in its one spelling.
func expiry(token string) (int64, error) {
	at, _, _ := strings.Cut(token, ".")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != at {
		return 0, ErrToken
	}
	return n, nil
}

func previewMAC(key []byte, k rollout.Key, v rollout.Version, until int64) []byte {
	h := hmac.New(sha256.New, key)
	// Quoted, so that no two different claims are one text.
	fmt.Fprintf(h, "titrate preview 1 %q %q %q %d %d", k.App, k.Env, k.Workload, int(v), until)
	return h.Sum(nil)
}

// PreviewHost returns the host name under which a version is reached past the
// split: "v17--orders--production--cofe.localhost". ok is false for names that do
// not fit the form; such versions are reached by the headers.
func PreviewHost(k rollout.Key, v rollout.Version, domain string) (host string, ok bool) {
	host = strings.ToLower(strings.Join([]string{v.String(), k.Workload, k.Env, k.App}, "--")) + "." + domain
	back, bv, fits := parsePreviewHost(host, domain)
	return host, fits && back == k && bv == v
}

// PreviewURL returns the address, with its token, at which a version is reached
// past the split until a moment, on a gateway at base ("http://127.0.0.1:7080").
// Empty: its names do not fit a preview host.
func PreviewURL(base string, key []byte, k rollout.Key, v rollout.Version, until time.Time) string {
	u, err := url.Parse(base)
	host, ok := PreviewHost(k, v, defaultPreviewDomain)
	if err != nil || !ok || len(key) == 0 {
		return ""
	}
	u.Host, u.Path, u.RawQuery = net.JoinHostPort(host, u.Port()), "/", PreviewParam+"="+SignPreview(key, k, v, until)
	return u.String()
}

// parsePreviewHost reads what [PreviewHost] wrote, from a host name in normal form.
func parsePreviewHost(host, domain string) (k rollout.Key, v rollout.Version, ok bool) {
	label, ok := strings.CutSuffix(host, "."+domain)
	if !ok || len(label) > 63 || strings.Contains(label, ".") {
		return k, 0, false
	}
	parts := strings.Split(label, "--")
	if len(parts) != 4 {
		return k, 0, false
	}
	for _, p := range parts {
		if p == "" || p[0] == '-' || p[len(p)-1] == '-' {
			return k, 0, false
		}
	}
	if v, ok = parseVersion(parts[0]); !ok {
		return k, 0, false
	}
	return rollout.Key{Workload: parts[1], Env: parts[2], App: parts[3]}, v, true
}
