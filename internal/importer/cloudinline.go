package importer

import (
	"path"
	"strings"
)

// inlined puts code that stands in a template into a file of a folder of its own, where
// the handler looks for it ("AWS::Lambda::Function Code"), and reports whether that can be.
func (b *builder) inlined(f *cloudFunction, code string) bool {
	ext := ".js"
	switch {
	case strings.HasPrefix(f.runtime, "python"):
		ext = ".py"
	case !strings.HasPrefix(f.runtime, "nodejs"):
		return false
	}
	module, _, _ := strings.Cut(f.handler, ".")
	if module == "" || strings.ContainsAny(module, `/\`) {
		return false
	}
	dir := path.Join(f.folder, f.name)
	for b.exists(dir) {
		dir += "-inline"
	}
	file := File{path.Join(dir, module+ext), strings.TrimRight(code, "\n") + "\n"}
	b.files = append(b.files, file)
	f.folder = dir
	b.note(f.from, Changed, "its code stands in the template, and is put into "+file.Name, "")
	return true
}
