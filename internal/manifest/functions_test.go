package manifest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"

	"github.com/google/go-cmp/cmp"
)

// function returns a function, by its folder, of an environment that must be there.
func function(t *testing.T, app *App, env, path string) Service {
	t.Helper()
	e, _ := app.Environment(env)
	for _, s := range e.Services {
		if s.Function != nil && s.Function.Path == path {
			return s
		}
	}
	t.Fatalf("no function %s in %s", path, env)
	return Service{}
}

// goodIn parses a manifest with folders, which must be without errors.
func goodIn(t *testing.T, src string, folders ...string) *App {
	t.Helper()
	app, problems := Parse([]byte(src), File, folders...)
	if err := problems.Err(); err != nil {
		t.Fatalf("refused:\n%s\n%s", src, err)
	}
	return app
}

// sixty are the files of a repository with sixty functions.
func sixty() []string {
	var files []string
	add := func(format string, names ...string) {
		for _, n := range names {
			files = append(files, fmt.Sprintf(format, n))
		}
	}
	for _, noun := range []string{"pickups", "quotes", "drivers", "facilities", "invoices", "reports", "addresses"} {
		add("api/"+noun+"/%s/index.mjs", "get", "post")
		add("api/"+noun+"/[id]/%s/index.mjs", "get", "put", "delete")
	}
	add("api/payments/%s/index.mjs", "post", "get", "delete")
	add("api/search/%s/index.mjs", "get", "post")
	add("api/health/%s/index.mjs", "get")
	add("jobs/%s/main.go", "nightly-report", "close-month", "retry-payments", "expire-carts", "sync-catalog", "sync-stock", "rotate-feeds", "refresh-rates", "prune-sessions")
	add("on/%s/handler.py", "order-created", "order-paid", "order-shipped", "refund", "dispute", "chargeback", "stock-low", "stock-out", "invoice-uploaded", "email-bounced")
	add("%s", "titrate.yaml", "hooks/smoke", "api/README.md", "node_modules/x/index.js", "api/pickups/get/node_modules/x/index.js", ".github/x.js", "main_test.go", "lib/shared.js")
	return files
}

// One file of at most 45 lines holds sixty functions, with all that calls them.
func TestSixtyFunctions(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/functions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(src), "\n"); lines > 45 {
		t.Errorf("%d lines", lines)
	}
	app := goodIn(t, string(src), Folders(sixty())...)
	for _, e := range app.Environments {
		if len(e.Services) != 60 || e.Waves != 15 || len(e.Groups()) != 1 {
			t.Fatalf("%s: %d functions, %d waves, %d groups", e.Name, len(e.Services), e.Waves, len(e.Groups()))
		}
		p := e.Plan(e.Groups()[0]...)
		checkPlan(t, p)
		if p.Waves != 15 || slices.ContainsFunc(p.Members, func(m rollout.Member) bool { return !m.Function || m.Worker || m.Instances != 1 }) {
			t.Errorf("%+v", p)
		}
		callers := map[string]int{}
		for _, s := range e.Services {
			f := s.Function
			callers["http"] += len(f.Triggers.Routes)
			callers["cron"] += len(f.Triggers.Schedules)
			callers["queue"] += len(f.Triggers.Queues)
			callers["topic"] += len(f.Triggers.Topics)
			if (s.Host == "") != (len(f.Triggers.Routes) == 0) || s.Route != "" || s.Build.Dir != f.Path || s.Port != 0 || s.Image != "" || s.Scale != 1 {
				t.Errorf("%+v", s)
			}
			if s.Drain < f.Run.Timeout {
				t.Errorf("R17: %s has %s to end a call of %s", s.Name, s.Drain, f.Run.Timeout)
			}
		}
		if diff := cmp.Diff(map[string]int{"http": 41, "cron": 9, "queue": 6, "topic": 4}, callers); diff != "" {
			t.Error(diff)
		}
	}
	get := function(t, app, "uat", "api/pickups/[id]/get")
	if get.Name != "api-pickups-id-get" || get.Host != "uat.collect.localhost" || get.Limits.Memory != 256<<20 || get.Strategy != "Linear10PercentEvery1Minute" {
		t.Errorf("%+v", get)
	}
	want := &Function{
		Path: "api/pickups/[id]/get", Run: rollout.Function{Runtime: "nodejs22", Timeout: 10 * time.Second}, Scale: rollout.Scale{Max: 50},
		Triggers: rollout.Triggers{Routes: []string{"GET /pickups/{id}"}, Payload: "2.0"},
	}
	if diff := cmp.Diff(want, get.Function); diff != "" {
		t.Error(diff)
	}
	if pay := function(t, app, "production", "api/payments/post"); pay.Function.Triggers.Routes[0] != "POST /payments" || pay.Limits.Memory != 512<<20 ||
		pay.Function.Run.Timeout != 29*time.Second || !slices.Equal(pay.Secrets, []string{"DATABASE_URL", "STRIPE_KEY"}) || pay.Host != "collect.localhost" {
		t.Errorf("%+v %+v", pay, pay.Function)
	}
	if find := function(t, app, "production", "api/search/get"); find.Function.Scale != (rollout.Scale{Min: 2, Max: 100}) || find.Limits.Memory != 1<<30 {
		t.Errorf("%+v", find.Function)
	}
	if job := function(t, app, "sandbox", "jobs/close-month"); job.Drain != 15*time.Minute || job.Strategy != "AllAtOnce" || job.Function.Triggers.Schedules[0].Expression != "0 3 1 * *" {
		t.Errorf("%+v", job)
	}
	queue := rollout.QueueTrigger{Queue: rollout.Queue{Name: "payments-exceptions", Visibility: 30 * time.Second, Retention: 4 * 24 * time.Hour}, Batch: 1}
	if diff := cmp.Diff([]rollout.QueueTrigger{queue}, function(t, app, "uat", "on/dispute").Function.Triggers.Queues); diff != "" {
		t.Error(diff)
	}
	long := Expand(app)
	again := goodIn(t, long)
	if diff := equal(app, again); diff != "" {
		t.Error(diff)
	}
	if err := validate(t, src); err != nil {
		t.Error(err)
	}
	if err := validate(t, []byte(long)); err != nil {
		t.Error(err)
	}
}

// Of all the places that speak of a function the most specific wins: defaults, shorter
// patterns, longer ones, its own key; then the same in its environment.
func TestMostSpecificOfAFunctionWins(t *testing.T) {
	t.Parallel()
	places := []string{"", "  \"**\": %s\n", "  a/**: %s\n", "  a/b/*: %s\n", "  a/b/{c,d}: %s\n", "  a/b/c: %s\n", "", "      a/**: %s\n", "      a/b/c: %s\n"}
	for set := range 1 << len(places) {
		says := func(i int) string {
			if set&(1<<i) == 0 {
				return "{}"
			}
			return fmt.Sprintf("{ timeout: %ds, env: { P%d: x }, secrets: [S%d] }", i+1, i, i)
		}
		functions, own := "", ""
		// In the file the most specific stands first: order is not what decides.
		for i := 5; i >= 1; i-- {
			functions += fmt.Sprintf(places[i], says(i))
		}
		for i := 8; i >= 7; i-- {
			own += fmt.Sprintf(places[i], says(i))
		}
		env := strings.TrimSuffix(strings.TrimPrefix(says(6), "{"), "}")
		if set&(1<<6) != 0 {
			env = strings.NewReplacer(", env", "\n    env", ", secrets", "\n    secrets").Replace(env)
		}
		src := "titrate: 1\napp: x\ndefaults: " + says(0) + "\nfunctions:\n" + functions + "environments:\n  e:\n   " + env + "\n    functions:\n" + own
		s := function(t, goodIn(t, src, "a/b/c", "a/b/d", "z"), "e", "a/b/c")
		want, n := defaultTimeout, 0
		for i := range places {
			if set&(1<<i) != 0 {
				want, n = time.Duration(i+1)*time.Second, n+1
			}
		}
		if s.Function.Run.Timeout != want || len(s.Env) != n || len(s.Secrets) != n {
			t.Fatalf("timeout %s, env %v, secrets %v; want %s and %d in\n%s", s.Function.Run.Timeout, s.Env, s.Secrets, want, n, src)
		}
	}
}

// What defaults and environments say of one kind of workload does not touch the other.
func TestServicesBesideFunctions(t *testing.T) {
	t.Parallel()
	app := goodIn(t, `titrate: 1
app: x
defaults: { port: 8080, health: /up, scale: 3, timeout: 20s, memory: 1GB, env: { A: a }, worker: false, readOnly: false }
services: { web: { limits: { cpu: 2 } } }
functions:
  fn: { build: { command: make, output: bootstrap }, env: { WEB: { service: web } } }
  with: { build: { dir: other, command: make, output: bootstrap }, limits: { memory: 2GB, cpu: 0.5 } }
environments:
  uat: { scale: { min: 1, max: 5 }, services: { web: { scale: 4 } }, functions: { fn: { memory: 512MB } } }
  production: {}
`)
	web, fn, with := service(t, app, "production", "web"), function(t, app, "production", "fn"), function(t, app, "production", "with")
	if web.Port != 8080 || web.Health != "/up" || web.Scale != 3 || web.Function != nil || web.Limits != (rollout.Limits{CPU: 2000}) || web.Build.Dir != "." {
		t.Errorf("%+v", web)
	}
	if fn.Port != 0 || fn.Health != "" || fn.Scale != 1 || fn.Function.Scale != (rollout.Scale{Max: 10}) || fn.Limits != (rollout.Limits{Memory: 1 << 30}) || fn.Build.Dir != "fn" {
		t.Errorf("%+v", fn)
	}
	if with.Build.Dir != "other" || with.Limits != (rollout.Limits{Memory: 2 << 30, CPU: 500}) || with.Function.Run.Timeout != 20*time.Second {
		t.Errorf("%+v", with)
	}
	web, fn = service(t, app, "uat", "web"), function(t, app, "uat", "fn")
	if web.Scale != 4 || fn.Function.Scale != (rollout.Scale{Min: 1, Max: 5}) || fn.Limits.Memory != 512<<20 || fn.Addresses["WEB"].Service != "web" {
		t.Errorf("%+v %+v", web, fn)
	}
	if e, _ := app.Environment("uat"); e.Services[0].Name != "web" || e.Services[1].Name != "fn" || web.Host != "uat.x.localhost" {
		t.Errorf("%+v", e.Services)
	}
	// Where there are only functions, a number is theirs.
	app = goodIn(t, "titrate: 1\napp: x\ndefaults: { scale: 20 }\nfunctions: { a: {}, b: { scale: 2..30 }, c: { scale: 1 }, d: { scale: { min: 15 } } }\n")
	for name, want := range map[string]rollout.Scale{"a": {Max: 20}, "b": {Min: 2, Max: 30}, "c": {Max: 1}, "d": {Min: 15, Max: 15}} {
		if got := function(t, app, "production", name).Function.Scale; got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if n := len(app.Environments[0].Services); n != 4 {
		t.Errorf("%d workloads", n)
	}
}

func TestAlarmsOfFunctions(t *testing.T) {
	t.Parallel()
	names := func(alarms []analysis.Alarm) string {
		var out []string
		for _, a := range alarms {
			out = append(out, a.Name+": "+a.Text)
		}
		return strings.Join(out, ", ")
	}
	app := goodIn(t, "titrate: 1\napp: x\nservices: { s: {} }\nfunctions: { f: {}, g: { alarms: { errors: errors > 5%, cold: p99 > 2s } }, h: { alarms: none } }\n")
	for path, want := range map[string]string{"f": "errors: errors > 1%", "g": "cold: p99 > 2s, errors: errors > 5%", "h": ""} {
		if got := names(function(t, app, "production", path).Alarms); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := names(service(t, app, "production", "s").Alarms); got != names(analysis.Defaults()) {
		t.Errorf("a service has %s", got)
	}
	// What is about calls falls away for services and workers, and says nothing about them.
	app = goodIn(t, "titrate: 1\napp: x\ndefaults: { alarms: { throttles: throttles > 0, queue: queue > 5m } }\nservices: { s: {}, w: { worker: true } }\nfunctions: { f: {} }\nenvironments: { e: { alarms: { oom: oom > 0 } } }\n")
	for name, want := range map[string]string{"s": names(analysis.Defaults()), "w": "", "f": "oom: oom > 0, queue: queue > 5m, throttles: throttles > 0"} {
		if got := names(service(t, app, "e", name).Alarms); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	app = goodIn(t, "titrate: 1\napp: x\ndefaults: { alarms: { throttles: throttles > 0, errors: 5xx > 9% } }\nservices: { s: {} }\n")
	if got := names(service(t, app, "production", "s").Alarms); got != "errors: 5xx > 9%" {
		t.Errorf("a service has %s", got)
	}
}

// A queue's settings are those of the file, else what its functions need, in each
// environment.
func TestQueues(t *testing.T) {
	t.Parallel()
	app := goodIn(t, `titrate: 1
app: x
queues: { orders: { deadLetter: dead }, mail: { visibility: 2m, delay: 5s, retention: 1h, maxReceive: 9, deadLetter: dead }, unused: }
functions:
  slow: { queue: [orders, { name: mail, batch: 3, window: 20s, whole: true, concurrency: 4 }], batch: 7, timeout: 100s }
  quick: { queue: orders }
  dead: { queue: dead }
environments: { uat: { functions: { slow: { timeout: 1s } } }, production: {} }
`)
	orders := rollout.Queue{Name: "orders", Visibility: 100 * time.Second, Retention: 4 * 24 * time.Hour, MaxReceive: 5, DeadLetter: "dead"}
	mail := rollout.Queue{Name: "mail", Visibility: 2 * time.Minute, Retention: time.Hour, Delay: 5 * time.Second, MaxReceive: 9, DeadLetter: "dead"}
	for path, want := range map[string][]rollout.QueueTrigger{
		"slow":  {{Queue: orders, Batch: 7}, {Queue: mail, Batch: 3, Window: 20 * time.Second, Whole: true, Most: 4}},
		"quick": {{Queue: orders, Batch: 10}},
		"dead":  {{Queue: rollout.Queue{Name: "dead", Visibility: 30 * time.Second, Retention: 4 * 24 * time.Hour}, Batch: 10}},
	} {
		if diff := cmp.Diff(want, function(t, app, "production", path).Function.Triggers.Queues); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if got := function(t, app, "uat", "quick").Function.Triggers.Queues[0].Queue.Visibility; got != 30*time.Second {
		t.Errorf("in uat, where no function is slow: %s", got)
	}
	orders.Visibility = 0
	if diff := cmp.Diff([]rollout.Queue{orders, mail, {Name: "unused", Retention: 4 * 24 * time.Hour}}, app.Queues); diff != "" {
		t.Error(diff)
	}
	if diff := equal(app, goodIn(t, Expand(app))); diff != "" {
		t.Error(diff)
	}
}

// The route of a folder does not depend on which key speaks of it last.
func TestByPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ functions, path, want string }{
		{"api/**: { http: by-path }", "api/a/[id]/get", "GET /a/{id}"},
		{"src/api/**: { http: by-path }", "src/api/a/any", "ANY /a"},
		{"'**': { http: by-path }", "a/b/get", "GET /a/b"},
		{"api/a/*: { http: by-path }\n  api/**: { http: by-path }", "api/a/post", "POST /a"},
		{"api/a/post: { http: by-path }", "api/a/post", "POST /a"},
		{"api/{a}/post: { http: { routes: by-path, payload: 1.0 } }", "api/a/post", "POST /a"},
		{"get: { http: by-path }", "get", "GET /"},
		{"api/**: { http: by-path }", "api/[...rest]/get", "GET /{rest+}"},
		{"api/**: { http: by-path }\n  api/a/*: { http: none }", "api/a/get", ""},
		{"api/**: { http: by-path }\n  api/a/*: { http: GET /b }", "api/a/get", "GET /b"},
		{"api/**: { http: by-path }\n  api/a/*: { http: $default }", "api/a/get", "$default"},
	} {
		app := goodIn(t, "titrate: 1\napp: x\nfunctions:\n  "+c.functions+"\n", c.path)
		if got := strings.Join(function(t, app, "production", c.path).Function.Triggers.Routes, ", "); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.functions, c.path, got, c.want)
		}
	}
}

func TestHTTPInItsLongForm(t *testing.T) {
	t.Parallel()
	app := goodIn(t, `titrate: 1
app: x
functions:
  a:
    http:
      routes: [GET /a, "POST /a/{id}"]
      payload: 1.0
      cors: { origins: [https://a.example, "https://*"], methods: GET, expose: X-A, maxAge: 1h, credentials: true }
      jwt: { issuer: https://login.example.com/x, audiences: [shop, web], scopes: read }
    probe: { a: [1, -2.5, "x\ty", null, true, 2001-01-01], "é☕": { b: {} } }
    cron: [rate(5 minutes), { cron: 0 2 * * *, zone: Asia/Riyadh, input: { report: daily } }]
  b: { http: { routes: ANY /b, cors: true } }
`)
	a := function(t, app, "production", "a").Function
	want := rollout.Triggers{
		Routes: []string{"GET /a", "POST /a/{id}"}, Payload: "1.0",
		CORS: &rollout.CORS{
			Origins: []string{"https://a.example", "https://*"}, Methods: []string{"GET"}, Headers: a.Triggers.CORS.Headers, Expose: []string{"X-A"}, MaxAge: time.Hour, Credentials: true,
		},
		JWT:       &rollout.JWT{Issuer: "https://login.example.com/x", Audiences: []string{"shop", "web"}, Scopes: []string{"read"}},
		Schedules: []rollout.ScheduleTrigger{{Expression: "rate(5 minutes)"}, {Expression: "0 2 * * *", Zone: "Asia/Riyadh", Input: []byte(`{"report":"daily"}`)}},
	}
	if diff := cmp.Diff(want, a.Triggers); diff != "" {
		t.Error(diff)
	}
	if got, want := string(a.Run.Probe), `{"a":[1,-2.5,"x\ty",null,true,"2001-01-01"],"é☕":{"b":{}}}`; got != want {
		t.Errorf("probe %s, want %s", got, want)
	}
	if b := function(t, app, "production", "b").Function; b.Triggers.CORS == nil || !slices.Equal(b.Triggers.CORS.Origins, []string{"*"}) {
		t.Errorf("%+v", b.Triggers)
	}
	if diff := equal(app, goodIn(t, Expand(app))); diff != "" {
		t.Error(diff)
	}
}

// Functions answer where services do; that one has a host of its own moves no service.
func TestHostsOfFunctions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ src, want string }{
		{"functions: { a: { http: GET /a }, b: {} }", "a=x.localhost b="},
		{"defaults: { host: x.example }\nfunctions: { a: { http: GET /a }, b: {} }", "a=x.example b="},
		{"services: { s: { host: s.example } }\nfunctions: { a: { http: GET /a } }", "s=s.example/ a=s.example"},
		{"services: { s: { route: /s }, t: {} }\nfunctions: { a: { http: GET /a, host: a.example } }", "s=x.localhost/s t= a=a.example"},
		{"services: { s: {} }\nfunctions: { a: { host: a.example }, b: { http: GET /b } }", "s=x.localhost/ a= b=x.localhost"},
		{"functions: { a: { http: GET /a, host: a.example }, b: { http: GET /b } }", "a=a.example b=a.example"},
		{"functions: { a: { http: GET /a, host: none } }", "a="},
		{"functions: { a: { http: GET /a } }\nenvironments: { production: { functions: { a: { host: b.example } } } }", "a=b.example"},
		{"functions: { a: { http: GET /a, host: a.example } }\nenvironments: { production: { functions: { a: { http: none } } } }", "a="},
	} {
		var got []string
		for _, s := range goodIn(t, "titrate: 1\napp: x\n"+c.src+"\n").Environments[0].Services {
			got = append(got, s.Name+"="+s.Host+s.Route)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s", c.src, got)
		}
	}
}

// A group of many is told about in a line, whatever number of them disagree.
func TestR23_groupsOfFunctions(t *testing.T) {
	t.Parallel()
	var odd, even []string
	for i := range 30 {
		odd, even = append(odd, fmt.Sprintf("odd/f%d", i)), append(even, fmt.Sprintf("even/f%d", i))
	}
	src := "titrate: 1\napp: x\nfunctions: { 'odd/*': { rollout: AllAtOnce }, 'even/*': {}, even/more: {} }\ntogether: all\n"
	_, problems := Parse([]byte(src), File, append(odd, append(even, "even/more")...)...)
	if len(problems) != 1 || problems[0].Code != codeTogetherPlan || len(problems[0].Message) > 250 || !strings.Contains(problems[0].Message, "and 27 more") {
		t.Errorf("%s", problems)
	}
	app := goodIn(t, "titrate: 1\napp: x\nservices: { s: {} }\nfunctions: { a/b: {}, a/c: {}, d: {} }\ntogether: [a/b, a-c, s]\n", "a/b", "a/c", "d")
	if diff := cmp.Diff([][]string{{"s", "a-b", "a-c"}, {"d"}}, app.Environments[0].Groups()); diff != "" {
		t.Error(diff)
	}
}

func TestManyFunctions(t *testing.T) {
	t.Parallel()
	folders := make([]string, maxFunctions+1)
	for i := range folders {
		folders[i] = fmt.Sprintf("fn/f%03d", i)
	}
	src := "titrate: 1\napp: x\nfunctions: { 'fn/*': {} }\n"
	if n := len(goodIn(t, src, folders[1:]...).Environments[0].Services); n != maxFunctions {
		t.Errorf("%d functions", n)
	}
	if _, problems := Parse([]byte(src), File, folders...); len(problems) != 1 || problems[0].Code != codeRange {
		t.Errorf("%s", problems)
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	got := Folders([]string{
		"b/x.go", "a/x_test.go", "c/x.js", "c/y.mjs", "d/[id]/x.cjs", "e/x.ts", "f/x.py", "g/bootstrap", "h/bootstrap.sh", "main.go", "./i/x.go", "node_modules/x.js", "j/.k/x.js",
		"../up/x.go", "/abs/x.go", "l*/x.go", "m{n}/x.go", "n\xff/x.go", "o/p/q.txt", ".git/x.js",
	})
	if diff := cmp.Diff([]string{"b", "c", "d/[id]", "e", "f", "g", "i"}, got); diff != "" {
		t.Error(diff)
	}
	if Folders(nil) == nil {
		t.Error("no folders are not known ones")
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key, folder string
		want        bool
	}{
		{"api/**", "api/a", true},
		{"api/**", "api/a/b/c", true},
		{"api/**", "api", false},
		{"api/**", "apis/a", false},
		{"api/*", "api/a", true},
		{"api/*", "api/a/b", false},
		{"api/*/get", "api/[id]/get", true},
		{"api/[id]/get", "api/[id]/get", true},
		{"api/[id]/get", "api/i/get", false},
		{"**/get", "get", true},
		{"**/get", "a/b/get", true},
		{"**/get", "a/gets", false},
		{"a/**/b/**", "a/b/c", true},
		{"a/**/b/**", "a/x/y/b/z", true},
		{"a/**/b/**", "a/x/b", false},
		{"a/x*y*z", "a/xz", false},
		{"a/x*y*z", "a/xyz", true},
		{"a/x*y*z", "a/x1y2y3z", true},
		{"a/x*yz", "a/xyzz", false},
		{"a/*b*", "a/b", true},
		{"on/{a,b-*}", "on/b-c", true},
		{"on/{a,b-*}", "on/a", true},
		{"on/{a,b}", "on/c", false},
		{"{a,b}/{c,d}", "b/c", true},
	} {
		patterns, err := parsePatterns(c.key)
		if err != nil {
			t.Errorf("%s: %v", c.key, err)
		}
		if _, got := (scope{patterns: patterns}).matching(c.folder, strings.Split(c.folder, "/")); got != c.want {
			t.Errorf("%s and %s: %v", c.key, c.folder, got)
		}
	}
}

// Whoever can push must not be able to keep the server busy with keys that all mean
// all functions.
func TestFunctionsHaveLimits(t *testing.T) {
	t.Parallel()
	var keys, braces strings.Builder
	for i := range maxScopes + 1 {
		fmt.Fprintf(&keys, "  \"**/f{%d,n}\": {}\n", i)
	}
	for i := range 3 {
		fmt.Fprintf(&braces, "  f%d/{%s}/{%[2]s}: {}\n", i, list(20, "a%d"))
	}
	for src, want := range map[string]string{
		keys.String():                      "21 keys of functions match a/fn; at most 20",
		braces.String():                    "functions has more than 1000 patterns, each name in braces counted",
		"  f/{a}/{b}/{c}/{d}/{e}: {}":      "a pattern has at most 4 braces",
		"  ? " + strings.Repeat("a", 1025): "longer than 1024 characters",
		"  f/{" + list(23, "a%d") + "}/{" + list(23, "b%d") + "}: {}": "the braces name more than 500 folders",
	} {
		_, problems := Parse([]byte("titrate: 1\napp: x\nfunctions:\n"+src+"\n"), File, "a/fn")
		if !strings.Contains(problems.String(), want) {
			t.Errorf("no %q in %.2000s", want, problems)
		}
	}
}

func TestR17_aFunctionIsDrainedForItsTimeoutAtLeast(t *testing.T) {
	t.Parallel()
	app := goodIn(t, "titrate: 1\napp: x\ndefaults: { drain: 20s }\nfunctions: { slow: { timeout: 15m }, quick: { timeout: 1s }, own: { timeout: 1m, drain: 2m } }\n")
	for name, want := range map[string]time.Duration{"slow": 15 * time.Minute, "quick": 20 * time.Second, "own": 2 * time.Minute} {
		if got := function(t, app, "production", name).Drain; got != want {
			t.Errorf("%s has %s, want %s", name, got, want)
		}
	}
}
