package manifest

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// meaning is a pattern as a regular expression, which is slower and plainly right.
func meaning(p pattern) *regexp.Regexp {
	text := regexp.QuoteMeta(p.text)
	text = strings.ReplaceAll(text, `\*\*`, "\x00")
	text = strings.ReplaceAll(text, `\*`, `[^/]*`)
	text = regexp.MustCompile(`\x00/`).ReplaceAllString(text, `([^/]+/)*`)
	text = strings.ReplaceAll(text, "\x00", `.+`)
	return regexp.MustCompile(`(?s)^` + text + `$`)
}

func FuzzPatterns(f *testing.F) {
	for _, key := range []string{"api/**", "**/get", "a/**/b/**", "**/*b/**/c", "on/{a,b-*}", "{a,b}/{c,d}", "a/x*y*z", "[id]/*", "a}b", "{", "a//b", "**", "*", "a/**/**/b"} {
		f.Add(key, "a/b/get")
	}
	f.Fuzz(func(t *testing.T, key, folder string) {
		if !utf8.ValidString(key) {
			return // no manifest has such a key
		}
		patterns, err := parsePatterns(key)
		if err != nil {
			if err.Error() == "" || len(patterns) > 0 {
				t.Fatalf("%q: %v, %v", key, patterns, err)
			}
			return
		}
		if len(patterns) == 0 || len(patterns) > maxFunctions {
			t.Fatalf("%q: %d patterns", key, len(patterns))
		}
		for _, p := range patterns {
			if again, err := parsePatterns(p.text); err != nil || len(again) != 1 || again[0].text != p.text {
				t.Fatalf("%q: %q is read as %v, %v", key, p.text, again, err)
			}
			if root := p.root(); root != "" && !strings.HasPrefix(p.text, root+"/") {
				t.Fatalf("%q: root %q", p.text, root)
			}
			if !isFolder(folder) || path.Clean(folder) != folder || strings.HasPrefix(folder, "/") {
				continue
			}
			if got, want := p.matches(folder), meaning(p).MatchString(folder); got != want {
				t.Fatalf("%q and %q: %v, want %v", p.text, folder, got, want)
			}
		}
	})
}

// An event is kept as the JSON that its YAML means, and written so that it is read
// back as the same.
func FuzzEvent(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,-0,2.5e3,null,true,"x\u2028\u0007\ty☕🙂"],"":1}`, `{a: 2001-01-01, b: .inf, c: 0x1F, d: 1_000, "e: f": {g: [[[]]]}}`, `{a: *x}`, `[1]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		probe := func(text []byte) ([]byte, Problems) {
			if bytes.ContainsAny(text, "\r\n") {
				return nil, nil
			}
			app, problems := Parse(append([]byte("titrate: 1\napp: x\nfunctions:\n  fn:\n    probe: "), text...), File)
			if app == nil {
				return nil, problems
			}
			return app.Environments[0].Services[0].Function.Run.Probe, problems
		}
		got, _ := probe(event)
		if got == nil {
			return
		}
		if !json.Valid(got) || len(got) > maxEvent {
			t.Fatalf("%q is kept as %q", event, got)
		}
		if again, problems := probe([]byte(writeEvent(got))); !bytes.Equal(got, again) {
			t.Fatalf("%q is written %s and read as %q\n%s", got, writeEvent(got), again, problems)
		}
	})
}
