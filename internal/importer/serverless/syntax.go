package serverless

import "strings"

// closing finds the brace that closes the one s begins with; -1: there is none, or
// the nesting is deeper than any real one.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			if depth++; depth > maxDepth {
				return -1
			}
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// part is a piece of a text: as it stands, or the inside of a ${…}.
type part struct {
	text     string
	variable bool
}

// split cuts a text into what stands there and the variables in it. ${AWS::Region}
// and ${Name} are CloudFormation's and stay; \${ is no variable (Serverless Framework
// documentation, "Variables").
func split(s string) []part {
	var parts []part
	plain := func(t string) {
		if t == "" {
			return
		}
		if n := len(parts); n > 0 && !parts[n-1].variable {
			parts[n-1].text += t
			return
		}
		parts = append(parts, part{text: t})
	}
	var held strings.Builder // text until the next variable
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		if i > 0 && s[i-1] == '\\' {
			held.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		end := closing(s[i+1:])
		if end < 0 {
			break
		}
		held.WriteString(s[:i])
		inside := s[i+2 : i+1+end]
		if !isVariable(inside) {
			held.WriteString("${")
			s = s[i+2:]
			continue
		}
		plain(held.String())
		held.Reset()
		parts = append(parts, part{inside, true})
		s = s[i+1+end+1:]
	}
	held.WriteString(s)
	plain(held.String())
	return parts
}

// isVariable tells the framework's variables from CloudFormation's.
func isVariable(inside string) bool {
	s := strings.TrimSpace(inside)
	n := word(s)
	switch {
	case strings.HasPrefix(s, "${"):
		return true
	case n == 0 || n == len(s):
		return false
	case s[n] == ':':
		return !strings.HasPrefix(s[n:], "::")
	}
	return s[n] == '('
}

// word is the length of the source's name that s begins with.
func word(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] == '-' && n > 0 || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return n
}

// choices cuts the inside of a variable at its commas: the first is the value, the
// others are its fallbacks in order.
func choices(s string) []string {
	var out []string
	depth, from := 0, 0
	var quote byte
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '{' || c == '(':
			depth++
		case c == '}' || c == ')':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[from:]))
}

// source is one choice read: self:custom.a is name self, address custom.a, and
// file(a.yml):b has the argument a.yml too.
type source struct {
	name, arg, address string
	literal            *node
}

// parseSource reads one choice whose nested variables are already replaced.
func parseSource(s string) (source, bool) {
	if len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		return source{literal: &node{text: s[1 : len(s)-1]}}, true
	}
	n := word(s)
	name, rest := s[:n], s[n:]
	switch {
	case n > 0 && strings.HasPrefix(rest, "("):
		end := strings.LastIndexByte(rest, ')')
		if end < 0 {
			return source{}, false
		}
		arg := strings.TrimSpace(rest[1:end])
		if address, ok := strings.CutPrefix(rest[end+1:], ":"); ok {
			return source{name: name, arg: arg, address: address}, true
		}
		return source{name: name, arg: arg}, rest[end+1:] == ""
	case n > 0 && strings.HasPrefix(rest, ":"):
		return source{name: name, address: strings.TrimSpace(rest[1:])}, true
	case literal(s) || s == "null":
		return source{literal: &node{text: s, bare: true}}, true
	}
	return source{}, false
}
