// Package explain holds the pages of the codes that Titrate's errors carry: what
// each means, and what to do about it. A package that gives out a code adds
// pages/CODE.md and tests that it is there.
package explain

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed pages/*.md
var pages embed.FS

// Page returns the page of a code such as T0312, in Markdown; ok is false for a
// code that has none. Case does not matter.
func Page(code string) (page string, ok bool) {
	b, err := pages.ReadFile("pages/" + strings.ToUpper(code) + ".md")
	return string(b), err == nil
}

// Codes returns all codes that have a page, in order.
func Codes() []string {
	files, err := fs.Glob(pages, "pages/*.md")
	if err != nil {
		panic(err) // the pattern is this program's own
	}
	codes := make([]string, len(files))
	for i, f := range files {
		codes[i] = strings.TrimSuffix(strings.TrimPrefix(f, "pages/"), ".md")
	}
	return codes
}
