package manifest

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// pattern is one way to read a key of functions: a folder, or what several folders
// have in common. Between slashes * stands for any text; ** for any folders, and as
// the last part for at least one. What stands in [ ] is the folder's own name.
type pattern struct {
	text   string
	parts  []string
	blocks [][]string // parts between **; a ** at the end is one before a *
	wild   bool       // it has a *, and only a list of folders says which it means
}

// Bounds of what a key holds. Nobody needs more.
const (
	maxDeep   = 2 // **
	maxBraces = 4
)

// parsePatterns reads a key of functions. {a,b} makes a pattern of each, in that
// order. The error says what to write instead.
func parsePatterns(key string) ([]pattern, error) {
	texts, err := alternatives(key)
	if err != nil {
		return nil, err
	}
	var out []pattern
	for _, text := range texts {
		if err := checkRepoPath(text); err != nil {
			return nil, err
		}
		if clean := path.Clean(text); clean != text || clean == "." {
			if clean == "." {
				return nil, errors.New("a function has a folder of its own; build: . beside a name builds the root")
			}
			return nil, fmt.Errorf("write %s", short(clean))
		}
		p := pattern{text: text, parts: strings.Split(text, "/"), wild: strings.Contains(text, "*")}
		deep, block := 0, []string{}
		for i, part := range p.parts {
			if part == "**" {
				deep++
				p.blocks, block = append(p.blocks, block), []string{}
				if i == len(p.parts)-1 {
					block = append(block, "*")
				}
				continue
			}
			block = append(block, part)
			if strings.Contains(part, "**") {
				return nil, errors.New("** stands alone between slashes: api/**")
			}
		}
		p.blocks = append(p.blocks, block)
		if deep > maxDeep {
			return nil, fmt.Errorf("a pattern has at most %d ** in it", maxDeep)
		}
		if !slices.ContainsFunc(out, func(o pattern) bool { return o.text == text }) {
			out = append(out, p)
		}
	}
	return out, nil
}

// alternatives writes out each {a,b} of a key.
func alternatives(key string) ([]string, error) {
	out := []string{""}
	switch {
	case len(key) > 1024:
		return nil, errors.New("longer than 1024 characters")
	case strings.Count(key, "{") > maxBraces:
		return nil, fmt.Errorf("a pattern has at most %d braces", maxBraces)
	}
	for rest := key; rest != ""; {
		before, after, open := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return nil, errors.New("a } closes nothing: on/{created,paid}")
		}
		choices := []string{""}
		rest = ""
		if open {
			inner, tail, closed := strings.Cut(after, "}")
			if !closed || strings.Contains(inner, "{") {
				return nil, errors.New("names stand in braces, one level deep: on/{created,paid}")
			}
			choices, rest = strings.Split(inner, ","), tail
			for i := range choices {
				if choices[i] = strings.TrimSpace(choices[i]); choices[i] == "" {
					return nil, errors.New("a name in the braces is empty: on/{created,paid}")
				}
			}
		}
		if len(out)*len(choices) > maxFunctions {
			return nil, fmt.Errorf("the braces name more than %d folders", maxFunctions)
		}
		var longer []string
		for _, o := range out {
			for _, c := range choices {
				longer = append(longer, o+before+c)
			}
		}
		out = longer
	}
	return out, nil
}

// matches reports whether a folder is one of those that the pattern means.
func (p pattern) matches(folder string) bool { return p.match(folder, strings.Split(folder, "/")) }

// match is matches for a folder whose parts are known.
func (p pattern) match(folder string, parts []string) bool {
	if !p.wild {
		return p.text == folder
	}
	return matchBlocks(p.blocks, parts)
}

// matchBlocks matches folders with what stands between the ** of a pattern: what is
// first and last at both ends, the rest where it comes first, which loses nothing.
func matchBlocks(blocks [][]string, folders []string) bool {
	head, last := blocks[0], len(blocks)-1
	if last == 0 {
		return len(head) == len(folders) && matchBlock(head, folders)
	}
	tail := blocks[last]
	if len(folders) < len(head)+len(tail) || !matchBlock(head, folders) || !matchBlock(tail, folders[len(folders)-len(tail):]) {
		return false
	}
	folders = folders[len(head) : len(folders)-len(tail)]
	for _, block := range blocks[1:last] {
		for {
			if len(folders) < len(block) {
				return false
			}
			if matchBlock(block, folders) {
				break
			}
			folders = folders[1:]
		}
		folders = folders[len(block):]
	}
	return true
}

// matchBlock matches the first folders, which are there, with a part each.
func matchBlock(block, folders []string) bool {
	for i, part := range block {
		if !matchPart(part, folders[i]) {
			return false
		}
	}
	return true
}

// matchPart matches one folder's name with a part in which * stands for any text.
func matchPart(part, name string) bool {
	head, rest, star := strings.Cut(part, "*")
	if !star {
		return part == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		middle, after, more := strings.Cut(rest, "*")
		if !more {
			return len(name) >= len(rest) && strings.HasSuffix(name, rest)
		}
		i := strings.Index(name, middle)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(middle):], after
	}
}

// root is the folder that routes of functions are named below: of a pattern what
// stands before its first *, of a folder its first part.
func (p pattern) root() string {
	if !p.wild {
		if len(p.parts) == 1 {
			return ""
		}
		return p.parts[0]
	}
	i := slices.IndexFunc(p.parts, func(part string) bool { return strings.Contains(part, "*") })
	return strings.Join(p.parts[:i], "/")
}
