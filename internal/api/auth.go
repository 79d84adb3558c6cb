package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// localUser is who holds the token of the data folder. People and roles come
// with sign-in.
const localUser = "local"

type whoKey struct{}

// Who is the person behind a request, for handlers beside the API.
func Who(r *http.Request) string { return who(r.Context()) }

// who is the person behind a request that [authenticate] let through.
func who(ctx context.Context) string {
	name, _ := ctx.Value(whoKey{}).(string)
	return name
}

// authenticate lets a request through that carries token, as a bearer token or as
// the password of basic authentication, which is what git sends. Everything else
// is answered 401, whatever it asks for.
func authenticate(token string, next http.Handler) http.Handler {
	// Hashes have one length, so that the comparison takes one time.
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(credential(r)))
		if token == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Add("WWW-Authenticate", `Basic realm="titrate"`)
			w.Header().Add("WWW-Authenticate", `Bearer`)
			text := "a credential is needed"
			if credential(r) != "" {
				text = "the token is wrong"
			}
			writeProblem(w, problem(http.StatusUnauthorized, "T0801", text))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, localUser)))
	})
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
