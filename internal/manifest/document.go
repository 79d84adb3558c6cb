package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Limits of a manifest's text. Real ones are some kilobytes and five levels deep;
// whoever can push must not be able to keep the server busy.
const (
	maxSize  = 1 << 20
	maxLine  = 64 << 10
	maxDepth = 32
)

// document reads the text as one YAML document and returns its root. It returns
// nil when it has reported why there is none.
func (r *reader) document(src []byte) *yaml.Node {
	if len(src) > maxSize {
		r.put(Problem{
			Code: codeSize, Line: 1, Column: 1, Length: 1,
			Message: fmt.Sprintf("the file is %d bytes long; at most %d are read", len(src), maxSize),
		})
		return nil
	}
	if !r.encoded(src) {
		return nil
	}
	for i, line := range r.lines {
		if len(line) > maxLine {
			r.put(Problem{Code: codeSize, Line: i + 1, Column: 1, Length: 1, Message: fmt.Sprintf("line %d is %d bytes long; at most %d are read", i+1, len(line), maxLine)})
			return nil
		}
	}
	loader, err := yaml.NewLoader(bytes.NewReader(r.withoutControls(src)), yaml.WithUniqueKeys(false)) // duplicates: reported by pairs, all at once
	if err != nil {
		r.syntax(err)
		return nil
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		r.put(Problem{
			Code: codeEmpty, Line: 1, Column: 1, Length: 1,
			Message: "the file says nothing", Hint: "two lines are enough: titrate: 1, app: NAME",
		})
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		r.fault(&second, Problem{Code: codeDocuments, Message: "the file holds more than one document", Hint: "everything from here on is a second one"})
		return nil
	case !errors.Is(err, io.EOF):
		r.syntax(err)
		return nil
	}
	if len(first.Content) != 1 || !r.plain(first.Content[0], 1) { // too deep
		return nil
	}
	return first.Content[0]
}

// encoded reports whether src is UTF-8, and says where it is not.
func (r *reader) encoded(src []byte) bool {
	if utf8.Valid(src) {
		return true
	}
	line, column := 1, 1
	for len(src) > 0 {
		c, size := utf8.DecodeRune(src)
		if c == utf8.RuneError && size <= 1 {
			break
		}
		src = src[size:]
		if column++; c == '\n' || c == '\r' && !bytes.HasPrefix(src, []byte{'\n'}) {
			line, column = line+1, 1
		}
	}
	r.put(Problem{Code: codeEncoding, Line: line, Column: column, Length: 1, Message: "the file is not UTF-8", Hint: "this byte is not"})
	return false
}

// withoutControls says of each character that an editor does not show, but that
// YAML refuses or ends a line at, where it stands. It returns the text with
// another one in each place, so that the rest is read and no column moves.
func (r *reader) withoutControls(src []byte) []byte {
	clean := true
	for i, line := range r.lines {
		column := 0
		for _, c := range line {
			if column++; hidden(c) {
				clean = false
				r.put(Problem{
					Code: codeControl, Line: i + 1, Column: column, Length: 1, Message: fmt.Sprintf("the control character %U stands in the file", c),
					Hint: fmt.Sprintf("remove it, or write \"\\u%04x\" in double quotes", c),
				})
			}
		}
	}
	if clean {
		return src
	}
	return bytes.Map(func(c rune) rune {
		if hidden(c) {
			return utf8.RuneError
		}
		return c
	}, src)
}

// hidden reports whether c is a control character, a line break that only
// Unicode knows, or no character at all.
func hidden(c rune) bool {
	control := unicode.IsControl(c) && c != '\t' && c != '\n' && c != '\r'
	return control || unicode.In(c, unicode.Zl, unicode.Zp) || c == 0xfffe || c == 0xffff
}

// plain says of each anchor, alias, merge key and tag that it is not read, and
// makes of n what stands there without anchors and tags. It returns false when n
// is nested too deep to be read.
func (r *reader) plain(n *yaml.Node, depth int) bool {
	if depth > maxDepth {
		r.fault(n, Problem{Code: codeSize, Message: fmt.Sprintf("the file is nested more than %d levels deep", maxDepth)})
		return false
	}
	refuse := func(what, hint string) {
		r.fault(n, Problem{Code: codeAnchor, Message: what + " is not read in a manifest", Hint: hint})
	}
	const shared = "what services share stands in defaults"
	switch {
	case n.Kind == yaml.AliasNode:
		refuse("an alias (*"+n.Value+")", shared)
	case n.Anchor != "":
		refuse("an anchor (&"+n.Anchor+")", shared)
	case n.Tag == mergeTag:
		refuse("a merge key (<<)", shared)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		refuse("a tag ("+n.Tag+")", "quotes make text of a number")
		n.Tag, n.Style = "", n.Style&^yaml.TaggedStyle
		n.Tag = n.ShortTag() // of the value as it stands
	}
	r.gaps = r.gaps || isGap(n)
	good := true
	for _, c := range n.Content {
		good = r.plain(c, depth+1) && good
	}
	return good
}

const mergeTag = "!!merge"

// isGap reports whether other text of the file is meant to stand where n does.
func isGap(n *yaml.Node) bool { return n.Kind == yaml.AliasNode || n.Tag == mergeTag }
