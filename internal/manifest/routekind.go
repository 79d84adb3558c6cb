package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

const (
	maxPaths      = 100
	maxConditions = 16 // headers or parameters of a route, as the Gateway API has it
	maxMatches    = 20
	maxPage       = 64 << 10
	mostRetry     = 30 * day
)

// nothing reports whether a value takes an inherited one away.
func nothing(v any) bool {
	switch v := v.(type) {
	case []rollout.Route:
		return v == nil
	case []rollout.Match:
		return v == nil
	case *rollout.Maintenance:
		return v == nil
	}
	return false
}

// tableOf is a mapping with a definition of its own; read may report more.
func tableOf[T any](accepts, definition string, in Place, read func(r *reader, l layer, n *yaml.Node, at string) T) kind {
	return kind{
		accepts: accepts, schema: map[string]any{"$ref": "#/definitions/" + definition},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			before := len(r.problems)
			l := r.table(n, at, in)
			if len(r.problems) > before {
				return nil, false
			}
			v := read(r, l, n, at)
			return v, len(r.problems) == before
		},
	}
}

// oneOrMore is a list of what one reads, or one of it; none takes inherited ones away.
func oneOrMore[T any](accepts string, most int, one kind) kind {
	return kind{
		accepts: accepts + ", or none",
		schema: map[string]any{"anyOf": []any{
			one.schema, map[string]any{"type": "array", "minItems": 1, "maxItems": most, "items": one.schema}, map[string]any{"const": none},
		}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			var out []T
			switch {
			case n.Tag == "!!str" && n.Value == none:
				return out, true
			case n.Kind == yaml.MappingNode:
				v, ok := one.read(r, n, at)
				if !ok {
					return nil, false
				}
				return []T{v.(T)}, true
			case n.Kind != yaml.SequenceNode || len(n.Content) == 0:
				r.wrongType(n, at, accepts)
				return nil, false
			case !r.atMost(n, at, len(n.Content), most):
				return nil, false
			}
			good := true
			for i, c := range n.Content {
				v, ok := one.read(r, c, item(at, i))
				if good = good && ok; ok {
					out = append(out, v.(T))
				}
			}
			return out, good
		},
	}
}

func pathsKind() kind {
	return oneOrMore[rollout.Route]("a list of routes: [{ path: /orders, methods: GET }]", maxPaths,
		tableOf("{ path, exact, methods, headers, query, rewrite, redirect, maintenance, timeout, responseHeaders }", "route", inRoute, (*reader).route))
}

func (r *reader) route(l layer, n *yaml.Node, at string) rollout.Route {
	out := rollout.Route{
		Path: pick("", "path", l), Exact: pick(false, "exact", l), Methods: pick([]string(nil), "methods", l),
		Headers: pick(map[string]string(nil), "headers", l), Query: pick(map[string]string(nil), "query", l),
		Rewrite: pick((*rollout.Rewrite)(nil), "rewrite", l), Redirect: pick((*rollout.Redirect)(nil), "redirect", l),
		Maintenance: pick((*rollout.Maintenance)(nil), "maintenance", l), Timeout: pick(time.Duration(0), "timeout", l),
		ResponseHeaders: pick((*rollout.HeaderChange)(nil), "responseHeaders", l),
	}
	if !out.Exact && out.Path != "/" {
		out.Path = strings.TrimSuffix(out.Path, "/")
	}
	if out.Path == "" {
		r.fault(n, Problem{Code: codeRoute, Path: at, Message: place(at) + " has no path", Hint: "add path: /, which is every path"})
		return out
	}
	if out.Redirect == nil {
		return out
	}
	for _, key := range []string{"maintenance", "rewrite", "timeout", "responseHeaders"} {
		if e, ok := l[key]; ok && !nothing(e.value) {
			r.fault(e.key, Problem{Code: codeRoute, Path: e.path, Message: "a redirect is answered without the service: " + key + " changes nothing", Hint: "keep one of them"})
		}
	}
	return out
}

func rewriteKind() kind {
	return tableOf("{ prefix, host }", "rewrite", inRewrite, func(r *reader, l layer, n *yaml.Node, at string) *rollout.Rewrite {
		if len(l) == 0 {
			r.fault(n, Problem{Code: codeRoute, Path: at, Message: place(at) + " rewrites nothing", Hint: "{ prefix: / } or { host: NAME }"})
		}
		return &rollout.Rewrite{Prefix: optionalPath(l, "prefix"), Host: pick("", "host", l)}
	})
}

func optionalPath(l layer, key string) *string {
	if _, ok := l[key]; !ok {
		return nil
	}
	v := pick("", key, l)
	return &v
}

func redirectKind() kind {
	return tableOf("{ scheme, host, path, prefix, status }", "redirect", inRedirect, func(r *reader, l layer, n *yaml.Node, at string) *rollout.Redirect {
		d := &rollout.Redirect{
			Scheme: pick("", "scheme", l), Host: pick("", "host", l), Path: pick("", "path", l), Prefix: optionalPath(l, "prefix"),
			Status: pick(302, "status", l),
		}
		switch {
		case d.Scheme == "" && d.Host == "" && d.Path == "" && d.Prefix == nil:
			r.fault(n, Problem{Code: codeRoute, Path: at, Message: place(at) + " leads nowhere else", Hint: "add scheme, host, path or prefix"})
		case d.Path != "" && d.Prefix != nil:
			r.fault(l["prefix"].key, Problem{Code: codeRoute, Path: l["prefix"].path, Message: "path stands in place of the whole path, and prefix of its beginning", Hint: "keep one of them"})
		}
		return d
	})
}

// statusKind is the status of a redirect.
func statusKind() kind {
	all := []int{301, 302, 307, 308}
	accepts := "301, 302, 307 or 308"
	return kind{accepts: accepts, schema: map[string]any{"enum": all}, read: func(r *reader, n *yaml.Node, at string) (any, bool) {
		v, ok := r.number(n, at, accepts, all[0], all[3])
		if ok && !slices.Contains(all, v.(int)) {
			r.fault(n, Problem{Code: codeRange, Path: at, Message: place(at) + " is " + short(n.Value), Hint: "expected " + accepts})
			return nil, false
		}
		return v, ok
	}}
}

// maintenanceKind is true, false, or a page.
func maintenanceKind() kind {
	long := tableOf("{ page, retryAfter }", "maintenance", inMaintenance, func(_ *reader, l layer, _ *yaml.Node, _ string) *rollout.Maintenance {
		return &rollout.Maintenance{Page: pick("", "page", l), RetryAfter: pick(time.Duration(0), "retryAfter", l)}
	})
	return kind{
		accepts: "true, false, or { page, retryAfter }",
		schema:  map[string]any{"anyOf": []any{map[string]any{"type": "boolean"}, long.schema}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind == yaml.MappingNode {
				return long.read(r, n, at)
			}
			yes, ok := boolean().read(r, n, at)
			switch {
			case !ok:
				return nil, false
			case yes == false:
				return (*rollout.Maintenance)(nil), true
			}
			return &rollout.Maintenance{}, true
		},
	}
}

func responseHeadersKind() kind {
	return tableOf("{ set, add, remove }", "responseHeaders", inResponseHeaders, func(r *reader, l layer, n *yaml.Node, at string) *rollout.HeaderChange {
		if len(l) == 0 {
			r.fault(n, Problem{Code: codeRoute, Path: at, Message: place(at) + " changes nothing", Hint: "{ set: { Cache-Control: no-store }, remove: [Server] }"})
		}
		return &rollout.HeaderChange{
			Remove: pick([]string(nil), "remove", l), Set: pick(map[string]string(nil), "set", l), Add: pick(map[string]string(nil), "add", l),
		}
	})
}

// pairsKind maps names to the values that they have, which are taken as they are written.
func pairsKind(accepts string, fold bool, check func(name string) error) kind {
	return kind{
		accepts: accepts,
		schema: map[string]any{
			"type": "object", "minProperties": 1, "maxProperties": maxConditions,
			"additionalProperties": map[string]any{"type": []string{"string", "number", "boolean"}},
		},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			out, seen := map[string]string{}, map[string]bool{}
			good := r.atMost(n, at, len(n.Content)/2, maxConditions)
			for _, p := range r.pairs(n, at, accepts) {
				err, name := check(p.name), p.name
				if fold {
					name = strings.ToLower(name)
				}
				switch {
				case p.value.Kind != yaml.ScalarNode || isNull(p.value):
					r.wrongType(p.value, p.path, `text; the empty one is ""`)
				case err != nil:
					r.fault(p.key, Problem{Code: codeRoute, Path: p.path, Message: quote(p.name) + " cannot stand in " + place(at), Hint: err.Error()})
				case seen[name]:
					r.fault(p.key, Problem{Code: codeDuplicate, Path: p.path, Message: quote(p.name) + " stands twice in " + place(at)})
				case checkFieldValue(p.value.Value) != nil:
					r.fault(p.value, Problem{Code: codeRoute, Path: p.path, Message: p.path + " cannot be read", Hint: checkFieldValue(p.value.Value).Error()})
				default:
					out[p.name], seen[name] = p.value.Value, true
					continue
				}
				good = false
			}
			if len(out) == 0 && good {
				r.wrongType(n, at, accepts)
				return nil, false
			}
			return out, good
		},
	}
}

// checkFieldValue says what is wrong with the value of a header or parameter (RFC 9110, 5.5).
func checkFieldValue(s string) error {
	if len(s) > 4096 || strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return errors.New("a value of one line, without spaces around it, at most 4096 characters")
	}
	return nil
}

// checkField says what is wrong with the name of a header that is looked at.
func checkField(s string) error {
	if s == "*" || checkToken(s) != nil {
		return errors.New("a header is a name of letters, digits and dashes")
	}
	return nil
}

// checkAnswerField says what is wrong with the name of a header of answers that is to be
// changed: those of the connection and of the gateway are not the service's (RFC 9110, 7.6.1).
func checkAnswerField(s string) error {
	switch strings.ToLower(s) {
	case "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length":
		return errors.New("how an answer is sent is the connection's")
	case "date", "via", "x-request-id", "titrate-version", "titrate-shielded":
		return fmt.Errorf("%s is the gateway's", s)
	}
	return checkField(s)
}

// checkMethod says what is wrong with a method.
func checkMethod(s string) error {
	if err := checkToken(s); err != nil || s == "*" {
		return errors.New("a method is a word: GET")
	}
	if up := strings.ToUpper(s); up != s {
		return fmt.Errorf("methods are upper case: %s", up)
	}
	return nil
}

// checkParameter says what is wrong with the name of a parameter.
func checkParameter(s string) error {
	if s == "" {
		return errors.New("a parameter has a name")
	}
	return checkFieldValue(s)
}

// checkPage says what is wrong with a page.
func checkPage(s string) error {
	if strings.TrimSpace(s) == "" || len(s) > maxPage || strings.Contains(s, "\x00") {
		return fmt.Errorf("a page is HTML, at most %d KiB", maxPage>>10)
	}
	return nil
}
