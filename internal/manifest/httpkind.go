package manifest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"titrate/internal/httpevent"
	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// byPath is the value of http that makes routes of folders.
const byPath = "by-path"

const (
	maxRoutes  = 50
	maxOrigins = 50
)

// httpSays is what a layer says of requests. Its zero value takes inherited ones away.
type httpSays struct {
	byPath  bool
	routes  []string
	payload string
	cors    *rollout.CORS
	jwt     *rollout.JWT
}

// httpKind is by-path, a route, a list of routes, or a mapping.
func httpKind() kind {
	accepts := "by-path; a route such as GET /pickups/{id}; a list of routes; { routes, payload, cors, jwt }; or none"
	return kind{
		accepts: accepts,
		schema:  map[string]any{"anyOf": []any{map[string]any{"const": none}, routesSchema(), map[string]any{"$ref": "#/definitions/http"}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == none {
				return httpSays{}, true
			}
			if n.Kind != yaml.MappingNode {
				v, ok := routesKind().read(r, n, at)
				if !ok {
					return nil, false
				}
				says := v.(httpSays)
				says.payload = "2.0"
				return says, true
			}
			before := len(r.problems)
			l := r.table(n, at, inHTTP)
			if _, ok := l["routes"]; !ok && len(r.problems) == before {
				r.fault(n, Problem{Code: codeHTTP, Path: at, Message: place(at) + " has no routes", Hint: "add routes: by-path, or routes: ['GET /pickups/{id}']"})
			}
			says := pick(httpSays{}, "routes", l)
			says.payload = pick("2.0", "payload", l)
			says.cors, says.jwt = pick((*rollout.CORS)(nil), "cors", l), pick((*rollout.JWT)(nil), "jwt", l)
			return says, len(r.problems) == before
		},
	}
}

func routesSchema() map[string]any {
	one := map[string]any{"type": "string", "pattern": `^(by-path|\$default|[A-Z]+ /.*)$`}
	return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "minItems": 1, "maxItems": maxRoutes, "uniqueItems": true, "items": map[string]any{"type": "string"}}}}
}

// routesKind is by-path, a route, or a list of routes.
func routesKind() kind {
	accepts := "by-path, a route such as GET /pickups/{id}, or a list of routes"
	return kind{
		accepts: accepts, schema: routesSchema(),
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == byPath {
				return httpSays{byPath: true}, true
			}
			routes, ok := r.list(n, at, accepts, maxRoutes, func(s string) Problem { return Problem{Code: codeHTTP, Hint: wrong(checkHTTPRoute(s))} })
			if ok && len(routes) == 0 {
				r.fault(n, Problem{Code: codeHTTP, Path: at, Message: place(at) + " names no routes", Hint: "write http: none, or a route: GET /pickups/{id}"})
				return nil, false
			}
			return httpSays{routes: routes}, ok
		},
	}
}

// wrong is an error's text, or nothing.
func wrong(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// checkHTTPRoute says what is wrong with a route key, as API Gateway has them.
func checkHTTPRoute(s string) error {
	if len(s) > 1024 || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return errors.New("a route is at most 1024 characters, all of them visible")
	}
	if s == byPath {
		return errors.New("by-path stands alone")
	}
	if _, err := httpevent.NewRouter([]httpevent.Route{{Key: s, Place: "here"}}); err != nil {
		if method, path, ok := strings.Cut(s, " "); ok && method != strings.ToUpper(method) && strings.HasPrefix(path, "/") {
			return fmt.Errorf("methods are upper case: %s %s", strings.ToUpper(method), short(path))
		}
		if strings.HasPrefix(s, "/") {
			return fmt.Errorf("a method stands before the path: GET %s, or ANY", short(s))
		}
		return errors.New(strings.TrimPrefix(err.Error(), "here: "))
	}
	return nil
}

// list is a text, or a list of texts, each once. check returns why one is refused: a
// problem without a hint, none.
func (r *reader) list(n *yaml.Node, at, accepts string, most int, check func(string) Problem) ([]string, bool) {
	nodes, good := []*yaml.Node{n}, true
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
		if !r.atMost(n, at, len(nodes), most) {
			return nil, false
		}
	}
	var out []string
	for i, c := range nodes {
		path := at
		if n.Kind == yaml.SequenceNode {
			path = item(at, i)
		}
		s, ok := r.text(c, path, accepts)
		if !ok {
			good = false
			continue
		}
		switch p := check(s); {
		case p.Hint != "":
			p.Path, p.Message = path, fmt.Sprintf("%s: %s cannot be read", place(path), quote(s))
			r.fault(c, p)
			good = false
		case slices.Contains(out, s):
			r.fault(c, Problem{Code: codeDuplicate, Path: path, Message: quote(s) + " stands twice in " + place(at)})
			good = false
		default:
			out = append(out, s)
		}
	}
	return out, good
}

// listKind is a text, or a list of texts that check accepts.
func listKind(code, accepts string, most int, check func(string) error) kind {
	return kind{
		accepts: accepts,
		schema: map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "minLength": 1},
			map[string]any{"type": "array", "maxItems": most, "uniqueItems": true, "items": map[string]any{"type": "string"}},
		}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			return r.list(n, at, accepts, most, func(s string) Problem { return Problem{Code: code, Hint: wrong(check(s))} })
		},
	}
}

// corsKind is true, or the rules one by one.
func corsKind() kind {
	accepts := "true, or { origins, methods, headers, expose, maxAge, credentials }"
	return kind{
		accepts: accepts,
		schema:  map[string]any{"anyOf": []any{map[string]any{"type": "boolean"}, map[string]any{"$ref": "#/definitions/cors"}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			// What HTTP APIs of the Serverless Framework allow with `cors: true`: any
			// origin, the usual methods and the headers that AWS's own clients send.
			c := rollout.CORS{
				Origins: []string{"*"}, Methods: []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"},
				Headers: []string{"Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-User-Agent", "X-Api-Key"},
			}
			if n.Kind != yaml.MappingNode {
				yes, ok := boolean().read(r, n, at)
				if !ok || yes == false {
					return (*rollout.CORS)(nil), ok
				}
				return &c, true
			}
			before := len(r.problems)
			l := r.table(n, at, inCORS)
			c = rollout.CORS{
				Origins: pick(c.Origins, "origins", l), Methods: pick(c.Methods, "methods", l), Headers: pick(c.Headers, "headers", l),
				Expose: pick([]string(nil), "expose", l), MaxAge: pick(time.Duration(0), "maxAge", l), Credentials: pick(false, "credentials", l),
			}
			if c.Credentials && slices.Contains(c.Origins, "*") {
				r.fault(l["credentials"].key, Problem{
					Code: codeHTTP, Path: l["credentials"].path, Message: place(at) + " allows credentials to every origin, which browsers refuse", Hint: "list the origins",
				})
			}
			return &c, len(r.problems) == before
		},
	}
}

// jwtKind is whose tokens open the routes.
func jwtKind() kind {
	return kind{
		accepts: "{ issuer: URL, audience: NAME, scopes: [NAME] }", schema: map[string]any{"$ref": "#/definitions/jwt"},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			before := len(r.problems)
			l := r.table(n, at, inJWT)
			for _, key := range []string{"issuer", "audience"} {
				missing := l[key].key == nil || key == "audience" && len(pick([]string(nil), key, l)) == 0
				if missing && len(r.problems) == before {
					r.fault(n, Problem{Code: codeHTTP, Path: at, Message: place(at) + " has no " + key, Hint: "{ issuer: https://login.example.com, audience: NAME }"})
				}
			}
			return &rollout.JWT{
				Issuer: pick("", "issuer", l), Audiences: pick([]string(nil), "audience", l), Scopes: pick([]string(nil), "scopes", l),
			}, len(r.problems) == before
		},
	}
}

// checkIssuer says what is wrong with the URL of an OIDC issuer (OpenID Connect
// Discovery 1.0, section 3: https, no query and no fragment). Plain HTTP is for those
// on this machine.
func checkIssuer(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || len(s) > 1024 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return errors.New("an issuer is a URL: https://login.example.com")
	case u.Scheme != "https" && (u.Scheme != "http" || !ofThisMachine(u.Hostname())):
		return errors.New("an issuer is reached over https")
	case u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(s, "?#"):
		return errors.New("an issuer has no ? and no #")
	}
	return nil
}

// ofThisMachine reports whether a host is always this one.
func ofThisMachine(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || strings.HasSuffix(host, ".localhost")
}

// checkWord says what is wrong with a name that is only compared.
func checkWord(s string) error {
	if s == "" || len(s) > 512 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return errors.New("a name without spaces, at most 512 characters")
	}
	return nil
}

// checkToken says what is wrong with the name of a header or method (RFC 9110, 5.6.2).
func checkToken(s string) error {
	if s == "" || len(s) > 256 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c) }) {
		return errors.New("a name of letters, digits and dashes, or *")
	}
	return nil
}

// checkOrigin says what is wrong with an origin (RFC 6454, section 6.1).
func checkOrigin(s string) error {
	if s == "*" || s == "http://*" || s == "https://*" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || strings.ContainsAny(s, "?#*") || checkWord(s) != nil {
		return errors.New("an origin is a scheme and a host: https://shop.example.com, or *")
	}
	return nil
}
