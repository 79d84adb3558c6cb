package events

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"net/http"
	"strings"

	"titrate/internal/sigv4"
	"titrate/internal/world"
)

// Variables are what a process of an app's environment is given to send events with, by
// AWS's SDKs or with a token, to the handler that listens at addr (HOST:PORT, or its URL);
// none if that is empty. They follow from the key, and open this environment only. The
// caller leaves out what the user has set.
func (e *Events) Variables(app, env, addr string) map[string]string {
	if addr == "" {
		return nil
	}
	at := "http://" + strings.TrimSuffix(strings.TrimPrefix(addr, "http://"), "/")
	n := name{app, env}
	return map[string]string{
		"AWS_ENDPOINT_URL_SQS": at, "AWS_ENDPOINT_URL_SNS": at,
		"AWS_ACCESS_KEY_ID": e.accessKey(n), "AWS_SECRET_ACCESS_KEY": e.secret(n), "AWS_REGION": region, "AWS_DEFAULT_REGION": region,
		"TITRATE_EVENTS_URL": at, "TITRATE_EVENTS_TOKEN": e.token(n),
	}
}

// derive makes a secret of one kind for n.
func (e *Events) derive(kind string, n name) []byte {
	mac := hmac.New(sha256.New, e.cfg.Key)
	mac.Write([]byte("titrate events\x00" + kind + "\x00" + n.app + "\x00" + n.env))
	return mac.Sum(nil)
}

// accessKey looks like AWS's: 20 capital letters and digits.
func (e *Events) accessKey(n name) string {
	return "TITR" + base32.StdEncoding.EncodeToString(e.derive("access key", n))[:16]
}

func (e *Events) secret(n name) string { return hex.EncodeToString(e.derive("secret key", n))[:40] }

func (e *Events) token(n name) string { return "tte_" + hex.EncodeToString(e.derive("token", n))[:48] }

// admit lets in those whose environment is named, and nobody else.
func (e *Events) admit(by map[name][]world.Workload) {
	clear(e.keys)
	clear(e.tokens)
	for n, workloads := range by {
		if len(workloads) > 0 {
			e.keys[e.accessKey(n)] = n
			e.tokens[sha256.Sum256([]byte(e.token(n)))] = n
		}
	}
}

// who says whose request it is, by its token or its signature.
func (e *Events) who(r *http.Request, body []byte, service string) (name, error) {
	if token, some := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); some {
		e.mu.Lock()
		defer e.mu.Unlock()
		// By digest: how long the search takes tells nothing of the token.
		n, known := e.tokens[sha256.Sum256([]byte(strings.TrimSpace(token)))]
		if !known {
			return name{}, &sigv4.Error{
				Code: "UnrecognizedClientException", Status: http.StatusForbidden,
				Why: "The security token included in the request is invalid: use TITRATE_EVENTS_TOKEN of the environment that is to be sent to.",
			}
		}
		return n, nil
	}
	var whose name
	v := sigv4.Verifier{Service: service, Now: e.clock.Now, Secret: func(key string) (string, bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		n, known := e.keys[key]
		whose = n
		return e.secret(n), known
	}}
	if _, err := v.Verify(r, body); err != nil {
		return name{}, err
	}
	return whose, nil
}
