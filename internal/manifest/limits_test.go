package manifest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// One service with one setting, at the edge of what is allowed: an empty code is
// accepted.
func TestLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 40)
	for _, c := range []struct{ setting, code string }{
		{"port: 1", ""},
		{"port: 65535", ""},
		{"port: 0", codeRange},
		{"port: 99999999999999999999", codeType},
		{"port: 1_000", codeType},
		{"port: 080", codeType},
		{"port: -1", codeRange},
		{"port: 80.5", codeType},
		{"port: 2001-01-01", codeType},
		{"port: true", codeType},
		{"scale: 1", ""},
		{"scale: 100", ""},
		{"scale: 101", codeRange},
		{"limits:", ""},
		{"limits: { memory: 8MB, cpu: 0.01, processes: 16 }", ""},
		{"limits: { memory: 16384GB, cpu: 1000, processes: 1000000 }", ""},
		{"limits: { memory: 1.5GiB, cpu: 1.125 }", ""},
		{"limits: { memory: none, cpu: none, processes: none }", ""},
		{"limits: { memory: 7MB }", codeLimit},
		{"limits: { memory: 16385GB }", codeLimit},
		{"limits: { memory: 1.5MB }", codeLimit},
		{"limits: { memory: 99999999999999999999GB }", codeLimit},
		{"limits: { memory: true }", codeType},
		{"limits: { cpu: 0.009 }", codeLimit},
		{"limits: { cpu: 1000.001 }", codeLimit},
		{"limits: { processes: 15 }", codeLimit},
		{"limits: { processes: 1000001 }", codeLimit},
		{"limits: { processes: 99999999999999999999 }", codeLimit},
		{"readOnly: 1", codeType},
		{"bake: 0", ""},
		{"bake: 7d", ""},
		{"bake: 8d", codeRange},
		{"bake: 400d", codeRange},
		{"bake: 99999999h", codeRange},
		{"bake: 60 weeks", codeRange},
		{"bake: 1.5", codeType},
		{"bake: [1m]", codeType},
		{"drain: 1h", ""},
		{"drain: 61m", codeRange},
		{"startTimeout: 0s", codeRange},
		{"startTimeout: 1s", ""},
		{"noDataTimeout: 999ms", codeRange},
		{"host: shop.example.com", ""},
		{"host: localhost", ""},
		{"host: Shop.example", codeHost},
		{"host: a/b", codeHost},
		{"host: 'a:80'", codeHost},
		{"host: 127.0.0.1", codeHost},
		{"host: a..b", codeHost},
		{"host: -a.b", codeHost},
		{"host: " + strings.Repeat(long+".", 6) + "aaaaaaa", ""},
		{"host: " + strings.Repeat(long+".", 7), codeHost},
		{"host: ''", codeHost},
		{"host: " + strings.Repeat("a", 64), codeHost},
		{"route: /", ""},
		{"route: /a/b/", ""},
		{"route: /a%20b", ""},
		{"route: /%C3%a4", ""},
		{"route: /a%zz", codePath},
		{"route: /a%2", codePath},
		{"route: /%", codePath},
		{"health: /%2x", codePath},
		{"route: /a b", codePath},
		{"route: /ä", codePath},
		{"route: //a", codePath},
		{"route: '/a?b'", codePath},
		{"route: '/a*'", codePath},
		{"route: '/{id}'", codePath},
		{"route: /a/./b", codePath},
		{`route: '/a\b'`, codePath},
		{"route: /" + strings.Repeat("a", 1024), codePath},
		{"health: /up", ""},
		{"health: up", codePath},
		{"health: 5", codeType},
		{"build: a/../b", ""},
		{"build: ./a", ""},
		{"build: a/../../b", codePath},
		{"build: ..", codePath},
		{"build: ''", codePath},
		{"build: ~/x", codePath},
		{`build: 'a\b'`, codePath},
		{"build: 'C:/x'", codePath},
		{"build: .git", codePath},
		{"build: .github", ""},
		{`build: "a\0b"`, codePath},
		{"build: " + strings.Repeat("a", 1025), codePath},
		{"build: { command: ' ', output: x }", codeType},
		{"build: { command: " + strings.Repeat("a", 8193) + ", output: x }", codeType},
		{"secrets: [" + list(100, "S%d") + "]", ""},
		{"secrets: [" + list(101, "S%d") + "]", codeRange},
		{"secrets: [PORT]", codeVariable},
		{"secrets: [TITRATE_X]", codeVariable},
		{"secrets: [1]", codeType},
		{"secrets: [" + strings.Repeat("A", 129) + "]", codeVariable},
		{"env: { " + list(200, "E%d: x") + " }", ""},
		{"env: { " + list(201, "E%d: x") + " }", codeRange},
		{"env: { A: " + strings.Repeat("a", maxValue) + " }", ""},
		{"env: { A: " + strings.Repeat("a", maxValue+1) + " }", codeRange},
		{`env: { A: "\0" }`, codeRange},
		{"alarms: { " + list(50, "a%d: 5xx > 1%%") + " }", ""},
		{"alarms: { " + list(51, "a%d: 5xx > 1%%") + " }", codeRange},
		{"alarms: { a: { metric: true, above: 1% } }", codeType},
		{"alarms: { a: { metric: 5xx } }", codeAlarm},
		{"rollout: { steps: [" + strings.Repeat("5%, ", 98) + "5%" + ", 100%] }", ""},
		{"rollout: { steps: [" + strings.Repeat("5%, ", 99) + "5%" + ", 100%] }", codeRange},
		{"rollout: { steps: 5 }", codeType},
		{"rollout: { steps: [true, 100%] }", codeStep},
		{"rollout: { steps: [{ weight: 10.5, hold: 7d }, 100%] }", ""},
		{"rollout: { steps: [{ weight: '10' }, 100%] }", codeStep},
		{"rollout: { steps: [{ weight: '10 %' }, 100%] }", ""},
		{"rollout: { steps: [{ weight: 1e1 }, 100%] }", codeStep},
		{"rollout: { steps: [{ weight: [1] }, 100%] }", codeType},
		{"rollout: { steps: [{ weight: 0 }, 100%] }", codeStep},
		{"rollout: { blueGreen: { hold: 8d } }", codeRange},
		{"rollout: {}", codeStrategy},
		{"worker: true", ""},
		{"worker: TRUE", ""},
		{"worker: on", codeType},
		{"noData: skip", codeChoice},
		{"overlap: next", codeMisplaced},
		{"titrate: 1", codeMisplaced},
		{"functions: {}", codeMisplaced},
	} {
		src := "titrate: 1\napp: shop\nservices:\n  x: { " + c.setting + " }\n"
		app, problems := Parse([]byte(src), File)
		switch {
		case c.code == "" && app == nil:
			t.Errorf("%.80s refused: %s", c.setting, problems)
		case c.code != "" && (app != nil || problems[0].Code != c.code):
			t.Errorf("%.80s: want %s, got %s", c.setting, c.code, problems)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, hint := range map[string]string{
		"a": "", "a-1": "", strings.Repeat("a", 40): "",
		strings.Repeat("a", 41): `write "` + strings.Repeat("a", 40) + `"?`,
		"My App":                `write "my-app"?`,
		"my_app":                `write "my-app"?`,
		"-a-":                   `write "a"?`,
		"1st":                   "a letter, then letters, digits and dashes, all lower case, at most 40",
		"":                      "a letter, then letters, digits and dashes, all lower case, at most 40",
		"ü":                     "a letter, then letters, digits and dashes, all lower case, at most 40",
	} {
		if got, ok := checkName(name); got != hint || ok != (hint == "") {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
	for branch, good := range map[string]bool{
		"main": true, "feature/x-1": true, "v1.2": true, "a b": false, "/a": false, "a/": false, "a..b": false, "a~1": false, "x.lock": false, "@": false, "-x": false, "a@{1}": false, "a//b": false,
	} {
		if err := checkBranch(branch); (err == nil) != good {
			t.Errorf("%q: %v", branch, err)
		}
	}
	for _, src := range []string{
		"services: { " + list(201, "s%d: {}") + " }", "environments: { " + list(21, "e%d: {}") + " }", "together: [" + list(201, "s%d") + "]", "together: [[a, b], c]", "together: []", "together: [1, 2]",
	} {
		if app, _ := Parse([]byte("titrate: 1\napp: shop\n"+src+"\n"), File); app != nil {
			t.Errorf("accepted: %.60s", src)
		}
	}
}

func TestInvalidErrorHoldsTheProblems(t *testing.T) {
	t.Parallel()
	_, problems := Parse([]byte("titrate: 1\napp: shop\nbogus: 1\ndefaults: { noData: pass }\n"), File)
	var invalid *InvalidError
	if err := problems.Err(); !errors.As(err, &invalid) || len(invalid.Problems) != 1 || !strings.HasPrefix(err.Error(), "error[T0312]: ") {
		t.Errorf("%v", problems.Err())
	}
	app, problems := Parse([]byte("titrate: 1\napp: shop\ndefaults: { noData: pass }\n"), File)
	if app == nil || problems.Err() != nil || len(problems.Warnings()) != 1 {
		t.Errorf("a warning refuses: %v", problems)
	}
}

// list writes a format n times, with a number each, between commas.
func list(n int, format string) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(format, i))
	}
	return strings.Join(parts, ", ")
}
