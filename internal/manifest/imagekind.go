package manifest

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Where an image is that does not come from a registry: a path in the repository
// stands after it.
const (
	ImageLayout  = "oci:" // a folder in the OCI image layout
	ImageArchive = "tar:" // an archive, as `docker save` or an OCI layout packed with tar makes
)

// The grammar of a reference to a registry: [HOST/]NAME[:TAG][@DIGEST]. See
// https://pkg.go.dev/github.com/distribution/reference.
var (
	imageName   = regexp.MustCompile(`^[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*)*$`)
	imageTag    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	imageDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	imageHost   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])(:[0-9]{1,5})?$`)
)

// imageKind is a reference to an image.
func imageKind() kind {
	return text(codeImage, "an image: nginx:1.27, ghcr.io/team/app@sha256:…, oci:FOLDER or tar:FILE", map[string]any{"minLength": 1}, checkImage)
}

// checkImage says what is wrong with a reference to an image.
func checkImage(s string) error {
	for _, scheme := range []string{ImageLayout, ImageArchive} {
		if p, ok := strings.CutPrefix(s, scheme); ok {
			if err := checkRepoPath(p); err != nil {
				return err
			}
			if path.Clean(p) == "." && scheme == ImageArchive {
				return errors.New("tar: names a file of the repository")
			}
			return nil
		}
	}
	switch {
	case s == "":
		return errors.New("an image has a name: nginx:1.27")
	case strings.Contains(s, "://"):
		return errors.New("an image stands without scheme: ghcr.io/team/app:1.2")
	case len(s) > 512:
		return errors.New("longer than 512 characters")
	}
	name, digest, pinned := strings.Cut(s, "@")
	if pinned && !imageDigest.MatchString(digest) {
		return errors.New("a digest is sha256: and 64 hexadecimal digits")
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		if !imageTag.MatchString(name[i+1:]) {
			return fmt.Errorf("the tag %q is not letters, digits, _, . and -", short(name[i+1:]))
		}
		name = name[:i]
	}
	if host, rest, ok := strings.Cut(name, "/"); ok && isRegistry(host) {
		if err := checkRegistry(host); err != nil {
			return err
		}
		name = rest
	}
	if !imageName.MatchString(name) {
		if lower := strings.ToLower(name); lower != name && imageName.MatchString(lower) {
			return fmt.Errorf("the name of an image is lower case: %s", lower)
		}
		return errors.New("[HOST/]NAME[:TAG][@DIGEST], such as nginx:1.27 or ghcr.io/team/app:1.2")
	}
	return nil
}

// isRegistry reports whether the first part of a reference is a host, as Docker
// has it: one with a dot or port, or localhost.
func isRegistry(part string) bool { return part == "localhost" || strings.ContainsAny(part, ".:[") }

// checkRegistry says what is wrong with the host of a registry.
func checkRegistry(s string) error {
	switch {
	case strings.Contains(s, "://"):
		return errors.New("a registry stands without scheme: ghcr.io")
	case strings.Contains(s, "/"):
		return errors.New("a registry is a host: ghcr.io, or localhost:5000")
	case len(s) > 253 || !imageHost.MatchString(s):
		return fmt.Errorf("%q is not a host name with or without a port", short(s))
	}
	return nil
}

// Run is how a service is started, where the manifest says it: at most one of the
// two. Neither: as its artifact or image says.
type Run struct {
	Line string   // a shell line; of an image: in place of its entrypoint and command
	Args []string // argv; of an image: in place of its command, given to its entrypoint
}

// Silent reports whether the manifest does not say it.
func (r Run) Silent() bool { return r.Line == "" && len(r.Args) == 0 }

const maxArgs = 200

// runKind is a shell line, or a list of arguments.
func runKind() kind {
	accepts := "a shell line, or a list of arguments: [node, server.js]"
	return kind{
		accepts: accepts,
		schema: map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "minLength": 1},
			map[string]any{"type": "array", "minItems": 1, "maxItems": maxArgs, "items": map[string]any{"type": []string{"string", "number", "boolean"}}},
		}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind != yaml.SequenceNode {
				s, ok := command().read(r, n, at)
				if !ok {
					return nil, false
				}
				return Run{Line: s.(string)}, true
			}
			if !r.atMost(n, at, len(n.Content), maxArgs) {
				return nil, false
			}
			var run Run
			size := 0
			for i, c := range n.Content {
				if c.Kind != yaml.ScalarNode || isNull(c) {
					r.wrongType(c, item(at, i), `text; the empty one is ""`)
					return nil, false
				}
				size += len(c.Value) + 1
				run.Args = append(run.Args, c.Value)
			}
			if run.Silent() || run.Args[0] == "" || size > maxValue || slices.ContainsFunc(run.Args, func(a string) bool { return strings.Contains(a, "\x00") }) {
				r.fault(n, Problem{Code: codeType, Path: at, Message: place(at) + " cannot be run", Hint: fmt.Sprintf("a program with its arguments, at most %d bytes, no zero byte", maxValue)})
				return nil, false
			}
			return run, true
		},
	}
}

// Registry says how images are pulled from one registry.
type Registry struct {
	Username string
	Password string // the name of the secret that holds it
}

const maxRegistries = 20

// registriesKind maps hosts of registries to who pulls from them.
func registriesKind() kind {
	accepts := "hosts with logins: { ghcr.io: { username: NAME, password: SECRET } }"
	return kind{
		accepts: accepts, null: true,
		schema: map[string]any{
			"type": []string{"object", "null"}, "maxProperties": maxRegistries,
			"additionalProperties": map[string]any{"$ref": "#/definitions/registry"},
		},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			out := map[string]Registry{}
			few := r.atMost(n, at, len(n.Content)/2, maxRegistries)
			for _, p := range r.pairs(n, at, accepts) {
				if err := checkRegistry(p.name); err != nil {
					r.fault(p.key, Problem{Code: codeHost, Path: p.path, Message: quote(p.name) + " cannot be a registry", Hint: err.Error()})
					continue
				}
				before := len(r.problems)
				l := r.table(p.value, p.path, inRegistry)
				for _, key := range []string{"username", "password"} {
					if _, ok := l[key]; !ok && len(r.problems) == before {
						r.fault(p.key, Problem{Code: codeMissing, Path: p.path, Message: p.path + " has no " + key, Hint: "{ username: NAME, password: SECRET }"})
					}
				}
				out[p.name] = Registry{Username: pick("", "username", l), Password: pick("", "password", l)}
			}
			return out, few
		},
	}
}
