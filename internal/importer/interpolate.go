package importer

import "strings"

// vars expands the variables of a compose file as compose does, with what the file
// itself says of them, and what it is given: the values of a shell are not the file's.
type vars struct {
	given map[string]string // values that stand beside the file

	taken     []string // whose given value was taken
	missing   []string // named without a default
	defaulted []string // whose default was taken
}

// expand replaces $NAME, ${NAME}, ${NAME:-default}, ${NAME-default}, ${NAME:?text},
// ${NAME:+text} and $$ (compose-spec, 12-interpolation).
func (v *vars) expand(s string) string { return v.nested(s, 0) }

func (v *vars) nested(s string, depth int) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 || depth > 16 {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:i])
		s = s[i+1:]
		n := word(s)
		switch {
		case s[0] == '$':
			out.WriteByte('$')
			s = s[1:]
		case s[0] == '{':
			end := closing(s)
			if end < 0 {
				out.WriteString("$" + s)
				return out.String()
			}
			out.WriteString(v.braced(s[1:end], depth))
			s = s[end+1:]
		case n == 0:
			out.WriteByte('$')
		default:
			out.WriteString(v.braced(s[:n], depth))
			s = s[n:]
		}
	}
}

// closing finds the brace that closes the one s begins with; -1: there is none.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (v *vars) braced(s string, depth int) string {
	name := s[:word(s)]
	op := strings.TrimPrefix(s[len(name):], ":")
	value, given := v.given[name]
	given = given && (value != "" || op == s[len(name):] && op != "") // with a colon, empty is not set
	switch {
	case name == "":
		return "${" + s + "}"
	case given && strings.HasPrefix(op, "+"):
		v.taken = append(v.taken, name)
		return v.nested(op[1:], depth+1)
	case given:
		v.taken = append(v.taken, name)
		return value
	case strings.HasPrefix(op, "-"):
		v.defaulted = append(v.defaulted, name)
		return v.nested(op[1:], depth+1)
	case strings.HasPrefix(op, "+"):
		return "" // the variable is not set
	}
	v.missing = append(v.missing, name)
	return ""
}

// word is the length of the name that s begins with.
func word(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return n
}
