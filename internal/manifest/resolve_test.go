package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"

	"github.com/google/go-cmp/cmp"
)

// Each of the 16 combinations of places that say something, for each setting:
// the most specific wins.
func TestMostSpecificWins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key    string
		values [4]string // in defaults, services.X, environments.E, environments.E.services.X
		got    func(Service) string
	}{
		{"port", [4]string{"1", "2", "3", "4"}, func(s Service) string { return fmt.Sprint(s.Port) }},
		{"health", [4]string{"/a", "/b", "/c", "/d"}, func(s Service) string { return s.Health }},
		{"scale", [4]string{"1", "2", "3", "4"}, func(s Service) string { return fmt.Sprint(s.Scale) }},
		{"bake", [4]string{"1m", "2m", "3m", "4m"}, func(s Service) string { return FormatDuration(s.Bake) }},
		{"drain", [4]string{"1m", "2m", "3m", "4m"}, func(s Service) string { return FormatDuration(s.Drain) }},
		{"startTimeout", [4]string{"1m", "2m", "3m", "4m"}, func(s Service) string { return FormatDuration(s.StartTimeout) }},
		{"damage", [4]string{"1 request", "20 requests", "0.5%", "none"}, func(s Service) string { return writeDamage(s.Damage) }},
		{"noDataTimeout", [4]string{"1m", "2m", "3m", "4m"}, func(s Service) string { return FormatDuration(s.NoDataTimeout) }},
		{"rollout", [4]string{"AllAtOnce", "blueGreen", "Canary10Percent5Minutes", "Canary20Percent5Minutes"}, func(s Service) string { return s.Strategy }},
		{"env", [4]string{"{ A: a }", "{ A: b }", "{ A: c }", "{ A: d }"}, func(s Service) string { return "{ A: " + s.Env["A"] + " }" }},
		{"alarms", [4]string{"{ a: 5xx > 1% }", "{ a: 5xx > 2% }", "{ a: 5xx > 3% }", "{ a: 5xx > 4% }"}, func(s Service) string { return "{ a: " + s.Alarms[0].Text + " }" }},
		{"hooks", [4]string{"{ release: a }", "{ release: b }", "{ release: c }", "{ release: d }"}, func(s Service) string { return "{ release: " + s.Hooks.Release + " }" }},
	} {
		for set := 1; set < 16; set++ {
			at := func(i int) string {
				if set&(1<<i) == 0 {
					return "{}"
				}
				return "{ " + c.key + ": " + c.values[i] + " }"
			}
			want := ""
			for i, v := range c.values {
				if set&(1<<i) != 0 {
					want = v
				}
			}
			override := strings.TrimSuffix(at(2), "}")
			if set&4 != 0 {
				override += ", "
			}
			src := fmt.Sprintf("titrate: 1\napp: shop\ndefaults: %s\nservices: { x: %s, y: {} }\nenvironments: { production: %s services: { x: %s } } }\n", at(0), at(1), override, at(3))
			if got := c.got(service(t, good(t, src), "production", "x")); got != want {
				t.Errorf("%s: got %s, want %s in\n%s", c.key, got, want, src)
			}
		}
	}
}

func TestEnvAlarmsHooksAndSecretsAreMerged(t *testing.T) {
	t.Parallel()
	app := good(t, `
titrate: 1
app: shop
defaults:
  env: { A: 1, B: 08 }
  secrets: [S2, S1]
  alarms: { errors: 5xx > 1%, latency: p99 > 1s }
  hooks: { release: ./migrate up, preTraffic: ./smoke }
services:
  x:
    env: { B: "x: y", C: true }
    secrets: [S3, S1]
    alarms: { latency: none, slow: p50 > 1s }
    hooks: { preTraffic: none, AfterAllowTraffic: ./after }
  y: { alarms: none }
environments:
  uat: { alarms: { errors: 5xx > 5% }, services: { y: { alarms: { own: 4xx > 9% } } } }
  production:
`)
	x := service(t, app, "production", "x")
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "x: y", "C": "true"}, x.Env); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "08"}, service(t, app, "production", "y").Env); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"S1", "S2", "S3"}, x.Secrets); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(rollout.Hooks{Release: "./migrate up", PostTraffic: "./after"}, x.Hooks); diff != "" {
		t.Error(diff)
	}
	for at, want := range map[[2]string]string{
		{"production", "x"}: "errors=5xx > 1% slow=p50 > 1s",
		{"uat", "x"}:        "errors=5xx > 5% slow=p50 > 1s",
		{"production", "y"}: "",
		{"uat", "y"}:        "errors=5xx > 5% own=4xx > 9%",
	} {
		var got []string
		for _, a := range service(t, app, at[0], at[1]).Alarms {
			got = append(got, a.Name+"="+a.Text)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v: %v, want %s", at, got, want)
		}
	}
}

func TestAlarmsLongAndShortAreTheSame(t *testing.T) {
	t.Parallel()
	app := good(t, `
titrate: 1
app: shop
defaults:
  alarms:
    a: 5xx > 1% for 2m min 50
    b: { metric: 5xx_rate, above: 1%, for: 2m, min: 50 }
    c: "p99 > 1.2x stable in 3 of 5 for 50s then pause"
    d: { metric: p99, above: 1.2x stable, for: 50s, of: 3 of 5, react: pause }
    e: { metric: rps, below: 5, missing: breaching }
    f: rps < 5 missing breaching
`)
	a := service(t, app, "production", "shop").Alarms
	for i := 0; i < len(a); i += 2 {
		first, second := a[i], a[i+1]
		second.Name = first.Name
		if diff := cmp.Diff(first, second); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	app := good(t, `
titrate: 1
app: shop
defaults: { port: 8080, health: /healthz, alarms: { errors: 5xx > 1%, memory: memory > 90% } }
services:
  store: { host: shop.localhost }
  mail: { worker: true }
`)
	w := service(t, app, "production", "mail")
	if !w.Worker || w.Port != 0 || w.Health != "" || w.Host != "" || w.Route != "" {
		t.Errorf("%+v", w)
	}
	if len(w.Alarms) != 1 || w.Alarms[0].Metric != analysis.Memory {
		t.Errorf("alarms %v", w.Alarms)
	}
	quiet := service(t, good(t, "titrate: 1\napp: shop\nservices: { mail: { worker: true } }\n"), "production", "mail")
	if len(quiet.Alarms) != 0 {
		t.Errorf("the default alarms are about requests: %v", quiet.Alarms)
	}
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	app := good(t, `
titrate: 1
app: shop
defaults: { overlap: queue }
environments:
  sandbox: { deploy: manual, overlap: supersede, noData: pass, onSourceError: rollback, rollback: gradual, connections: drain }
  uat: { deploy: feature/x }
  production:
`)
	var got []string
	for _, e := range app.Environments {
		s := e.Services[0]
		got = append(got, fmt.Sprintf("%s%v %s %v %v %v %s", e.Name, e.Deploy, e.Overlap, s.NoDataPasses, s.SourceErrorRollback, s.Gradual, s.Host))
	}
	if diff := cmp.Diff([]string{
		"sandbox{true } supersede true true true sandbox.shop.localhost",
		"uat{false feature/x} queue false false false uat.shop.localhost",
		"production{false } queue false false false shop.localhost",
	}, got); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		env, branch string
		want        bool
	}{{"sandbox", "main", false}, {"uat", "feature/x", true}, {"uat", "main", false}, {"production", "main", true}, {"production", "feature/x", false}} {
		e, _ := app.Environment(c.env)
		if got := e.Deploy.Takes(c.branch, "main"); got != c.want {
			t.Errorf("%s takes %s: %v", c.env, c.branch, got)
		}
	}
}

// Each case is services and environments, and who is reached where.
func TestReach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ src, want string }{
		"one service answers on the app's name": {
			"services: { x: {} }", "production/x=shop.localhost/",
		},
		"routes share the app's name": {
			"services: { x: { route: / }, y: { route: /y/ }, z: {} }", "production/x=shop.localhost/ production/y=shop.localhost/y production/z=",
		},
		"routes share the one host that is named": {
			"services: { x: { host: a.example }, y: { route: /y } }", "production/x=a.example/ production/y=a.example/y",
		},
		"defaults name the host of routes, not of every service": {
			"defaults: { host: a.example }\nservices: { x: { route: / }, y: { host: b.example }, z: {} }", "production/x=a.example/ production/y=b.example/ production/z=",
		},
		"none takes it away": {
			"services: { x: { host: none } }", "production/x=",
		},
		"none takes a route away": {
			"services: { x: { host: a.example }, y: { route: /y } }\nenvironments: { production: { services: { y: { route: none } } } }", "production/x=a.example/ production/y=",
		},
		"every environment but production has its own name": {
			"services: { x: { host: a.example }, y: { route: /y } }\nenvironments: { uat: {}, production: {}, sandbox: {} }",
			"uat/x=uat.a.example/ uat/y=uat.a.example/y production/x=a.example/ production/y=a.example/y sandbox/x=sandbox.a.example/ sandbox/y=sandbox.a.example/y",
		},
		"without production the last one has the plain name": {
			"services: { x: {} }\nenvironments: { dev: {}, live: {} }", "dev/x=dev.shop.localhost/ live/x=shop.localhost/",
		},
		"what an environment says stands as written": {
			"services: { x: { host: a.example }, y: { route: /y } }\nenvironments: { uat: { host: u.example, services: { x: { host: v.example } } }, production: {} }",
			"uat/x=v.example/ uat/y=u.example/y production/x=a.example/ production/y=a.example/y",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, e := range good(t, "titrate: 1\napp: shop\n"+c.src+"\n").Environments {
				for _, s := range e.Services {
					got = append(got, e.Name+"/"+s.Name+"="+s.Host+s.Route)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestR23_TogetherIsOnePlan(t *testing.T) {
	t.Parallel()
	app := good(t, `
titrate: 1
app: shop
services:
  store: { host: shop.localhost, rollout: AllAtOnce }
  credits: { rollout: { blueGreen: { keep: 1h } }, bake: 5m, scale: 2, drain: 1m, hooks: { release: ./up }, noData: pass }
  giftcards: { rollout: { blueGreen: { keep: 1h } }, bake: 20m, startTimeout: 5m, noDataTimeout: 1h, onSourceError: rollback, alarms: { e: 5xx > 5% } }
  mail: { worker: true, rollback: gradual }
together: [giftcards, credits]
environments: { production: { overlap: supersede } }
`)
	e := app.Environments[0]
	if diff := cmp.Diff([][]string{{"store"}, {"credits", "giftcards"}, {"mail"}}, e.Groups()); diff != "" {
		t.Error(diff)
	}
	alarm, err := analysis.ParseAlarm("e", "5xx > 5%")
	if err != nil {
		t.Fatal(err)
	}
	want := rollout.Plan{
		App: "shop", Env: "production", Kind: rollout.Forward, Attempt: 1, Strategy: "blueGreen", Overlap: rollout.OverlapSupersede,
		Members: []rollout.Member{
			{Workload: "credits", Instances: 2, Alarms: analysis.Defaults(), Hooks: rollout.Hooks{Release: "./up"}},
			{Workload: "giftcards", Instances: 1, Alarms: []analysis.Alarm{alarm}},
		},
		Steps: []rollout.Step{{Weight: rollout.Full}}, FullCapacity: true, Keep: time.Hour,
		Bake: 20 * time.Minute, Drain: time.Minute, StartTimeout: 5 * time.Minute, NoDataTimeout: time.Hour, HookTimeout: 5 * time.Minute, MaxRestarts: 3,
		SourceErrorRollback: true,
	}
	if diff := cmp.Diff(want, e.Plan("giftcards", "credits")); diff != "" {
		t.Error(diff)
	}
	if p := e.Plan("credits"); len(p.Members) != 1 || !p.NoDataPasses || p.SourceErrorRollback {
		t.Errorf("%+v", p)
	}
	if p := e.Plan("mail"); !p.Members[0].Worker || !p.Gradual {
		t.Errorf("%+v", p)
	}
	if p := e.Plan("nobody"); len(p.Members) != 0 || p.NoDataPasses {
		t.Errorf("%+v", p)
	}
	all := good(t, "titrate: 1\napp: shop\nservices: { a: {}, b: {}, c: {} }\ntogether: all\n").Environments[0]
	if diff := cmp.Diff([][]string{{"a", "b", "c"}}, all.Groups()); diff != "" {
		t.Error(diff)
	}
	if alone := good(t, "titrate: 1\napp: shop\ntogether: all\n"); len(alone.Together) != 0 {
		t.Errorf("one service is a group: %v", alone.Together)
	}
}

// A variable that holds an address is one entry of env: a more specific place
// may give it another meaning, and the long form says the same.
func TestAddressesAreMergedByNameAndWrittenOut(t *testing.T) {
	t.Parallel()
	src := "titrate: 1\napp: shop\nservices:\n  catalog: {}\n  store:\n    env:\n      CATALOG_URL: { service: catalog, path: /v1 }\n      CATALOG_HOST: { service: catalog, as: host }\n" +
		"environments:\n  uat:\n    services:\n      store: { env: { CATALOG_URL: http://elsewhere } }\n  production: {}\n"
	app, problems := Parse([]byte(src), File)
	if app == nil {
		t.Fatal(problems)
	}
	of := func(app *App, env string) Service {
		e, _ := app.Environment(env)
		s, _ := e.Service("store")
		return s
	}
	want := map[string]rollout.Address{
		"CATALOG_URL":  {Service: "catalog", As: rollout.AddressURL, Path: "/v1"},
		"CATALOG_HOST": {Service: "catalog", As: rollout.AddressHost},
	}
	if diff := cmp.Diff(want, of(app, "production").Addresses); diff != "" {
		t.Error(diff)
	}
	delete(want, "CATALOG_URL")
	if diff := cmp.Diff(want, of(app, "uat").Addresses); diff != "" {
		t.Error(diff)
	}
	if got := of(app, "uat").Env["CATALOG_URL"]; got != "http://elsewhere" {
		t.Errorf("in uat it is %q", got)
	}
	long := Expand(app)
	again, problems := Parse([]byte(long), File)
	if again == nil {
		t.Fatalf("%s\n%s", long, problems)
	}
	if diff := equal(app, again); diff != "" {
		t.Errorf("%s\n%s", long, diff)
	}
	for name, text := range map[string]string{"the short form": src, "the long form": long} {
		if err := validate(t, []byte(text)); err != nil {
			t.Errorf("the schema refuses %s: %v", name, err)
		}
	}
}
