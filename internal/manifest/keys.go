package manifest

import (
	"strings"
	"time"

	"titrate/internal/analysis"
)

// Place is where in a manifest a key may stand; several are a set.
type Place uint32

// The places.
const (
	atTop Place = 1 << iota
	inDefaults
	inService     // services.X
	inEnvironment // environments.E
	inOverride    // environments.E.services.X
	inBuild
	inHooks
	inRollout
	inBlueGreen
	inStep
	inAlarm
	inAddress // a variable that holds where a service is reached
	inRegistry
	inLimits
	inAccessory        // accessories.X
	inBackup           // accessories.X.backup
	inVolume           // services.X.volumes.NAME
	inFunction         // functions.X
	inFunctionOverride // environments.E.functions.X
	inScale            // functions.X.scale
	inHTTP             // functions.X.http
	inCORS
	inJWT
	inTimer // functions.X.cron
	inTaken // functions.X.queue
	inQueue // queues.X
	inRoute // services.X.routes
	inRewrite
	inRedirect
	inMaintenance
	inResponseHeaders
	inMatch // services.X.match
)

// settings are the places that say how services run, the least specific first.
const settings = inDefaults | inService | inEnvironment | inOverride

// everywhere are the places that say how workloads run: services and functions.
const everywhere = settings | ofFunctions

// String names the places for a person.
func (p Place) String() string {
	all := []struct {
		place Place
		name  string
	}{
		{atTop, "the top level"},
		{inDefaults, "defaults"},
		{inService, "services.X"},
		{inEnvironment, "environments.E"},
		{inOverride, "environments.E.services.X"},
		{inBuild, "build"},
		{inHooks, "hooks"},
		{inRollout, "rollout"},
		{inBlueGreen, "rollout.blueGreen"},
		{inStep, "a step"},
		{inAlarm, "an alarm"},
		{inAddress, "the address of a service"},
		{inRegistry, "registries.HOST"},
		{inLimits, "limits"},
		{inAccessory, "accessories.X"},
		{inBackup, "accessories.X.backup"},
		{inVolume, "a volume"},
		{inFunction, "functions.X"},
		{inFunctionOverride, "environments.E.functions.X"},
		{inScale, "scale"},
		{inHTTP, "http"},
		{inCORS, "http.cors"},
		{inJWT, "http.jwt"},
		{inTimer, "cron"},
		{inTaken, "queue"},
		{inQueue, "queues.X"},
		{inRoute, "a route"},
		{inRewrite, "rewrite"},
		{inRedirect, "redirect"},
		{inMaintenance, "maintenance"},
		{inResponseHeaders, "responseHeaders"},
		{inMatch, "match"},
	}
	var names []string
	for _, a := range all {
		if p&a.place != 0 {
			names = append(names, a.name)
		}
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return strings.Join(names, "")
}

// Key is one row of the table of keys. The parser, the schema, the reference
// and the pages of `titrate explain` are made from it.
type Key struct {
	Name    string
	Aliases []string
	Places  Place
	Default string // in words; empty: none
	Doc     string // what it does, as an editor shows it
	Example string // a line or two of YAML, as it stands where the key stands
	Later   string // not empty: known, not available yet, and what to do instead
	kind    kind
}

// Keys returns the table: every key that a manifest may hold, now or later.
func Keys() []Key {
	var all []Key
	for _, part := range [][]Key{topKeys(), accessoryKeys(), backupKeys(), serviceKeys(), planKeys(), environmentKeys(), nestedKeys(), addressKeys(), volumeKeys(), functionKeys(), functionNestedKeys(), routeKeys(), laterKeys()} {
		all = append(all, part...)
	}
	return all
}

func topKeys() []Key {
	return []Key{
		{
			Name: "titrate", Places: atTop, kind: formatKind(), Example: "titrate: 1",
			Doc: "Marks the file as Titrate's and names the version of its format.",
		},
		{
			Name: "app", Places: atTop, kind: name(), Example: "app: checkout",
			Doc: "The app's name. One repository is one app.",
		},
		{
			Name: "defaults", Places: atTop, kind: tableKind("settings of services and functions", "defaults", inDefaults), Example: "defaults:\n  rollout: Canary10Percent5Minutes",
			Doc: "Settings that every service and function has unless a more specific place says otherwise; what is for one of the two does not touch the other. The order, most specific last: built in, defaults, services.X, environments.E, environments.E.services.X; the same with functions. Of env, alarms, hooks and limits the entries are merged by name, and secrets are added up; anything else is replaced.",
		},
		{
			Name: "services", Places: atTop, kind: sections("names with settings", "service", inService, maxServices), Default: "one service named as the app, built from the repository's root",
			Example: "services:\n  store:  { build: services/store, host: shop.localhost }\n  orders: { build: services/orders, route: /orders }",
			Doc:     "The long-running processes of the app. Each is built, versioned and shifted by itself.",
		},
		{
			Name: "environments", Places: atTop, kind: sections("names with settings", "environment", inEnvironment, maxEnvironments), Default: "production, deployed on a push to the default branch",
			Example: "environments:\n  uat:        { deploy: main }\n  production: { deploy: manual, bake: 30m }",
			Doc:     "Where releases run. Each may change the settings of all services or, under services, of single ones.",
		},
		{
			Name: "together", Places: atTop, kind: togetherKind(), Default: "every service and function moves by itself", Example: "together: [credits, giftcards]",
			Doc: "Services and functions that are one rollout: advanced, and rolled back, as one. Their strategies must agree. A list of names, a list of such lists, or all (R23). Functions may be named by their folders.",
		},
		{
			Name: "registries", Places: atTop, kind: registriesKind(), Default: "images are pulled without a login",
			Example: "registries:\n  ghcr.io: { username: ana, password: GHCR_TOKEN }",
			Doc:     "Who pulls images from which registry. The password is the name of a secret, set with `titrate secret set` in an environment that the push goes to.",
		},
	}
}

func serviceKeys() []Key {
	hostDoc := "The host name that reaches the service from outside. In defaults or an environment it is the host of every service with a route, and of an app's only service. Every environment but production (where there is none of that name: but the last) answers under its own name before it: uat.shop.localhost; a host written under environments stands as written. *.shop.localhost takes every name below shop.localhost that no service names itself."
	return []Key{
		{
			Name: "build", Places: inDefaults | inService | inFunction, kind: buildKind(), Default: "`.`, the repository's root", Example: "build: services/orders",
			Doc: "The folder that the service is built from. A Dockerfile is built where a container engine answers; Go, Node.js, Python, Java, Rust and static sites are found by their files and built by their own tools; anything else names its command, the output that it leaves, and how to run it. The artifact is the same in every environment.",
		},
		{
			Name: "repo", Places: inService, kind: name(), Default: "the repository that the manifest is in", Example: "repo: orders",
			Doc: "The repository that the service is built from, when it is not the manifest's own: a further one of the app, pushed to …/git/APP/NAME.git. A push to it builds the services that name it, and keeps the others as the newest release of the branch has them.",
		},
		{
			Name: "image", Places: inService, kind: imageKind(), Default: "the service is built: see build", Example: "image: nginx:1.27",
			Doc: "A container image that the service runs, instead of a build: from a registry, a folder of the repository in the OCI image layout (oci:PATH), or an archive in it, as docker save makes (tar:PATH). A tag is looked up at each push, and the version holds the image's digest: the same digest is the same version (R1). The artifact is the same in every environment.",
		},
		{
			Name: "run", Places: inService, kind: runKind(), Default: "as the artifact or image says", Example: "run: node worker.js",
			Doc: "How the service is started. A shell line runs in the artifact's folder or, of an image, in its working folder in place of its entrypoint and command. A list of arguments is run as it is; of an image it stands in place of the command, and is given to the entrypoint.",
		},
		{
			Name: "port", Places: settings, kind: number(65535), Default: "the service listens on `$PORT`", Example: "port: 8080",
			Doc: "The port that the service listens on when it ignores $PORT. Only one process can: not a second instance, nor the new version of a rollout beside the old one, so validate warns, and reading $PORT is better.",
		},
		{
			Name: "health", Places: settings, kind: orNone(text(codePath, "a path such as /healthz", map[string]any{"pattern": "^/|^none$"}, checkURLPath)),
			Default: "ready when it accepts connections", Example: "health: /healthz",
			Doc: "The path that answers 2xx when an instance is ready for traffic: a redirect is no answer. It is asked every second, and every 5 s of an instance that has been well for half a minute and that nobody asks anything.",
		},
		{
			Name: "host", Places: everywhere, kind: orNone(text(codeHost, "a host name such as shop.localhost", map[string]any{"pattern": `^(\*\.)?[a-z0-9.-]+$`}, checkHosts)),
			Default: "`APP.localhost` for services with a route and for an app's only service", Example: "host: shop.localhost", Doc: hostDoc,
		},
		{
			Name: "route", Places: inService | inOverride, kind: orNone(text(codePath, "a path such as /orders", map[string]any{"pattern": "^/|^none$"}, checkRoute)),
			Default: "`/` for a service with a host and no routes; otherwise the service is not reached from outside", Example: "route: /orders",
			Doc: "The path prefix that reaches the service from outside, on whole segments: /orders takes /orders and /orders/7, not /ordersets.",
		},
		{
			Name: "env", Places: everywhere, kind: variables(), Example: "env: { LOG_LEVEL: info }",
			Doc: "Environment variables of the process. Values are taken as written; { service: NAME } is where that service of the app is reached. PORT and names with TITRATE_ are Titrate's. Secrets never stand here.",
		},
		{
			Name: "secrets", Places: everywhere, kind: names(codeVariable, "a list of names: [DATABASE_URL]", maxSecrets, checkVariable), Example: "secrets: [DATABASE_URL]",
			Doc: "Names of secrets that the process is given as environment variables. Values are set with `titrate secret set`; a changed one is a new version (R1).",
		},
		{
			Name: "scale", Places: inService | inOverride, kind: scaleKind(), Default: "`1`", Example: "scale: 3",
			Doc: "How many instances carry all of the service's traffic (R5). A push that brings a new version and a lower scale leaves the version before as it is.",
		},
		{
			Name: "scale", Places: inDefaults | inEnvironment, kind: commonScaleKind(), Example: "scale: 3",
			Doc: "A number is how many instances services have. { min, max } or MIN..MAX is of functions; where there are no services, a number is their max.",
		},
		{
			Name: "limits", Places: everywhere, kind: limitsKind(), Default: "what the machine has", Example: "limits: { memory: 256MB, cpu: 0.5, processes: 200 }",
			Doc: "What each instance may use at most, all its processes together; hooks of the service have the same. One that needs more memory is killed and started again, which is told as such; one that wants more of the processor waits; one that starts more processes is refused them. A changed limit is a new version (R1).",
		},
		{
			Name: "volumes", Places: inService, kind: volumesKind(), Default: "no folder outlives a version, but for $TITRATE_STATE", Example: "volumes: { data: /var/lib/app }",
			Doc: "Folders that outlive the versions of the service, one for each name and environment. An image sees them at their paths, a process of this machine finds them in $TITRATE_VOLUME_NAME. To one that is not shared one instance at a time writes: scale is 1, and a release ends the old version before it starts the new one, with a short downtime; so its rollout is AllAtOnce (R31).",
		},
		{
			Name: "readOnly", Places: inDefaults | inService, kind: boolean(), Default: "`false`", Example: "readOnly: true",
			Doc: "The service cannot write to the files of its image; /tmp and the folder in $TITRATE_STATE stay writable. It is for images: a process of this machine can write to its own folders only, with or without it.",
		},
		{
			Name: "worker", Places: inDefaults | inService, kind: boolean(), Default: "`false`", Example: "worker: true",
			Doc: "The service takes no requests. It is judged by health, restarts and resources only. One that took requests before keeps its host and route until the worker is promoted.",
		},
	}
}

func planKeys() []Key {
	texts := func(alarms []analysis.Alarm) string {
		var all []string
		for _, a := range alarms {
			all = append(all, "`"+a.Name+": "+a.Text+"`")
		}
		return strings.Join(all, ", ")
	}
	return []Key{
		{
			Name: "rollout", Places: everywhere, kind: strategy(), Default: "`" + DefaultStrategy + "`", Example: "rollout: Canary10Percent5Minutes",
			Doc: "How traffic moves to a new version. The named strategies do what CodeDeploy documents: Canary shifts P percent, waits N, and shifts the rest; Linear shifts P percent more each N. CodeDeployDefault.Lambda… and CodeDeployDefault.ECS… names are read too. blueGreen switches once, with the new version at full capacity. {steps: [...]} is free.",
		},
		{
			Name: "alarms", Places: everywhere, kind: alarmsKind(), Default: texts(analysis.Defaults()) + "; of functions " + texts(analysis.FunctionDefaults()), Example: "alarms:\n  errors: 5xx > 1% for 1m\n  latency: p99 > 1.2x stable for 2m min 100",
			Doc: "Rules over the new version's own requests and calls; any one that trips takes the traffic back. METRIC > LIMIT [for D] [in M of N] [min N] [missing TREATMENT] [then rollback|pause|notify], or the long form. none takes an inherited alarm, or all of them, away.",
		},
		{
			Name: "hooks", Places: everywhere, kind: hooksKind(), Example: "hooks: { release: ./migrate up, preTraffic: ./smoke }",
			Doc: "Shell lines that run in the new version's folder, with its environment and secrets, at most 5 minutes each (R24).",
		},
		{
			Name: "bake", Places: everywhere, kind: duration(0, 7*day), Default: "`10m`", Example: "bake: 30m",
			Doc: "How long the old version stays warm, alarms armed, after all traffic has moved. Only then is the release promoted (R20).",
		},
		{
			Name: "drain", Places: everywhere, kind: duration(0, time.Hour), Default: "`30s`", Example: "drain: 1m",
			Doc: "How long requests in flight may take to finish on a version that gets no more; what outlives it is cut and counted (R17).",
		},
		{
			Name: "connections", Places: everywhere, kind: choice([]string{"drain"}, []string{"keep", "cut"}), Default: "`drain`", Example: "connections: drain",
			Doc: "What becomes of long-lived connections when their version's weight falls to 0 (R17). drain closes them within the drain time; keep and cut are not available yet.",
		},
		{
			Name: "startTimeout", Places: everywhere, kind: duration(time.Second, time.Hour), Default: "`" + FormatDuration(defaultStartTimeout) + "`, of a function `" + FormatDuration(defaultFunctionStart) + "`", Example: "startTimeout: 30s",
			Doc: "How long an instance may take to become ready; a function is when it asks for its first event. A process that exits ends the wait at once (R14).",
		},
		{
			Name: "noDataTimeout", Places: everywhere, kind: duration(time.Second, 7*day), Default: "`30m`", Example: "noDataTimeout: 1h",
			Doc: "How long a step holds for want of requests to judge by, before the rollout pauses and asks (R11).",
		},
		{
			Name: "noData", Places: everywhere, kind: choice([]string{"hold", "pass"}, nil), Default: "`hold`", Example: "noData: pass",
			Doc: "What too few requests to judge by mean: hold waits for more, pass goes on without having measured (R11).",
		},
		{
			Name: "onSourceError", Places: everywhere, kind: choice([]string{"hold", "rollback"}, nil), Default: "`hold`", Example: "onSourceError: rollback",
			Doc: "What a source of metrics that cannot be read means: hold waits, rollback takes the traffic back (R12).",
		},
		{
			Name: "damage", Places: everywhere, kind: damageKind(), Default: "`none`", Example: "damage: 50 requests",
			Doc: "How many failed requests one rollout may serve. When that many were, the gateway sends the new version's share to stable by itself, for the whole group and for good, and the rollout goes back (R26). A percentage is of the requests that the new versions got, and allows 10 at least. Answers that stable gave instead (shield) spend nothing. In a group the strictest holds.",
		},
		{
			Name: "shield", Places: everywhere, kind: choice([]string{"unavailable", "errors"}, nil), Default: "`unavailable`", Example: "shield: errors",
			Doc: "Which failures of a new version stable answers in its place, where the request may be sent twice (R25): those to connect, to answer, and 502, 503 and 504; with errors, 500 too.",
		},
		{
			Name: "rollback", Places: everywhere, kind: choice([]string{"atOnce", "gradual"}, nil), Default: "`atOnce`", Example: "rollback: gradual",
			Doc: "How traffic goes back when a rollout is refused: atOnce, or gradual, through the steps in reverse (R22). An abort is always at once (R6).",
		},
		{
			Name: "overlap", Places: inDefaults | inEnvironment, kind: choice([]string{"next", "supersede", "queue", "reject"}, nil), Default: "`next`", Example: "overlap: supersede",
			Doc: "What a push in the middle of a rollout does (R3). next: the rollout goes on, and of the releases that wait only the newest is kept. supersede: it ends, and the newer begins from the same stable version. queue: all wait in order. reject: the push is refused.",
		},
	}
}

func environmentKeys() []Key {
	return []Key{
		{
			Name: "deploy", Places: inEnvironment, kind: deployKind(), Default: "the repository's default branch", Example: "deploy: main",
			Doc: "Which pushes the environment takes: those to a branch, or, with manual, none.",
		},
		{
			Name: "services", Places: inEnvironment, kind: sections("names of services with settings", "override", inOverride, maxServices), Example: "services:\n  orders: { scale: 3 }",
			Doc: "Settings of single services in this environment.",
		},
	}
}

func nestedKeys() []Key {
	return []Key{
		{Name: "dir", Places: inBuild, kind: repoPath(), Default: "`.`", Example: "dir: services/orders", Doc: "The folder to build in."},
		{Name: "with", Places: inBuild, kind: choice(Builders, nil), Default: "a Dockerfile where an engine answers, else as the files say", Example: "with: python", Doc: "What builds the folder, where its files leave a choice: docker, as its Dockerfile says, through the socket of Docker or podman; or the language whose own tools do."},
		{Name: "dockerfile", Places: inBuild, kind: repoPath(), Default: "`Dockerfile`", Example: "dockerfile: deploy/Dockerfile", Doc: "The Dockerfile, relative to dir. Its DOCKERFILE.dockerignore, or else the .dockerignore of dir, says what the builder does not see."},
		{Name: "target", Places: inBuild, kind: text(codeName, "the name of a stage", map[string]any{"minLength": 1}, checkStage), Default: "the last stage", Example: "target: runtime", Doc: "The stage of a multi-stage Dockerfile that is built."},
		{Name: "args", Places: inBuild, kind: argsKind(), Example: "args: { NODE_VERSION: 22 }", Doc: "Values of the Dockerfile's ARGs. They can be read in the image: secrets never stand here."},
		{Name: "fetch", Places: inBuild, kind: command(), Example: "fetch: npm ci\ncommand: npm run build\noutput: dist", Doc: "The shell line that gets what the command needs. It may use the network where builds may; what tools keep in their caches stays for the app's next build."},
		{Name: "command", Places: inBuild, kind: command(), Default: "the language's own tools", Example: "command: npm run build", Doc: "The shell line that builds, without network."},
		{Name: "test", Places: inBuild, kind: command(), Example: "test: npm test", Doc: "A shell line that runs after the build, where it was built, without network. If it fails there is no artifact, and nothing moves."},
		{Name: "network", Places: inBuild, kind: boolean(), Default: "`false`", Example: "network: true", Doc: "Lets command, test and a language's build step use the network too. Whoever can change what they download can then change what is released."},
		{Name: "output", Places: inBuild, kind: repoPath(), Default: "as the language has it", Example: "output: dist", Doc: "The file or folder that is left, relative to dir: the artifact. A command needs it; of a static site it is the folder that is served."},
		{Name: "run", Places: inBuild, kind: command(), Default: "the output itself", Example: "run: node server.js", Doc: "The shell line that starts the service in the artifact's folder."},
		{Name: "fallback", Places: inBuild, kind: repoPath(), Example: "fallback: index.html", Doc: "Of a static site: the file that answers for paths which name no file, as single-page apps need it."},

		{Name: "username", Places: inRegistry, kind: written("the name of who pulls", textOrNumber()), Example: "username: ana", Doc: "Who pulls."},
		{Name: "password", Places: inRegistry, kind: text(codeVariable, "the name of a secret", map[string]any{"pattern": variablePattern.String()}, checkVariable), Example: "password: GHCR_TOKEN", Doc: "The name of the secret that holds the password or token."},

		{Name: "memory", Places: inLimits, kind: memoryKind(), Default: "no limit", Example: "memory: 256MB", Doc: "Memory, files that it keeps in memory included. A megabyte is 1024 × 1024 bytes; MiB and GiB are read too."},
		{Name: "cpu", Places: inLimits, kind: cpuKind(), Default: "no limit", Example: "cpu: 0.5", Doc: "Cores: 0.5 is half of one, measured over a tenth of a second."},
		{Name: "processes", Places: inLimits, kind: processesKind(), Default: "no limit", Example: "processes: 200", Doc: "Processes and threads that exist at the same time."},

		{Name: "release", Places: inHooks, kind: hook(), Example: "release: ./migrate up", Doc: "Runs once per release and environment, before any traffic; not on a rollback or retry. A failure ends the rollout."},
		{Name: "preTraffic", Aliases: []string{"BeforeAllowTraffic"}, Places: inHooks, kind: hook(), Example: "preTraffic: ./smoke", Doc: "Runs while the new version is ready at 0 %. A failure ends the rollout."},
		{Name: "postTraffic", Aliases: []string{"AfterAllowTraffic"}, Places: inHooks, kind: hook(), Example: "postTraffic: ./check", Doc: "Runs when the new version has all traffic. A failure rolls back."},
		{Name: "onRollback", Places: inHooks, kind: hook(), Example: "onRollback: ./undo", Doc: "Runs when the traffic is back. A failure is only recorded."},

		{Name: "steps", Places: inRollout, kind: stepsKind(), Example: "steps: [1% for 5m, 25% for 10m, 50% until approved, 100%]", Doc: "The stops on the way, in order. Weights never fall; the last is 100%."},
		{Name: "blueGreen", Places: inRollout, kind: blueGreenKind(), Example: "blueGreen: { approve: true, keep: 1h }", Doc: "The new version comes up whole at 0 %, reachable at its preview address; then one switch (R10)."},

		{Name: "hold", Places: inBlueGreen, kind: duration(0, maxHold), Default: "`0s`", Example: "hold: 10m", Doc: "How long the new version stays ready at 0 % before the switch."},
		{Name: "approve", Places: inBlueGreen, kind: boolean(), Default: "`false`", Example: "approve: true", Doc: "A person must agree to the switch."},
		{Name: "keep", Places: inBlueGreen, kind: duration(0, 30*day), Default: "`0s`", Example: "keep: 1h", Doc: "How long the old version stays, at least, after the promotion."},

		{Name: "weight", Places: inStep, kind: weightKind(), Example: "weight: 10%", Doc: "The new version's share of the traffic, exact to 0.01 % (R15). A plain number, such as 10, is in percent. A hook without a weight runs at the weight before it."},
		{Name: "hold", Places: inStep, kind: duration(0, maxHold), Default: "`0s`", Example: "hold: 5m", Doc: "How long to stay, counted from when the weight has arrived (R13)."},
		{Name: "approve", Places: inStep, kind: boolean(), Default: "`false`", Example: "approve: true", Doc: "A person must say go on."},
		{Name: "hook", Places: inStep, kind: command(), Example: "hook: ./smoke", Doc: "A shell line to run at this weight; a failure rolls back."},

		{Name: "metric", Places: inAlarm, kind: written("a metric: 5xx_rate, p99, rps", map[string]any{"type": "string"}), Example: "metric: 5xx_rate", Doc: "5xx (5xx_rate), 4xx (4xx_rate), errors (error_rate), p50 … p999, rps, cpu, memory, restarts; of functions also timeouts, oom, throttles, cold_starts and queue (the age of the oldest message)."},
		{Name: "above", Places: inAlarm, kind: written("a limit: 1%, 800ms, 1.2x stable", textOrNumber()), Example: "above: 1%", Doc: "The limit above which the alarm breaches, or a multiple of what the stable version shows: 1.2x stable. What depends on the weight (rps, cpu, restarts) has no such multiple."},
		{Name: "below", Places: inAlarm, kind: written("a limit: 5", textOrNumber()), Example: "below: 5", Doc: "The limit below which the alarm breaches; for rps, cpu and memory."},
		{Name: "for", Places: inAlarm, kind: written("a duration: 1m", map[string]any{"type": "string"}), Default: "`1m`", Example: "for: 2m", Doc: "How long it must breach. A data point is 10 s long, or 1 s where this is shorter than 10 s; with of, it is an Nth of this."},
		{Name: "of", Places: inAlarm, kind: written("M of N: 3 of 5", map[string]any{"type": "string", "pattern": `^\d+ of \d+$`}), Default: "all data points", Example: "of: 3 of 5", Doc: "M of N: the time is split into N data points, and M of them must breach, as CloudWatch has it. 3 of 5 for 2m are five data points of 24 s."},
		{Name: "min", Places: inAlarm, kind: written("a number of requests: 20", textOrNumber()), Default: "`20`", Example: "min: 100", Doc: "Requests below which the verdict is no-data (R11)."},
		{Name: "missing", Places: inAlarm, kind: written("missing, ignore, breaching or notBreaching", map[string]any{"enum": []string{"missing", "ignore", "breaching", "notBreaching"}}), Default: "`missing`", Example: "missing: ignore", Doc: "How a data point without data is treated, as CloudWatch has it."},
		{Name: "react", Places: inAlarm, kind: written("rollback, pause or notify", map[string]any{"enum": []string{"rollback", "pause", "notify"}}), Default: "`rollback`", Example: "react: pause", Doc: "What the alarm does when it trips."},
	}
}

// hook is a command of a moment.
func hook() kind { return orNone(command()) }

func textOrNumber() map[string]any { return map[string]any{"type": []string{"string", "number"}} }

// laterKeys are in the language and not served yet: refused, never ignored.
func laterKeys() []Key {
	later := func(places Place, instead string, names ...string) []Key {
		var out []Key
		for _, n := range names {
			out = append(out, Key{Name: n, Places: places, Later: instead})
		}
		return out
	}
	var all []Key
	for _, part := range [][]Key{
		later(atTop|inEnvironment, "costs are not watched", "budget"),
		later(atTop|inEnvironment, "watch with titrate rollout watch, or the event stream", "notify"),
		later(everywhere, "each request is drawn by weight", "sticky"),
		later(everywhere, "connections: drain closes them within the drain time", "keepFor"),
		later(ofFunctions, "call it by http, cron, queue or topic", "bucket", "event"),
		later(inScale, "instances of functions follow their calls", "cpu", "memory", "rps", "queue", "schedule"),
		later(inEnvironment, "deploy each environment from its branch", "from", "soak", "approve", "window", "freeze"),
		later(inEnvironment, "releases run on this machine", "target"),
		later(inEnvironment, "environments stay until they are removed", "expires"),
		later(inStep, "match, beside rollout, sends requests with a header to the new version", "header"),
		later(inAlarm, "name a metric", "prometheus", "cloudwatch", "url"),
		later(inAlarm, "alarms are judged over all of a service's requests", "route", "sequential"),
	} {
		all = append(all, part...)
	}
	return all
}
