package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"titrate/internal/auth"
)

type whoKey struct{}

// Who is the person behind a request, for handlers beside the API.
func Who(r *http.Request) string { return who(r.Context()) }

// visitor is the person behind a request, by the token.
type visitor struct {
	name    string
	role    auth.Role // what the token is good for
	expires time.Time // zero: never
	secure  bool      // it came over TLS, by the gateway
}

// who is the person behind a request that [door.authenticate] let through.
func who(ctx context.Context) string { return whoever(ctx).name }

func whoever(ctx context.Context) visitor {
	v, _ := ctx.Value(whoKey{}).(visitor)
	return v
}

// HeaderGateway carries the secret by which the gateway says that a request came
// over TLS to the server's own host, from the address in X-Forwarded-For.
const HeaderGateway = "Titrate-Gateway"

// door decides who comes in.
type door struct {
	local [sha256.Size]byte // of the data folder's token
	cfg   *Config
}

func newDoor(cfg *Config) *door {
	// Hashes have one length, so that the comparison takes one time.
	return &door{sha256.Sum256([]byte(cfg.Token)), cfg}
}

// authenticate lets a request through that carries a token, as a bearer token or as
// the password of basic authentication, which is what git sends. Everything else
// is answered 401, whatever it asks for; from where there were too many of those,
// 429 and nobody looks at what it carries.
func (d *door) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		from, far, secure := d.from(r)
		r.Header.Del(HeaderGateway)
		if d.cfg.Limit != nil && far {
			if wait := d.cfg.Limit.Wait(from, now); wait > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
				writeProblem(w, problem(http.StatusTooManyRequests, "T0806", "too many wrong credentials from "+from.String()))
				return
			}
		}
		secret := credential(r)
		v, why := d.who(secret, now)
		if why != "" {
			if d.cfg.Limit != nil && far && secret != "" {
				d.cfg.Limit.Failed(from, now)
			}
			w.Header().Add("WWW-Authenticate", `Basic realm="titrate"`)
			w.Header().Add("WWW-Authenticate", `Bearer`)
			writeProblem(w, problem(http.StatusUnauthorized, "T0801", why))
			return
		}
		v.secure = secure
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, v)))
	})
}

// who finds whose token it is; why says why nobody's.
func (d *door) who(secret string, now time.Time) (v visitor, why string) {
	if secret == "" {
		return v, "a credential is needed"
	}
	got := sha256.Sum256([]byte(secret))
	local := d.cfg.Token != "" && subtle.ConstantTimeCompare(got[:], d.local[:]) == 1
	t, known := d.cfg.Tokens.Who(secret, now)
	switch {
	case local:
		return visitor{name: auth.Local, role: auth.Admin}, ""
	case known && t.Expired(now):
		return v, fmt.Sprintf("the token %s has expired at %s", t.Name, t.Expires.Format("2006-01-02 15:04 UTC"))
	case known:
		return visitor{name: t.Name, role: t.Role, expires: t.Expires}, ""
	}
	return v, "the token is wrong"
}

func (d *door) from(r *http.Request) (at netip.Addr, far, secure bool) {
	return From(r, d.cfg.Gateway)
}

// From is where a request comes from, whether that is not this machine, and whether it
// came over TLS, by what the gateway shows.
func From(r *http.Request, gateway string) (at netip.Addr, far, secure bool) {
	got, want := sha256.Sum256([]byte(r.Header.Get(HeaderGateway))), sha256.Sum256([]byte(gateway))
	if gateway != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
		at, err := netip.ParseAddr(r.Header.Get("X-Forwarded-For"))
		return at, err == nil, true
	}
	on, err := netip.ParseAddrPort(r.RemoteAddr)
	return on.Addr(), err == nil && !on.Addr().Unmap().IsLoopback(), false
}

func credential(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// sameSite refuses a request that a page of another site made a browser send: it
// would carry no token of ours, but there is no reason to look.
func sameSite(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(next)
}
