package manifest

import (
	"errors"
	"fmt"
	"strings"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// carried is what a match asks a request for: a name, and the value that it must have.
type carried struct{ name, value string }

// matchKind is a list of rules, or one.
func matchKind() kind {
	return oneOrMore[rollout.Match]("a list of rules: [{ header: 'x-beta: 1' }]", maxMatches, tableOf("{ header, cookie, share, apart }", "match", inMatch, (*reader).match))
}

func (r *reader) match(l layer, n *yaml.Node, at string) rollout.Match {
	header, cookie := pick(carried{}, "header", l), pick(carried{}, "cookie", l)
	switch {
	case header.name == "" && cookie.name == "":
		r.fault(n, Problem{Code: codeMatch, Path: at, Message: place(at) + " does not say which requests", Hint: "add header: 'x-beta: 1', or cookie: beta=1"})
	case header.name != "" && cookie.name != "":
		r.fault(l["cookie"].key, Problem{Code: codeMatch, Path: l["cookie"].path, Message: "a rule looks at a header or at a cookie", Hint: "make two rules of it"})
	}
	return rollout.Match{
		Header: header.name, Cookie: cookie.name, Value: header.value + cookie.value,
		Share: pick(rollout.Full, "share", l), Apart: pick(false, "apart", l),
	}
}

// carriedKind is NAME, or NAME and a value after what parts them.
func carriedKind(accepts, parts string, check func(string) error) kind {
	k := text(codeMatch, accepts, map[string]any{"minLength": 1}, func(s string) error {
		name, value, valued := strings.Cut(s, parts)
		switch value = strings.TrimSpace(value); {
		case check(name) != nil:
			return check(name)
		case valued && value == "":
			return fmt.Errorf("without a value it is the name alone: %s", short(name))
		}
		return checkFieldValue(value)
	})
	read := k.read
	k.read = func(r *reader, n *yaml.Node, at string) (any, bool) {
		v, ok := read(r, n, at)
		if !ok {
			return nil, false
		}
		name, value, _ := strings.Cut(v.(string), parts)
		return carried{name, strings.TrimSpace(value)}, true
	}
	return k
}

// checkCookie says what is wrong with the name of a cookie (RFC 6265, 4.1.1).
func checkCookie(s string) error {
	if s == "*" || checkToken(s) != nil {
		return errors.New("a cookie is a name of letters, digits and dashes, or NAME=VALUE")
	}
	return nil
}
