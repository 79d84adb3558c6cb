package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Bases returns the images from elsewhere that a Dockerfile is built on, each once,
// in its order: those of FROM and of COPY --from. args stand in for ARGs before the
// first FROM. What cannot be told from the text alone is left out.
func (c *Context) Bases(args map[string]string) ([]string, error) {
	text, err := c.Dockerfile()
	if err != nil {
		return nil, err
	}
	var out, stages []string
	add := func(name string) {
		inner := strings.ToLower(name)
		if name != "" && inner != "scratch" && !slices.Contains(stages, inner) && !slices.Contains(out, name) && !number.MatchString(name) {
			out = append(out, name)
		}
	}
	values := map[string]string{}
	begun := false
	lines := bytes.Split(text, []byte("\n"))
	for i := range lines {
		word := strings.Fields(instruction(lines[i:]))
		if len(word) < 2 {
			continue
		}
		switch strings.ToUpper(word[0]) {
		case "ARG":
			for _, a := range word[1:] {
				name, value, _ := strings.Cut(a, "=")
				if given, ok := args[name]; ok {
					value = given
				}
				if !begun {
					values[name] = expand(strings.Trim(value, `"'`), values)
				}
			}
		case "FROM":
			begun = true
			rest := slices.DeleteFunc(word[1:], func(w string) bool { return strings.HasPrefix(w, "--") })
			if len(rest) == 0 {
				continue
			}
			add(expand(rest[0], values))
			if len(rest) == 3 && strings.EqualFold(rest[1], "as") {
				stages = append(stages, strings.ToLower(rest[2]))
			}
		case "COPY":
			for _, w := range word[1:] {
				if from, ok := strings.CutPrefix(w, "--from="); ok {
					add(expand(from, nil))
				}
			}
		}
	}
	return out, nil
}

var (
	number   = regexp.MustCompile(`^[0-9]+$`) // of a stage
	variable = regexp.MustCompile(`\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))`)
)

// expand replaces variables; empty: one has no value.
func expand(s string, values map[string]string) string {
	known := true
	s = variable.ReplaceAllStringFunc(s, func(m string) string {
		part := variable.FindStringSubmatch(m)
		value := values[part[1]+part[4]]
		switch {
		case part[2] == "-" && value == "":
			value = part[3]
		case part[2] == "+" && value != "":
			value = part[3]
		}
		known = known && (value != "" || part[2] == "+")
		return value
	})
	if !known {
		return ""
	}
	return s
}

// PullBases pulls those of the images that are not there and whose registry has
// credentials: BuildKit asks nobody for these.
func (e *Engine) PullBases(ctx context.Context, bases []string, auth map[string]Auth, log io.Writer) error {
	for _, ref := range bases {
		a, ok := auth[registryOf(ref)]
		if !ok {
			continue
		}
		if _, err := e.Image(ctx, ref); !errors.Is(err, ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		fmt.Fprintln(log, "pull "+ref)
		if err := e.Pull(ctx, ref, a); err != nil {
			return err
		}
	}
	return nil
}

// hub is the name of Docker's registry.
const hub = "docker.io"

// registryOf returns the host of a reference, as Docker reads it.
func registryOf(ref string) string {
	host, _, ok := strings.Cut(ref, "/")
	if !ok || host != "localhost" && !strings.ContainsAny(host, ".:") {
		return hub
	}
	return host
}

// configKey is the name that Docker has for a registry where it looks credentials up.
func configKey(host string) string {
	if host == hub {
		return "https://index.docker.io/v1/"
	}
	return host
}
