package manifest

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// plainScalar is text that YAML reads as the same text without quotes.
var plainScalar = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9._/-]*$|^([0-9]+(\.[0-9]+)?(d|h|m|s|ms|%|x stable))+$|^[45]xx_rate$`)

// scalar writes a string so that YAML reads it back as the same string.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", ".nan", ".inf":
		return `"` + s + `"`
	}
	if plainScalar.MatchString(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case !unicode.IsGraphic(c) || unicode.IsSpace(c) && c != ' ':
			fmt.Fprintf(&b, `\U%08x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// field is one key with its value, written in flow style.
type field struct{ key, value string }

// flow writes { a: 1, b: 2 }, leaving out fields without value.
func flow(fields ...field) string {
	var parts []string
	for _, f := range fields {
		if f.value != "" {
			parts = append(parts, f.key+": "+f.value)
		}
	}
	if len(parts) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}
