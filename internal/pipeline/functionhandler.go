package pipeline

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A handler is found in the files of an artifact, and named from its root, since that is
// where its runtime looks. One that the manifest names is taken as it is; where none is named,
// the function's own folder is looked into.

// findHandler returns the handler of a function whose folder is below the root of an
// artifact, or the error that says what was looked for.
func findHandler(tree fs.FS, f family, below string, w Workload) (string, error) {
	asked := w.Function.Handler
	if path.IsAbs(asked) { // in a layer, which the artifact does not hold
		return asked, nil
	}
	folders := slices.Compact([]string{below, "."})
	if f == pythonFamily {
		if strings.Contains(strings.TrimPrefix(below, "."), ".") {
			return "", fault(w, CodeHandler, StepKeep, "no module of Python can be in "+below+": dots divide its name", "name the folder without a dot; or give it a requirements.txt of its own, even an empty one")
		}
		return pythonHandler(tree, folders, w)
	}
	if asked != "" {
		there := func(dir string) bool { return nodeModule(tree, dir, asked, scripts) != "" }
		return fromRoot(tree, folders, w, there, nodeNames(asked))
	}
	for _, dir := range folders[:1+lastIf(w, len(folders))] {
		if h := nodeDefault(tree, dir); h != "" {
			return h, nil
		}
	}
	return "", noHandler(tree, folders, w, "handler.js or index.js (also .mjs, .cjs), or what main of package.json names, which exports handler")
}

// fromRoot returns the handler that the manifest names, if it is there from the root.
func fromRoot(tree fs.FS, folders []string, w Workload, there func(dir string) bool, what string) (string, error) {
	asked := w.Function.Handler
	if there(".") {
		return asked, nil
	}
	e := noHandler(tree, folders, w, what)
	if there(folders[0]) { // a folder of a larger package
		own := path.Join(folders[0], asked)
		e.Saw = "the handler " + asked + " is seen from the root of the package that " + w.Build.Dir + " belongs to, and is not there"
		e.Help = "functions: { " + w.Build.Dir + ": { handler: " + own + " } }; or no handler, where it is one of the usual: " + path.Join(folders[0], "handler.handler") + ", …"
	}
	return "", e
}

// lastIf is the number of folders beside the function's own in which a default is looked
// for: what a build has left need not lie as its source did.
func lastIf(w Workload, folders int) int {
	if w.Build.Output == "" && w.Build.Command == "" {
		return 0
	}
	return folders - 1
}

// nodeName is the form of Node.js handlers: folders, a file without its ending, and what
// it exports. See "Define Lambda function handler in Node.js" of AWS.
var nodeName = regexp.MustCompile(`^((?:[^/]+/)*[^./]+)\.[^/]+$`)

// nodeModule returns the file that a handler names, seen from dir, or "".
func nodeModule(tree fs.FS, dir, handler string, endings []string) string {
	m := nodeName.FindStringSubmatch(handler)
	if m == nil {
		return ""
	}
	for _, ending := range endings {
		if file := path.Join(dir, m[1]+ending); fs.ValidPath(file) && isFile(tree, file) {
			return file
		}
	}
	return ""
}

func nodeNames(handler string) string {
	m := nodeName.FindStringSubmatch(handler)
	if m == nil {
		return "file.export, as src/orders.create: " + handler + " has not that form"
	}
	return m[1] + ".js, " + m[1] + ".mjs or " + m[1] + ".cjs"
}

// built are the folders in which compilers of TypeScript and bundlers leave what they make.
var built = []string{"dist", "build", "lib", "out", ".build"}

var saysHandler = regexp.MustCompile(`\bhandler\b`)

// nodeDefault returns the handler of a folder when none is named: of the usual files the
// first that speaks of one, or else the first.
func nodeDefault(tree fs.FS, dir string) string {
	modules := []string{path.Join(dir, "handler"), path.Join(dir, "index")}
	if pkg, err := readPackage(tree, dir); err == nil && pkg.Main != "" {
		main := path.Join(dir, pkg.Main)
		if slices.Contains(scripts, path.Ext(main)) {
			main = strings.TrimSuffix(main, path.Ext(main))
		}
		modules = append(modules, main)
	}
	plain := relative("src", dir) // compilers leave out the folder of the source
	for _, out := range built {
		for _, name := range []string{"handler", "index"} {
			modules = append(modules, path.Join(out, dir, name), path.Join(out, plain, name), path.Join(dir, out, name), path.Join(dir, out, "src", name))
		}
	}
	first := ""
	for _, m := range modules {
		file := nodeModule(tree, ".", m+".handler", scripts)
		if file == "" {
			continue
		}
		if text, err := readStart(tree, file); err == nil && saysHandler.Match(text) {
			return m + ".handler"
		}
		if first == "" {
			first = m + ".handler"
		}
	}
	if there := codeIn(tree, dir); first == "" && len(there) == 1 { // a bundle of any name
		file := path.Join(dir, there[0])
		if text, err := readStart(tree, file); err == nil && slices.Contains(scripts, path.Ext(file)) && saysHandler.Match(text) {
			return strings.TrimSuffix(file, path.Ext(file)) + ".handler"
		}
	}
	return first
}

// pythonModule reports whether there is the module that a handler names, seen from dir. See
// "Define Lambda function handler in Python" of AWS: both src/orders.create and
// src.orders.create are written.
func pythonModule(tree fs.FS, dir, handler string) bool {
	i := strings.LastIndex(handler, ".")
	if i <= 0 || i == len(handler)-1 {
		return false
	}
	module := path.Join(dir, strings.ReplaceAll(handler[:i], ".", "/"))
	for _, file := range []string{module + ".py", path.Join(module, "__init__.py")} {
		if fs.ValidPath(file) && isFile(tree, file) {
			return true
		}
	}
	return false
}

// pythonDefaults are the handlers that are looked for when none is named: those of AWS's
// console, of the Serverless Framework and of SAM, and what people write beside.
var pythonDefaults = [][2]string{
	{"lambda_function", "lambda_handler"},
	{"handler", "handler"},
	{"main", "handler"},
	{"app", "handler"},
	{"app", "lambda_handler"},
	{"main", "lambda_handler"},
	{"handler", "lambda_handler"},
	{"lambda_function", "handler"},
	{"index", "handler"},
	{"index", "lambda_handler"},
}

func pythonHandler(tree fs.FS, folders []string, w Workload) (string, error) {
	if asked := w.Function.Handler; asked != "" {
		i := strings.LastIndex(asked, ".")
		if i <= 0 {
			return "", noHandler(tree, folders, w, "module.function, as src.orders.create: "+asked+" has not that form")
		}
		there := func(dir string) bool { return pythonModule(tree, dir, asked) }
		return fromRoot(tree, folders, w, there, strings.ReplaceAll(asked[:i], ".", "/")+".py")
	}
	for _, dir := range folders[:1+lastIf(w, len(folders))] {
		for _, d := range pythonDefaults {
			if text, err := readStart(tree, path.Join(dir, d[0]+".py")); err == nil && defines(text, d[1]) {
				return path.Join(dir, d[0]) + "." + d[1], nil
			}
		}
	}
	return "", noHandler(tree, folders, w, "lambda_function.lambda_handler, handler.handler, main.handler or app.handler")
}

// defines reports whether the text of a Python module has a name at its top: a function, a
// value, or what it imports.
func defines(text []byte, name string) bool {
	n := regexp.QuoteMeta(name)
	return regexp.MustCompile(`(?m)^(?:(?:async\s+)?def\s+` + n + `\s*\(|` + n + `\s*(?::[^=\n]+)?=[^=]|from\s+\S+\s+import\s+(?:[^#\n]*[\s,(])?` + n + `\b)`).Match(text)
}

// noHandler says what was looked for and where, and what there is in its place.
func noHandler(tree fs.FS, folders []string, w Workload, what string) *BuildError {
	e := fault(w, CodeHandler, StepKeep, "no handler in "+w.Build.Dir+": looked for "+what, "")
	if w.Function.Handler != "" {
		e.Saw = fmt.Sprintf("the handler %s is not in %s: looked for %s", w.Function.Handler, w.Build.Dir, what)
	}
	name := "functions: { " + w.Build.Dir + ": { handler: "
	source := ""
	for _, dir := range folders {
		if source = typescriptOf(tree, dir, w.Function.Handler); source != "" {
			break
		}
	}
	switch there := codeIn(tree, folders[0]); {
	case source != "":
		e.Saw = source + " is TypeScript, and the build left no JavaScript of it"
		e.Help = "a build script in package.json, such as npm pkg set scripts.build=\"esbuild " + source + " --bundle --platform=node --outdir=dist\", and " + name + "dist/" +
			strings.TrimSuffix(path.Base(source), path.Ext(source)) + ".handler } }"
	case len(there) > 0:
		e.Help = name + path.Join(folders[0], strings.TrimSuffix(there[0], path.Ext(there[0]))) + ".NAME } } says what is called; there is " + strings.Join(there, ", ")
	default:
		e.Help = functionHelp
	}
	return e
}

// typescriptOf returns the file of TypeScript that a handler, or the usual one, is
// written in.
func typescriptOf(tree fs.FS, dir, handler string) string {
	names := []string{handler}
	if handler == "" {
		names = []string{"handler.handler", "index.handler", "src/handler.handler", "src/index.handler"}
	}
	for _, n := range names {
		if file := nodeModule(tree, dir, n, typescript); file != "" {
			return file
		}
	}
	return ""
}

// codeIn lists a few files of a folder that could hold a handler, which configurations do not.
func codeIn(tree fs.FS, dir string) []string {
	var out []string
	for _, ending := range append(slices.Clone(scripts), ".py") {
		found, err := fs.Glob(subtree(tree, dir), "*"+ending)
		if err == nil {
			out = append(out, found...)
		}
	}
	return out[:min(len(out), 5)]
}

// subtree is the files below dir; none where it is no folder.
func subtree(tree fs.FS, dir string) fs.FS {
	sub, err := fs.Sub(tree, dir)
	if err != nil {
		return noFiles{}
	}
	return sub
}

type noFiles struct{}

// Open finds nothing.
func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
