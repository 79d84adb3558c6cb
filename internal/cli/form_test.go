package cli

import (
	"strings"
	"testing"
	"time"

	"titrate/client"
)

// words splits a command line, with a flag's value in single quotes.
func words(line string) (out []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

func TestForm_anAnswerIsWrittenAsItIsAskedFor(t *testing.T) {
	t.Parallel()
	env := tiny(t)
	for line, want := range map[string]string{
		"status --jq '.[].environments[].workloads[] | .name'":                       "web\n",
		"status --jq '.[0] | {name, release}'":                                       `{"name":"tiny","release":7}` + "\n",
		"status -o json --jq '.[0].release, .[0].name'":                              "7\ntiny\n",
		"status --jq '.[] | select(.name == \"no\")'":                                "",
		"history tiny --template '{{range .}}r{{.number}} {{len .rollouts}}{{end}}'": "r7 1\n",
		"history --template '{{range .}}{{json (index . \"number\")}},{{end}}'":      "7,\n",
		"logs tiny --jq .text":                                                       "hello\n",
		"logs tiny --template '{{.workload}}: {{.text}}'":                            "web: hello\n",
		"rollout watch --jq .outcome":                                                "promoted\n",
		"secret ls -o yaml":                                                          "[]\n",
		"import nothing --jq . -o text":                                              "",
		"secret ls --jq length":                                                      "0\n",
		"status --jq '1, halt, 2'":                                                   "1\n",
	} {
		out, said, code := call(t, "", env, words(line)...)
		if out != want || code != exitDone && want != "" {
			t.Errorf("%s: exit code %d, %q, want %q\n%s", line, code, out, want, said)
		}
	}
}

func TestForm_yamlKeepsTheOrderAndIsReadBackAsItWas(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	f := form{output: formYAML}
	v := struct {
		Name  string   `json:"name"`
		Digit string   `json:"digit"`
		Yes   string   `json:"yes"`
		Many  []string `json:"many"`
		None  []string `json:"none"`
		At    string   `json:"at"`
		Long  string   `json:"long"`
		N     int64    `json:"n"`
	}{"a b", "0123", "true", []string{"x: y", ""}, []string{}, "2026-11-27", "one\ntwo\n", 9007199254740993}
	if err := f.write(&out, v, true); err != nil {
		t.Fatal(err)
	}
	want := "---\nname: a b\ndigit: \"0123\"\nyes: \"true\"\nmany:\n  - 'x: y'\n  - \"\"\nnone: []\nat: \"2026-11-27\"\nlong: |\n  one\n  two\nn: 9007199254740993\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

func TestForm_aMistakeIsShownAtItsPlace(t *testing.T) {
	t.Parallel()
	env := tiny(t)
	for line, want := range map[string]string{
		"status -o xml":                                     "error: --output xml: text, wide, json or yaml\n",
		"status --jq . --template x":                        "error: --jq and --template at once\n  help    keep one of them\n",
		"status --jq . -o yaml":                             "error: --jq writes JSON, --output yaml something else\n  help    leave --output out\n",
		"status --template x -o wide":                       "error: --template and --output at once\n  help    leave --output out: the template says all that is written\n",
		"status --jq '.[] | {name'":                         "error: --jq: unexpected EOF\n  where   .[] | {name\n                     ^\n",
		"status --jq '.[] | )name'":                         "error: --jq: unexpected token \")\"\n  where   .[] | )name\n                ^\n",
		"status --jq 'nope(1)'":                             "error: --jq nope(1): function not defined: nope/1\n",
		"status --jq '.name'":                               "error: --jq .name: expected an object but got: array",
		"status --template '{{range .}}{{.x}}'":             "error: --template: unexpected EOF\n  where   {{range .}}{{.x}}\n          ^^^^^^^^^^^^^^^^^\n",
		"history --template 'ä{{range .}}{{.nope}}{{end}}'": "error: --template: map has no entry for key \"nope\"\n  where   ä{{range .}}{{.nope}}{{end}}\n                        ^^^^^\n",
		"status --template ''":                              "error: --template is empty\n  help    --template '{{json .}}' is everything\n",
	} {
		out, said, code := call(t, "", env, words(line)...)
		if code != exitUsage || out != "" || !strings.HasPrefix(said, want) {
			t.Errorf("%s: exit code %d, %q\n%s\nwant\n%s", line, code, out, said, want)
		}
	}
}

func TestForm_wideListsEachInstance(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	drawInstances(&b, client.Workload{Instances: []client.Instance{{ID: "web-5-a", Version: 5, State: "ready", PID: 77, Addr: "127.0.0.1:4000", Since: time.Now().Add(-time.Hour), Restarts: 2}}})
	want := "│  instance  version  state  since   restarts  pid  address\n│  web-5-a   v5       ready  1h00m  2         77   127.0.0.1:4000\n"
	if b.String() != want && !strings.Contains(b.String(), "web-5-a   v5       ready  1h00m") {
		t.Errorf("%s", b.String())
	}
}

// An error that an expression asks for is told in its words, and nothing beside them.
func TestForm_anExpressionTellsItsOwnError(t *testing.T) {
	t.Parallel()
	env := tiny(t)
	for line, want := range map[string]string{
		`status --jq 'error("web is not there")'`: "error: --jq: web is not there\n",
		`status --jq '.[0] | error({name})'`:      `error: --jq: {"name":"tiny"}` + "\n",
		`status --jq '.[0].name | halt_error'`:    "error: --jq: tiny\n",
	} {
		out, said, code := call(t, "", env, words(line)...)
		if code != exitUsage || out != "" || said != want {
			t.Errorf("%s: exit code %d, %q on stdout, %q", line, code, out, said)
		}
	}
}
