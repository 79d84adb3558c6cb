package importer

import "strings"

// running says how a service is started and stopped.
func (c *composition) running(u *unit, s *node) {
	c.program(u, s)
	if g := s.get("stop_grace_period"); g.str() != "" {
		u.set("drain", c.text(g), g)
	}
	if s.find("restart").str() == "no" {
		c.note(s.find("restart"), Changed, "what ends is started again, with a growing pause", "a command that runs once is a hook: hooks: { release: … }")
	}
	if s.get("read_only").yes() {
		u.set("readOnly", true, s.find("read_only"))
	}
}

// program says what is run of an image.
func (c *composition) program(u *unit, s *node) {
	words := func(n *node) []string {
		var out []string
		for _, i := range n.each() {
			if text := c.text(i); i.kind == scalar {
				out = append(out, text)
			}
		}
		return out
	}
	entrypoint, command := s.get("entrypoint"), s.get("command")
	args := words(command)
	if command != nil && command.kind != list && len(args) == 1 {
		if split, ok := split(args[0]); ok || strings.TrimSpace(args[0]) == "" { // compose makes arguments of a line, as a shell would
			args = split
		}
	}
	first := words(entrypoint)
	line := shellLine(append(first, args...))
	if entrypoint != nil && entrypoint.kind == scalar {
		line = strings.TrimSpace(strings.Join(first, "") + " " + shellLine(args))
	}
	const emptied = "an empty one takes away what the image itself says, which stays here"
	switch {
	case !entrypoint.null() && line != "" && entrypoint.kind != table:
		u.set("run", line, entrypoint)
	case !entrypoint.null() && entrypoint.kind != table:
		c.note(entrypoint, Lost, emptied, "run: COMMAND")
	case !command.null() && len(args) == 0 && command.kind != table:
		c.note(command, Lost, emptied, "run: COMMAND")
	case len(args) > 0 && u.built != nil:
		u.set("run", withoutInstall(args), command)
	case len(args) > 0:
		u.set("run", args, command)
	}
}

// shellLine joins words to a line for a shell.
func shellLine(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n\"'\\$`&|;<>()*?[]{}#~!") {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// arguments are the words of a line, for an image's entrypoint; the line itself where
// it needs a shell.
func arguments(line string) any {
	if words, ok := split(line); ok {
		return words
	}
	return line
}

// split makes words of a line as a shell does, where it needs no shell.
func split(line string) (words []string, ok bool) {
	var w strings.Builder
	var quote rune
	open := false
	for _, r := range strings.TrimSpace(line) {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case r == '\\' || quote != '\'' && r == '`':
			return nil, false
		case quote != 0:
			w.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if open {
				words, open = append(words, w.String()), false
				w.Reset()
			}
		default:
			w.WriteRune(r)
			open = true
		}
	}
	if open {
		words = append(words, w.String())
	}
	return words, quote == 0 && len(words) > 0
}
