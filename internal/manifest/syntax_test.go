package manifest

import "testing"

// What YAML cannot read is told where the parser stopped, in words for people
// who do not know its grammar.
func TestSyntaxHints(t *testing.T) {
	t.Parallel()
	const above = "is the line above without a colon, or this one indented too far?"
	const neighbours = "is this line indented as those above it?"
	for src, want := range map[string]struct{ place, hint string }{
		"services:\n  web\n    build: .":                 {"T0300 5:10", above},
		"defaults:\n  bake: 1m\n    port: 80":            {"T0300 5:9", above},
		"defaults: { hooks: { release: a: b } }":         {"T0300 3:32", inQuotes},
		"defaults:\n  hooks:\n    release: ./a: b":       {"T0300 5:17", inQuotes},
		"services:\n  web:\n     build: .\n    port: 80": {"T0300 6:5", neighbours},
		"defaults:\n  secrets:\n    - A\n   - B":         {"T0300 6:4", neighbours},
		"services:\n  web\n  api: {}":                    {"T0300 5:6", above},
		"defaults":                                       {"T0300 3:1", "after a key stand a colon and a space: port: 8080"},
		"defaults: { bake: 1m":                           {"T0300 3:11", "what begins here has no end"},
		"defaults: { env: { A: \"x } }\n":                {"T0300 3:23", "what begins here has no end"},
		"together: [a, b\ndefaults: {}":                  {"T0300 4:9", "is the bracket that opens in line 3 closed?"},
		"defaults:\n  env: { A: \"C:\\Users\" }":         {"T0300 4:18", backslashes},
		"defaults:\n  secrets: - A":                      {"T0300 4:12", "a list stands in the lines below its key, or in [ ]"},
		"defaults:\n  build: @x":                         {"T0300 4:10", inQuotes},
		"defaults:\n  build: *x":                         {"T0300 4:10", inQuotes},
	} {
		_, problems := Parse([]byte("titrate: 1\napp: shop\n"+src), File)
		if got := told(problems); got != want.place || problems[0].Hint != want.hint {
			t.Errorf("%q: %s, %q; want %s, %q\n%s", src, got, problems[0].Hint, want.place, want.hint, problems)
		}
	}
}
