package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// What a function has that nothing was said about.
const (
	defaultTimeout        = 10 * time.Second
	defaultFunctionMemory = 256 * megabyte
	defaultFunctionStart  = 30 * time.Second // R14: Lambda's own is 10 s, on a machine that does nothing else
	leastTimeout          = time.Second
	mostTimeout           = 15 * time.Minute // as on Lambda
	maxLayers             = 5                // likewise
)

// Places of functions' settings: what only functions have, and their triggers, which
// speak of single ones.
const (
	ofFunctions = inFunction | inFunctionOverride
	calls       = inDefaults | inEnvironment | ofFunctions
)

func functionKeys() []Key {
	return []Key{
		{
			Name: "functions", Places: atTop, kind: functionSections("folders, patterns or names with settings", "function", inFunction),
			Example: "functions:\n  jobs/nightly: { cron: 0 2 * * *, timeout: 15m }\n  mail: { build: tools/mail, topic: mail }",
			Doc:     "What is called by events: Lambda-style handlers. A key is a folder of the repository; a pattern (api/**, on/{created,paid}), which makes a function of each folder with code that it matches; or a name, with build. A folder that several keys match is one function: patterns first, the longest last, then its own key. Its name is the path with dashes: api/pickups/[id]/get is api-pickups-id-get, at most 60 characters.",
		},
		{
			Name: "functions", Places: inEnvironment, kind: functionSections("folders, patterns or names of functions with settings", "functionOverride", inFunctionOverride),
			Example: "functions:\n  jobs/nightly: { cron: none }",
			Doc:     "Settings of functions in this environment, by their folders or by a pattern that matches some of them.",
		},
		{
			Name: "runtime", Places: calls, kind: text(codeRuntime, "a runtime: nodejs22, python3.12, provided.al2023, go", map[string]any{"pattern": runtimePattern.String()}, checkRuntime),
			Default: "as the files of the folder say", Example: "runtime: nodejs22",
			Doc: "What runs the function, by AWS's names: Node.js, Python, or a program named bootstrap that speaks the Runtime API; Go is built to one. A newer version of the interpreter than the one named will do.",
		},
		{
			Name: "handler", Places: calls, kind: text(codeRuntime, "a file and what it exports: index.handler", map[string]any{"minLength": 1, "maxLength": 128}, checkHandler),
			Default: "as the files of the folder say", Example: "handler: index.handler",
			Doc: "The function within its folder, as its runtime names it. A program sees it in $_HANDLER.",
		},
		{
			Name: "layers", Places: calls, kind: listKind(codeBuild, "a folder or a zip of the repository, or a list of them", maxLayers, checkLayer), Default: "none", Example: "layers: [layers/common]",
			Doc: "What AWS would unpack to /opt: nodejs/node_modules, python, bin, lib, extensions. A version holds the files of its layers, later ones over earlier ones, and finds them by NODE_PATH, PYTHONPATH, PATH and LD_LIBRARY_PATH. Dependencies that a layer declares and does not hold are installed.",
		},
		{
			Name: "memory", Places: calls, kind: functionMemory(), Default: "`" + FormatMemory(defaultFunctionMemory) + "`", Example: "memory: 512MB",
			Doc: "What an instance of the function may use at most, as limits has it too. A call whose instance is ended for its memory is counted apart: oom.",
		},
		{
			Name: "timeout", Places: calls, kind: duration(leastTimeout, mostTimeout), Default: "`" + FormatDuration(defaultTimeout) + "`", Example: "timeout: 29s",
			Doc: "How long one call may take. What is not done then is ended and counted: timeouts. The version that took a call has at least as long to end it when it is drained (R17).",
		},
		{
			Name: "scale", Places: ofFunctions, kind: functionScaleKind(), Default: "`{ min: 0, max: 10 }`", Example: "scale: { min: 0, max: 50 }",
			Doc: "How many instances of each version there may be: min are kept while nobody calls, and what exceeds max is throttled with 429. A number alone is max.",
		},
		{
			Name: "probe", Places: ofFunctions, kind: eventKind(), Default: "to start is enough", Example: "probe: { path: /health, items: [1, two] }",
			Doc: "An event that a new version must answer before it gets any traffic (R11). It is written as YAML and sent as JSON.",
		},
		{
			Name: "http", Places: ofFunctions, kind: httpKind(), Default: "the function is not reached from outside", Example: "http: ['GET /pickups/{id}', 'DELETE /pickups/{id}']",
			Doc: "The requests that call the function, as API Gateway writes routes: a method or ANY, and a path with {name} for a part and {name+} for the rest; $default takes what nothing else does. by-path makes them of folders: the last is the method, [id] a parameter, and a pattern's part before its first * is left out, so api/pickups/[id]/get of api/** is GET /pickups/{id}; of a folder that is named without a pattern, the first part is.",
		},
		{
			Name: "cron", Places: ofFunctions, kind: cronKind(), Example: "cron: 0 2 * * *",
			Doc: "When the clock calls the function: five fields of cron, or rate(…), cron(…) and at(…) as EventBridge has them. Times are UTC unless a zone is named.",
		},
		{
			Name: "queue", Places: ofFunctions, kind: takenKind(), Example: "queue: orders",
			Doc: "The queue whose messages call the function, as batches in the form of SQS. Several functions of one queue share its messages. What fails is delivered again.",
		},
		{
			Name: "batch", Places: ofFunctions | inTaken, kind: number(maxBatch), Default: fmt.Sprintf("`%d`", defaultBatch), Example: "batch: 5",
			Doc: "How many messages of a queue one call has at most.",
		},
		{
			Name: "topic", Places: ofFunctions, kind: topicsKind(), Example: "topic: [inventory, mail]",
			Doc: "Topics whose messages call the function. Every function of a topic gets each of them.",
		},
		{
			Name: "waves", Places: atTop, kind: number(maxFunctions), Default: "all at the same time", Example: "waves: 15",
			Doc: "How many workloads that move together are shifted at a time within a step. The step's hold begins when the last has arrived (R23).",
		},
		{
			Name: "queues", Places: atTop, kind: queuesKind(), Default: "a queue exists by being named",
			Example: "queues:\n  orders: { visibility: 30s, retention: 4d, delay: 0s, maxReceive: 5, deadLetter: orders-dead }",
			Doc:     "The app's queues, one of each name in every environment. With this section a function's queue must stand in it, or be a dead letter.",
		},
	}
}

func functionNestedKeys() []Key {
	words := func(places Place, name, accepts, def, example, doc string, check func(string) error) Key {
		return Key{Name: name, Places: places, kind: listKind(codeHTTP, accepts, maxOrigins, check), Default: def, Example: example, Doc: doc}
	}
	return []Key{
		{Name: "min", Places: inScale, kind: zeroTo(maxInstances), Default: "`0`", Example: "min: 2", Doc: "Instances that are kept while nobody calls."},
		{Name: "max", Places: inScale, kind: number(maxInstances), Default: fmt.Sprintf("`%d`, or min where that is more", defaultMax), Example: "max: 50", Doc: "Instances at work at the same time; what exceeds them is throttled."},

		{Name: "routes", Places: inHTTP, kind: routesKind(), Example: "routes: ['GET /pickups/{id}']", Doc: "by-path, a route, or a list of routes."},
		{Name: "payload", Places: inHTTP, kind: payloadKind(), Default: "`2.0`", Example: `payload: "1.0"`, Doc: "The form of the event, as API Gateway numbers it: 2.0 of HTTP APIs, 1.0 of REST APIs."},
		{Name: "cors", Places: inHTTP, kind: corsKind(), Default: "requests of other origins get no answer that a browser shows", Example: "cors: { origins: [https://shop.example.com] }", Doc: "What browsers of other origins may do. true allows every origin what is usual; credentials need origins by name. Preflight requests are answered without the function."},
		{Name: "jwt", Places: inHTTP, kind: jwtKind(), Default: "anybody may call", Example: "jwt: { issuer: https://login.example.com, audience: shop }", Doc: "Whose tokens open the routes: a request without a valid one is answered 401 and does not call the function."},

		words(inCORS, "origins", "an origin, or a list of them: https://shop.example.com", "`\"*\"`", "origins: [https://shop.example.com]", "Origins whose pages may call.", checkOrigin),
		words(inCORS, "methods", "a method, or a list of them", "all that are usual", "methods: [GET, POST]", "Methods that they may use.", checkToken),
		words(inCORS, "headers", "the name of a header, or a list of them", "those that clients usually send", "headers: [Content-Type, Authorization]", "Headers that they may send.", checkToken),
		words(inCORS, "expose", "the name of a header, or a list of them", "", "expose: [X-Total]", "Headers of answers that they may read.", checkToken),
		{Name: "maxAge", Places: inCORS, kind: duration(0, day), Default: "`0s`", Example: "maxAge: 1h", Doc: "How long a browser may remember the answer to a preflight request."},
		{Name: "credentials", Places: inCORS, kind: boolean(), Default: "`false`", Example: "credentials: true", Doc: "They may send cookies and logins."},

		{Name: "issuer", Places: inJWT, kind: text(codeHTTP, "a URL: https://login.example.com", map[string]any{"pattern": `^https?://`}, checkIssuer), Example: "issuer: https://login.example.com", Doc: "The OIDC issuer: its keys are found by /.well-known/openid-configuration below it."},
		withAliases(words(inJWT, "audience", "a name, or a list of them", "", "audience: shop", "Who the token must be meant for: one of these.", checkWord), "audiences"),
		words(inJWT, "scopes", "a name, or a list of them", "none is asked for", "scopes: [orders.read]", "Scopes of which the token must have one.", checkWord),

		{Name: "cron", Places: inTimer, kind: expressionKind(), Example: "cron: rate(5 minutes)", Doc: "When it is due."},
		{Name: "zone", Places: inTimer, kind: text(codeSchedule, "a time zone: Asia/Riyadh", map[string]any{"minLength": 1}, checkZone), Default: "`UTC`", Example: "zone: Asia/Riyadh", Doc: "The zone of the clock on the wall, by its name in the IANA database."},
		{Name: "input", Places: inTimer, kind: eventKind(), Default: "the event of EventBridge", Example: "input: { report: daily }", Doc: "The event, written as YAML and sent as JSON."},

		{Name: "name", Places: inTaken, kind: queueName(), Example: "name: orders", Doc: "The queue."},
		{Name: "window", Places: inTaken, kind: duration(0, maxWindow), Default: "`0s`", Example: "window: 5s", Doc: "How long messages are collected for a batch that is not full."},
		{Name: "whole", Places: inTaken, kind: boolean(), Default: "`false`", Example: "whole: true", Doc: "A failed call fails all of its messages: batchItemFailures in its answer, by which a function says which failed, is not read."},
		{Name: "concurrency", Places: inTaken, kind: number(maxInstances), Default: "as many as the function may have", Example: "concurrency: 2", Doc: "Calls with messages of this queue at the same time."},

		{Name: "visibility", Places: inQueue, kind: duration(time.Second, maxVisibility), Default: "`30s`, or as long as its functions need", Example: "visibility: 1m", Doc: "How long a message that was received is hidden before it is delivered again. A function must be done by then."},
		{Name: "retention", Places: inQueue, kind: duration(leastKept, mostKept), Default: "`" + FormatDuration(defaultRetention) + "`", Example: "retention: 7d", Doc: "How long a message is kept."},
		{Name: "delay", Places: inQueue, kind: duration(0, maxDelay), Default: "`0s`", Example: "delay: 10s", Doc: "How long a new message is hidden."},
		{Name: "maxReceive", Places: inQueue, kind: number(maxReceives), Default: fmt.Sprintf("`%d` with a deadLetter; without one a message is delivered until it is kept no longer", defaultReceives), Example: "maxReceive: 5\ndeadLetter: orders-dead", Doc: "How often a message is delivered before it is given up."},
		{Name: "deadLetter", Places: inQueue, kind: queueName(), Example: "deadLetter: orders-dead", Doc: "The queue for messages that were given up."},
	}
}

func withAliases(k Key, aliases ...string) Key {
	k.Aliases = aliases
	return k
}

// payloadKind is the version of an event's form; the number need not be quoted.
func payloadKind() kind {
	return kind{
		accepts: "2.0 or 1.0",
		schema:  map[string]any{"enum": []any{"1.0", "2.0", 1, 2}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if v := n.Value; v == "1.0" || v == "2.0" {
				return v, true
			}
			r.wrongType(n, at, `2.0 or 1.0`)
			return nil, false
		},
	}
}

// notForFunctions says why a key of services is none of functions, and what to do.
func notForFunctions(key string) (why, instead string) {
	switch key {
	case "port":
		return "a function is called, it does not listen", "remove port, or declare a service"
	case "health":
		return "a function is ready when it asks for its first event", "remove health; probe is an event that it must answer"
	case "worker":
		return "a function without http takes no requests already", "remove worker, or declare a service"
	case "image":
		return "a function is built from its folder", "remove image, or declare a service"
	case "volumes":
		return "instances of a function come and go", "keep data in an accessory or a service"
	case "readOnly":
		return "it is for images, and a function is built from its folder", "remove readOnly"
	case "run":
		return "its runtime starts a function", "remove run; handler names the function within its folder"
	case "route":
		return "a function's requests are named by http", "write http: GET /path"
	case "repo":
		return "functions are built from the manifest's own repository", "remove repo, or declare a service"
	}
	return "", ""
}

// functionOf turns what layers say into how a version is run.
func functionOf(l []layer) rollout.Function {
	return rollout.Function{
		Runtime: pick("", "runtime", l...), Handler: pick("", "handler", l...),
		Timeout: pick(defaultTimeout, "timeout", l...), Probe: pick([]byte(nil), "probe", l...),
	}
}

// checkLayer says what is wrong with the name of a layer.
func checkLayer(s string) error {
	if !fs.ValidPath(s) || s == "." {
		return errors.New("a folder or a zip of the repository, relative to its root: layers/common, dist/layer.zip")
	}
	return nil
}
