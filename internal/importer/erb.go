package importer

import (
	"regexp"
	"strings"
)

// erbMark stands where Ruby would have written something.
const erbMark = "ERB-IS-NOT-RUN"

var erbTag = regexp.MustCompile(`(?s)<%.*?%>`)

// withoutERB takes the Ruby out of a YAML text: it is not run. Lines keep their
// numbers. Each place where something is missing now is noted; a value that Ruby
// would write has a mark in it, for the reader to say which key it is of.
func (b *builder) withoutERB(src, file string) string {
	var out strings.Builder
	for at := 0; ; {
		span := erbTag.FindStringIndex(src[at:])
		if span == nil {
			out.WriteString(src[at:])
			return out.String()
		}
		from, to := at+span[0], at+span[1]
		tag := src[from:to]
		out.WriteString(src[at:from])
		lineStart := strings.LastIndexByte(src[:from], '\n') + 1
		lineEnd := len(src)
		if i := strings.IndexByte(src[to:], '\n'); i >= 0 {
			lineEnd = to + i
		}
		alone := strings.TrimSpace(src[lineStart:from]) == "" && strings.TrimSpace(src[to:lineEnd]) == ""
		switch {
		case strings.HasPrefix(tag, "<%#"):
		case strings.HasPrefix(tag, "<%=") && !alone:
			out.WriteString(erbMark)
		default:
			line := strings.Count(src[:from], "\n") + 1
			b.notes = append(b.notes, Note{Place{file, line}, "<% %>", Lost, "Ruby is not run: what it would write or choose is not known", "look at the lines it stands around"})
		}
		out.WriteString(strings.Repeat("\n", strings.Count(tag, "\n")))
		at = to
	}
}

// ruby reports whether a value is Ruby's to say, and notes it.
func (b *builder) ruby(n *node) bool {
	if n == nil || !strings.Contains(n.text, erbMark) {
		return false
	}
	b.note(n, Lost, "Ruby is not run: the value is not known", "write it into titrate.yaml")
	return true
}
