package importer

import (
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"titrate/internal/importer/serverless"
)

// bundlers are plugins of the Serverless Framework that put other files into the zip of
// a function than the repository has.
var bundlers = []string{
	"serverless-esbuild", "serverless-webpack", "serverless-bundle", "serverless-plugin-typescript", "serverless-plugin-optimize",
	"serverless-rollup-plugin", "serverless-plugin-vite", "serverless-vite", "serverless-swc", "serverless-parcel", "serverless-plugin-esbuild",
}

// bundle is how the zip of a function comes about.
type bundle struct{ dir, fetch, command, output string }

// said is the build of the function in the manifest's words.
func (u bundle) said(from *node) []said {
	out := []said{{"dir", u.dir, from}}
	for _, s := range []said{{"fetch", u.fetch, from}, {"command", u.command, from}, {"output", u.output, from}} {
		if s.value != "" {
			out = append(out, s)
		}
	}
	return out
}

// bundles finds the functions whose zip holds what a plugin has made of their code: these
// are built by the project's own framework, once for all of them. A zip that the project
// names as a function's is taken, where the repository holds it.
func (b *builder) bundles(p *serverless.Project) {
	b.bundle = map[string]bundle{}
	plugin := slices.IndexFunc(p.Plugins, func(s string) bool { return slices.Contains(bundlers, s) })
	dir := path.Dir(b.file)
	root, fetch, program := b.framed(dir)
	if program == "" && b.options.Packaged != nil {
		program = b.options.Packaged.Program
	}
	artifacts := b.artifacts()
	var made, unbuilt bool
	command := b.packs(program, dir, root)
	for _, f := range p.Functions {
		if zip := ownZip(p, f); zip != "" {
			if at, ok := repoPath(dir, zip); ok && b.exists(at) {
				b.bundle[f.Key] = bundle{dir: dir, output: path.Clean(zip)}
			}
			continue
		}
		zip, known := artifacts[f.Key]
		if !known {
			zip = p.Service + ".zip"
			if p.Package != nil && p.Package.Individually || f.Package != nil && f.Package.Individually {
				zip = f.Key + ".zip"
			}
		}
		node := f.Runtime == "" || strings.HasPrefix(f.Runtime, "nodejs") || open(f.Runtime)
		if !node || plugin < 0 && !b.elsewhere(f, zip) {
			continue
		}
		if program == "" {
			unbuilt = true
			continue
		}
		output := path.Join(below(dir, root), ".serverless", zip)
		if !made && len(p.Layers) > 0 {
			// The framework asks the account for the layers of the last release, once the zips
			// are made ("compareWithLastLayer").
			command += " || test -s " + quotedWord(path.Join(".serverless", zip))
		}
		made = true
		b.bundle[f.Key] = bundle{root, fetch, command, output}
	}
	at := slsNode(p.At, "plugins")
	by := "a plugin"
	if plugin >= 0 {
		by = p.Plugins[plugin]
		at.path += "." + by
	}
	b.bundled = made || unbuilt
	switch {
	case made:
		b.note(at, Changed, by+" makes other code of what the repository holds: "+program+" package builds it at each push, in a sandbox without the account, the network and the variables of this shell", "give ${env:…} and ${ssm:…} fallbacks that packing can do with")
	case unbuilt:
		b.note(at, Lost, by+" makes other code of what the repository holds, and no package.json has serverless or osls, which runs it: the functions are built from their folder", "npm install --save-dev serverless@3, then titrate import "+b.file)
	}
}

// ownZip is the zip that a project itself names as a function's.
func ownZip(p *serverless.Project, f serverless.Function) string {
	if f.Package != nil && f.Package.Artifact != "" {
		return f.Package.Artifact
	}
	if p.Package != nil && (f.Package == nil || !f.Package.Individually) {
		return p.Package.Artifact
	}
	return ""
}

// elsewhere reports whether the zip of a function holds the file of its handler, and
// the repository does not.
func (b *builder) elsewhere(f serverless.Function, zip string) bool {
	if b.options.Packaged == nil {
		return false
	}
	module := strings.TrimSuffix(f.Handler, path.Ext(f.Handler))
	for _, ext := range []string{".js", ".mjs", ".cjs"} {
		if slices.Contains(b.options.Packaged.Zips[zip], path.Clean(module+ext)) {
			return !b.exists(path.Join(path.Dir(b.file), module+ext))
		}
	}
	return false
}

// artifacts are the names of the zips of functions that the framework made.
func (b *builder) artifacts() map[string]string {
	out := map[string]string{}
	if b.options.Packaged == nil {
		return out
	}
	type artifact struct {
		Artifact string `json:"artifact"`
	}
	var state struct {
		Package artifact `json:"package"`
		Service struct {
			Functions map[string]struct {
				Package artifact `json:"package"`
			} `json:"functions"`
		} `json:"service"`
	}
	if json.Unmarshal(b.options.Packaged.State, &state) != nil {
		return out
	}
	for key, f := range state.Service.Functions {
		for _, at := range []string{f.Package.Artifact, state.Package.Artifact} {
			if name := path.Base(at); at != "" {
				out[key] = name
				break
			}
		}
	}
	return out
}

// framed is the nearest folder whose package.json has the framework, with what installs it
// there; program is empty where none has.
func (b *builder) framed(dir string) (root, install, program string) {
	for root = dir; ; root = path.Dir(root) {
		text, err := fs.ReadFile(b.tree, path.Join(root, "package.json"))
		var found struct {
			Dependencies    map[string]any `json:"dependencies"`
			DevDependencies map[string]any `json:"devDependencies"`
		}
		if err == nil && json.Unmarshal(text, &found) == nil {
			for _, name := range []string{"osls", "serverless"} {
				if found.Dependencies[name] != nil || found.DevDependencies[name] != nil {
					return root, b.installs(root), name
				}
			}
		}
		if root == "." || root == "/" {
			return dir, b.installs(dir), ""
		}
	}
}

// installs is the line that installs what a folder's lock file says.
func (b *builder) installs(dir string) string {
	for _, by := range []struct{ lock, line string }{
		{"package-lock.json", "npm ci"}, {"npm-shrinkwrap.json", "npm ci"}, {"yarn.lock", "yarn install --frozen-lockfile"}, {"pnpm-lock.yaml", "pnpm install --frozen-lockfile"},
	} {
		if b.exists(path.Join(dir, by.lock)) {
			return by.line
		}
	}
	return "npm install --no-audit --no-fund"
}

// packs is the line that makes the zips.
func (b *builder) packs(program, dir, root string) string {
	line := "npx " + program + " package"
	if base := path.Base(b.file); !slices.Contains([]string{"serverless.yml", "serverless.yaml", "serverless.json", "serverless.js", "serverless.cjs", "serverless.mjs", "serverless.ts"}, base) {
		line += " --config " + quotedWord(base)
	}
	if s := b.options.Stage; s != "" {
		line += " --stage " + quotedWord(s)
	}
	for _, name := range slices.Sorted(maps.Keys(b.options.Params)) {
		line += " --param " + quotedWord(name+"="+b.options.Params[name])
	}
	if dir != root {
		line = "cd " + quotedWord(below(dir, root)) + " && " + line
	}
	return line
}

// below is a folder, as seen from one that it is in.
func below(dir, root string) string {
	if root == "." {
		return dir
	}
	return path.Join(".", strings.TrimPrefix(strings.TrimPrefix(dir, root), "/"))
}

// quotedWord is a word of a shell line.
func quotedWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
