package manifest

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// manifests draws texts that must be accepted, of every served key.
func manifests() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		b.WriteString("titrate: 1\napp: shop\n")
		b.WriteString(rapid.SampledFrom([]string{"", "registries: { ghcr.io: { username: ana, password: TOKEN }, 'localhost:5000': { username: 5, password: P } }\n"}).Draw(t, "registries"))
		services := []string{"store", "orders", "credits", "mail"}[:rapid.IntRange(0, 4).Draw(t, "services")]
		worker := len(services) == 4
		fmt.Fprintf(&b, "defaults: { %s }\n", drawSettings(t, "defaults"))
		if len(services) > 0 {
			b.WriteString("services:\n")
		}
		for _, s := range services {
			if s == "mail" && worker {
				b.WriteString("  mail: { worker: true, scale: 2 }\n")
				continue
			}
			fmt.Fprintf(&b, "  %s: { %s%s route: /%s%s }\n", s, drawSettings(t, s), drawBuild(t), s, drawRoutes(t, s))
		}
		functions := []string{"fn", "jobs/nightly", "api/[id]/get"}[:rapid.IntRange(0, 3).Draw(t, "functions")]
		if len(functions) > 0 {
			b.WriteString("queues: { orders: { deadLetter: dead, visibility: 1h }, \"on\": }\nwaves: 3\nfunctions:\n")
		}
		for _, f := range functions {
			fmt.Fprintf(&b, "  %s: { %s}\n", f, drawFunction(t, f))
		}
		environments := []string{"sandbox", "uat", "production"}[:rapid.IntRange(0, 3).Draw(t, "environments")]
		if len(environments) > 0 {
			b.WriteString("environments:\n")
		}
		for _, e := range environments {
			deploy := rapid.SampledFrom([]string{"", " deploy: main,", " deploy: manual,", " overlap: queue,", " overlap: reject,"}).Draw(t, "deploy")
			fmt.Fprintf(&b, "  %s: {%s %s", e, deploy, drawSettings(t, e))
			if len(services) > 0 && rapid.Bool().Draw(t, "overrides") {
				fmt.Fprintf(&b, " services: { store: { %s } }", drawSettings(t, e+".store"))
				if len(functions) > 0 {
					b.WriteByte(',')
				}
			}
			if len(functions) > 0 {
				fmt.Fprintf(&b, " functions: { fn: { %s} }", drawFunction(t, e+".fn"))
			}
			b.WriteString(" }\n")
		}
		return b.String()
	})
}

// drawRoutes draws routes below a service's own.
func drawRoutes(t *rapid.T, s string) string {
	return strings.ReplaceAll(rapid.SampledFrom([]string{
		"", ", routes: none", ", routes: { path: /S/, exact: true, methods: GET }", ", routes: [{ path: /S, methods: [GET, PUT], headers: { X-A: 1, b: 'x: y' }, query: { 'a b': \"\", q: true }, timeout: 5s }]",
		", routes: [{ path: /S/a, rewrite: { prefix: /, host: x.y } }, { path: /S/b, redirect: { scheme: https, host: a.b, prefix: /, status: 308 } }, { path: /S/c, redirect: { path: /x } }]",
		", routes: [{ path: /S/a, maintenance: true }, { path: /S/b, responseHeaders: { set: { A: b }, add: { C: 'd, e' }, remove: [F, g] }, maintenance: { retryAfter: 1h } }]",
	}).Draw(t, "routes"), "S", s)
}

func drawBuild(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"", " volumes: { data: { path: /var/lib/app, shared: true }, a-b: { path: /x, shared: true } },", " image: 'localhost:5000/a/b:1.2', readOnly: true,", " image: 'oci:images/x', run: ./x y,", " run: [node, 'a b', 1, true, \"\"],", " build: services/x,", " build: { dir: web, command: 'npm ci && npm run build', output: dist, run: \"node 'a b'.js\" },",
	}).Draw(t, "build")
}

// drawSettings draws keys with values in flow style, each with a comma after it.
func drawSettings(t *rapid.T, label string) string {
	choices := [][]string{
		{"port: 8080"},
		{"health: /healthz", "health: none", `health: "/a%20b"`},
		{"env: { A: 1, B: 'x: \"y\"' }", "env: { C: \"tab\\tnewline\\n☕ \\u202e\", D: \"\" }", "env: { A: true, E: ~/x }"},
		{"match: { header: 'x-beta: 1', apart: true }", "match: [{ cookie: a=b, share: 12.5% }, { cookie: user }]", "match: none"},
		{"maintenance: true", "maintenance: false", "maintenance: { page: '<p>\"a\" ☕', retryAfter: 90s }"},
		{"secrets: [S1]", "secrets: [S2, S3]", "secrets: []"},
		{"scale: 3"},
		{"limits: { memory: 256MB, cpu: 0.5, processes: 200 }", "limits: { memory: 1.5GB }", "limits: { memory: none, cpu: 2 }", "limits: { cpu: 0.125, processes: none }", "limits:"},
		{
			"rollout: AllAtOnce", "rollout: blueGreen", "rollout: { blueGreen: { hold: 5m, approve: true, keep: 1d } }", "rollout: Linear12.5PercentEvery90Seconds",
			"rollout: CodeDeployDefault.ECSCanary10Percent15Minutes", "rollout: { steps: [1% for 5m, { hook: './a: b' }, 50% for 1h until approved, { weight: 50.25, approve: true, hook: x }, 100%] }",
		},
		{
			"alarms: none", "alarms: { a: 5xx > 1%, b: p99 > 1.2x stable for 2m min 100 }", "alarms: { a: none, c: { metric: cpu, above: 90%, for: 5m, of: 3 of 5, missing: ignore, react: notify } }",
			"alarms: { yes: restarts > 2, d: rps < 5.5 then pause, e: p999 > 1.5s in 1 of 2 for 4s }",
		},
		{"hooks: { release: ./migrate up, preTraffic: none }", "hooks: { preTraffic: './smoke: {}', postTraffic: \"a\\nb\" }", "hooks: { BeforeAllowTraffic: x, onRollback: y }"},
		{"bake: 0", "bake: 3s", "bake: 1d12h"},
		{"drain: 90s"},
		{"connections: drain"},
		{"startTimeout: 30s"},
		{"noDataTimeout: 1h30m"},
		{"noData: pass", "noData: hold"},
		{"onSourceError: rollback"},
		{"rollback: gradual", "rollback: atOnce"},
	}
	var b strings.Builder
	for i, c := range choices {
		if rapid.IntRange(0, 3).Draw(t, fmt.Sprint(label, i)) == 0 {
			b.WriteString(rapid.SampledFrom(c).Draw(t, fmt.Sprint(label, i, "value")) + ", ")
		}
	}
	return b.String()
}

// drawFunction draws settings of a function in flow style, each with a comma after it.
func drawFunction(t *rapid.T, label string) string {
	choices := [][]string{
		{"runtime: nodejs22", "runtime: python3.12", "runtime: go"},
		{"handler: index.handler"},
		{"memory: 512MB", "limits: { cpu: 2 }", "limits: { memory: 1GB }"},
		{"timeout: 29s", "timeout: 15m"},
		{"scale: 50", "scale: 2..9", "scale: { max: 7 }", "scale: { min: 30 }"},
		{"probe: { a: [1, 2.5e3, null], \"b: c\": \"x\\u2028\\ny\" }", "probe: {}"},
		{"http: none", "http: { routes: ['ANY /" + label + "/{x+}'], payload: 1.0, cors: true, jwt: { issuer: https://a.example, audience: [a, b] } }", "http: { routes: 'POST /" + label + "', cors: { origins: [], maxAge: 1h } }"},
		{"cron: rate(5 minutes)", "cron: [0 2 * * *, { cron: \"*/5 * * * *\", zone: Asia/Riyadh, input: { a: 1 } }]", "cron: none"},
		{"queue: orders", "queue: [{ name: dead, batch: 5, window: 1m, whole: true, concurrency: 1 }, \"on\"]", "queue: none"},
		{"topic: mail", "topic: [mail, stock]", "topic: none"},
		{"env: { A: 1, B: 'x' }"},
		{"alarms: none", "alarms: { a: errors > 1% }"},
		{"rollout: AllAtOnce"},
		{"host: none"},
		{"drain: 90s"},
	}
	var b strings.Builder
	for i, c := range choices {
		if rapid.IntRange(0, 2).Draw(t, fmt.Sprint(label, "fn", i)) == 0 {
			b.WriteString(rapid.SampledFrom(c).Draw(t, fmt.Sprint(label, "fn", i, "value")) + ", ")
		}
	}
	return b.String()
}
