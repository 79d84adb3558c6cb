package manifest

import (
	"testing"

	"titrate/internal/rollout"
)

func TestR26_DamageIsRequestsOrAShare(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]rollout.Damage{
		"50 requests": {Requests: 50}, "1 request": {Requests: 1}, " 7  requests ": {Requests: 7}, "1000000 requests": {Requests: 1_000_000},
		"0.5%": {Share: 50}, "100 %": {Share: rollout.Full}, "none": {},
	} {
		if got, err := parseDamage(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "50", "requests", "0 requests", "-1 requests", "+1 requests", "1.5 requests", "1000001 requests", "50 users", "0%", "101%", "0.001%", "50 requests or 1%"} {
		if got, err := parseDamage(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func TestR26_AGroupHasItsStrictestDamageBudget(t *testing.T) {
	t.Parallel()
	app, problems := Parse([]byte("titrate: 1\napp: shop\ndefaults: { damage: 50 requests, shield: errors }\nservices:\n  a: { route: /a, damage: 20 requests }\n  b: { route: /b, damage: 1% , shield: unavailable }\n  c: { route: /c, damage: none }\n"), File)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	e := app.Environments[0]
	for name, want := range map[string]rollout.Damage{"a": {Requests: 20}, "b": {Share: 100}, "c": {}} {
		if got := e.Plan(name).Damage; got != want {
			t.Errorf("%s may do %+v, want %+v", name, got, want)
		}
	}
	if got := e.Plan("a", "b", "c").Damage; got != (rollout.Damage{Requests: 20, Share: 100}) {
		t.Errorf("the group may do %+v", got)
	}
	a, _ := e.Service("a")
	b, _ := e.Service("b")
	if !a.Shield500 || b.Shield500 {
		t.Errorf("a shields 500: %v, b: %v", a.Shield500, b.Shield500)
	}
}

func FuzzDamage(f *testing.F) {
	for _, s := range []string{"50 requests", "0.5%", "none", "1 request"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseDamage(s)
		if err != nil {
			return
		}
		if again, err := parseDamage(writeDamage(d)); err != nil || again != d {
			t.Errorf("%q is %+v, and written anew %+v, %v", s, d, again, err)
		}
	})
}
