package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// told is where each problem stands.
func told(problems Problems) string {
	var parts []string
	for _, p := range problems {
		parts = append(parts, fmt.Sprintf("%s %d:%d", p.Code, p.Line, p.Column))
	}
	return strings.Join(parts, ", ")
}

// What is wrong with one thing hides nothing that is wrong with another.
func TestEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ src, want string }{
		"a control character":   {"defaults: { env: { A: \"\x00\u2028\" }, bogus: 1 }\nalso: 1", "T0309 3:24, T0309 3:25, T0312 3:31, T0312 4:1"},
		"a service's name":      {"services:\n  Web: { bogus: 1 }\n  网站: { bake: 5 }", "T0321 4:3, T0312 4:10, T0321 5:3, T0322 5:15"},
		"an environment's":      {"environments:\n  Prod: { bogus: 1, services: { nope: {}, Bad: {} } }", "T0321 4:3, T0312 4:11, T0356 4:33, T0321 4:43"},
		"an alarm's":            {"defaults:\n  alarms:\n    a b: 5xx > 1", "T0321 5:5, T0340 5:16"},
		"a variable's":          {"defaults: { env: { 9: [] } }", "T0326 3:20, T0320 3:23"},
		"a name and a group":    {"services: { Web: {}, api: {} }\ntogether: [Web, nope]", "T0321 3:13, T0350 4:17"},
		"a long alarm":          {"defaults: { alarms: { a: { metric: p98x, above: lots, for: 7x, min: many, react: foo, missing: zz, bogus: 1 } } }", "T0340 3:36, T0340 3:49, T0340 3:60, T0340 3:69, T0340 3:82, T0340 3:96, T0312 3:100"},
		"a long alarm's key":    {"defaults: { alarms: { a: { metric: p99, below: 1, min: twenty }, b: { above: [], for: 1x }, c: { mtric: p99, above: 1s } } }", "T0340 3:41, T0340 3:56, T0320 3:78, T0340 3:87, T0312 3:98"},
		"a short alarm":         {"defaults: { alarms: { a: 6xx > lots for 7x min many, b: 5xx < 1% } }", "T0340 3:26, T0340 3:32, T0340 3:41, T0340 3:48, T0340 3:61"},
		"an anchor":             {"defaults: &d { bogus: 1 }\nservices:\n  a: *d\n  b:\n    <<: *d\n    port: !!str x", "T0304 3:11, T0312 3:16, T0304 5:6, T0304 7:5, T0304 7:9, T0304 8:11, T0320 8:11"},
		"aliases of all":        {"x: &x []\ndefaults: *x\nservices: *x\nenvironments: { e: { scale: *x, alarms: { a: *x }, secrets: [*x], rollout: { steps: [*x, 1%] } } }\ntogether: [*x]", "T0312 3:1, T0304 3:4, T0304 4:11, T0304 5:11, T0304 6:29, T0304 6:46, T0304 6:62, T0304 6:86, T0332 6:90, T0350 7:11, T0304 7:12"},
		"an anchor and a group": {"services: { a: &a {}, b: {} }\ntogether: [a, c]", "T0304 3:16, T0350 4:15"},
		"steps that fall":       {"defaults: { rollout: { steps: [50%, 20%, 10%, 60%] } }", "T0332 3:37, T0332 3:42, T0332 3:47"},
		"a step that is none":   {"defaults: { rollout: { steps: [50%, x, 20%, { hook: a }, 60%] } }", "T0331 3:37, T0332 3:40, T0332 3:58"},
		"a hook after none":     {"defaults: { rollout: { steps: [x, { hook: a }, 100%] } }", "T0331 3:32"},
		"steps and blueGreen":   {"defaults: { rollout: { steps: [1%], blueGreen: {}, bogus: 1 } }", "T0330 3:22, T0332 3:32, T0312 3:52"},
		"members of a group":    {"services: { a: {}, b: {} }\ntogether: [1, [], nope]", "T0320 4:12, T0320 4:15, T0350 4:19"},
	} {
		_, problems := Parse([]byte("titrate: 1\napp: shop\n"+c.src+"\n"), File)
		if diff := cmp.Diff(c.want, told(problems)); diff != "" {
			t.Errorf("%s: %s\n%s", name, diff, problems)
		}
	}
}

// Where there are more problems than are told, those of the whole come first.
func TestTooManyEntriesAreToldFirst(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		"app: shop\nservices:\n" + indent(strings.ReplaceAll(list(300, "s%d: { bogus: 1 }"), ", ", "\n"), 2),
		"app: shop\ndefaults:\n  env:\n" + indent(strings.ReplaceAll(list(300, "%d: []"), ", ", "\n"), 4),
		"app: shop\ndefaults:\n  alarms:\n" + indent(strings.ReplaceAll(list(300, "a%d: []"), ", ", "\n"), 4),
		"app: shop\ndefaults:\n  secrets: [" + list(300, "%d") + "]\n",
	} {
		_, problems := Parse([]byte("titrate: 1\n"+src+"\n"), File)
		if len(problems) != maxProblems+1 || problems[0].Code != codeRange {
			t.Errorf("%.60s: %d problems, the first %s", src, len(problems), problems[0])
		}
	}
	_, problems := Parse([]byte(strings.ReplaceAll(list(300, "bogus%d: 1"), ", ", "\n")), File)
	if !strings.HasPrefix(told(problems), "T0310 1:1, T0311 1:1, T0312 1:1") {
		t.Errorf("%s", problems)
	}
}
