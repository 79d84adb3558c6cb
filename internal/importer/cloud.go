package importer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cloudFunction is one function as AWS runs it, whichever file says so, in Titrate's
// words.
type cloudFunction struct {
	*unit
	handler string
	runtime string // as AWS names it
	folder  string // of its code, in the repository
	payload string // of its requests, as the routes so far have it
	made    bundle // of a zip that is taken

	events, asked int // how many events are requests, and how many of these are let in by an authorizer
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// function adds a function, under a name that no other one has.
func (b *builder) function(name string, from *node) *cloudFunction {
	f := &cloudFunction{unit: &unit{name: b.free(kebab(name)), from: from}}
	b.functions = append(b.functions, f.unit)
	return f
}

// unsupported takes a function back whose code cannot be run here.
func (b *builder) unsupported(f *cloudFunction, why, instead string) {
	b.note(f.from, Lost, why, instead)
	b.functions = slices.DeleteFunc(b.functions, func(u *unit) bool { return u == f.unit })
}

var (
	runtimeName = regexp.MustCompile(`^(nodejs\d{1,4}|python3\.\d{1,4})(\.x)?$`)
	retired     = regexp.MustCompile(`^(nodejs)(\d\.\d+)?$|^python2\.7$`) // as AWS called those of before 2019
)

// buildOf says how a function is built and started.
func (b *builder) buildOf(f *cloudFunction) {
	m := runtimeName.FindStringSubmatch(f.runtime)
	if f.made.output != "" {
		f.set("build", f.made.said(f.from), f.from)
	}
	switch {
	case f.runtime == "":
		b.note(f.from, Changed, "the runtime is not said: it is found by the files", "runtime: nodejs22, python3.12 or provided")
	case m != nil:
		f.set("runtime", m[1], f.from)
	case retired.MatchString(f.runtime):
		now := "nodejs"
		if strings.HasPrefix(f.runtime, "python") {
			now = "python3"
		}
		f.set("runtime", now, f.from)
		b.note(f.from, Changed, "the runtime "+f.runtime+" is out of use: "+now+" of the machine is taken", "try the function with it first")
	case strings.HasPrefix(f.runtime, "provided"), strings.HasPrefix(f.runtime, "go"):
		b.program(f)
		return
	default:
		b.unsupported(f, "the runtime "+f.runtime+" is not run here", "provided, nodejs and python are; or declare a service, with a Dockerfile")
		return
	}
	if !f.has("build") {
		f.set("build", f.folder, f.from)
	}
	if f.handler != "" {
		f.set("handler", f.handler, f.from)
	}
}

// program finds the folder of a Go program whose bootstrap another tool has built.
func (b *builder) program(f *cloudFunction) {
	if f.has("build") {
		f.handlerOf()
		return
	}
	names := []string{f.name, strings.TrimSuffix(path.Base(f.handler), path.Ext(f.handler))}
	if i := strings.LastIndexByte(f.from.path, '.'); i >= 0 {
		names = append(names, f.from.path[i+1:])
	}
	var dirs []string
	for _, n := range names {
		if n != "" && n != "." && n != "bootstrap" && n != "main" {
			dirs = append(dirs, n, "cmd/"+n, "functions/"+n, "lambda/"+n, "lambdas/"+n, "src/"+n, "src/handlers/"+n)
		}
	}
	dirs = append(dirs, path.Dir(f.handler), ".")
	for _, d := range dirs {
		at := path.Join(f.folder, d)
		if found, err := fs.Glob(b.tree, path.Join(at, "*.go")); err == nil && len(found) > 0 || b.exists(path.Join(at, "bootstrap")) {
			f.set("build", at, f.from)
			if d != "." || !b.exists(path.Join(at, "bootstrap")) {
				b.note(f.from, Changed, "it is built by Titrate, from "+at, "build: FOLDER of its main package, where that is another")
			}
			f.handlerOf()
			return
		}
	}
	f.set("build", f.folder, f.from)
	f.handlerOf()
	b.note(f.from, Changed, "where the code of its program is cannot be told", "build: FOLDER with its main package or its bootstrap")
}

// handlerOf keeps a handler that a program may read from _HANDLER.
func (f *cloudFunction) handlerOf() {
	if f.handler != "" && f.handler != "bootstrap" {
		f.set("handler", f.handler, f.from)
	}
}

// route adds a route; "*" and "" are every method or path.
func (f *cloudFunction) route(method, at string, from *node) {
	f.events++
	method = strings.ToUpper(method)
	if method == "" || method == "*" {
		method = "ANY"
	}
	key := method + " " + at
	if at == "" || at == "*" {
		key = "$default"
	}
	have, _ := f.value("http").([]said)
	routes := []string{}
	for _, s := range have {
		if s.key == "routes" {
			routes = slices.Clone(s.value.([]string))
		}
	}
	if !slices.Contains(routes, key) {
		f.add("http", "routes", append(routes, key), from)
	}
}

// payload says in which form a function is given its requests.
func (b *builder) payload(f *cloudFunction, payload string, from *node) {
	if f.payload != "" && f.payload != payload {
		b.note(from, Changed, "its routes were given to it in two forms; here all are in 1.0", "a function for each form, of the same build")
		payload = "1.0"
	}
	if f.payload = payload; payload == "1.0" {
		f.add("http", "payload", payload, from)
	}
}

// routes shortens what only has routes of the usual payload.
func (f *cloudFunction) routes() {
	have, _ := f.value("http").([]said)
	if len(have) != 1 || have[0].key != "routes" {
		return
	}
	routes := have[0].value.([]string)
	at := f.keys[f.index("http")].from
	if len(routes) == 1 {
		f.set("http", routes[0], at)
	} else {
		f.set("http", routes, at)
	}
}

// authorizer is who lets a request to a function in.
type authorizer struct {
	name, issuer     string
	audience, scopes []string
	source           string // where the token is
}

// jwt takes over an authorizer that asks for a token of a known issuer.
func (b *builder) jwt(f *cloudFunction, a authorizer, n *node) {
	if a.issuer == "" || strings.Contains(a.issuer, "${") || len(a.audience) == 0 {
		what := ""
		if a.name != "" {
			what = " (" + a.name + ")"
		}
		b.note(n, Lost, "its authorizer"+what+" is not a JWT authorizer with a known issuer and audience: the route is open", "http: { routes, jwt: { issuer, audience } }, or check in the function")
		return
	}
	if a.source != "" && !strings.EqualFold(a.source, "$request.header.Authorization") {
		b.note(n, Changed, "the token was read from "+a.source+", and is read from the header Authorization here", "")
	}
	for _, s := range f.http() {
		if have, _ := s.value.([]said); s.key == "jwt" && fmt.Sprint(have[0].value, have[1].value) != fmt.Sprint(a.issuer, a.audience) {
			b.note(n, Changed, "its routes have several authorizers; here "+a.issuer+" lets in to all of them", "a function for each, of the same build")
		}
	}
	f.asked++
	jwt := []said{{"issuer", a.issuer, n}, {"audience", a.audience, n}}
	if len(a.scopes) > 0 {
		jwt = append(jwt, said{"scopes", a.scopes, n})
	}
	f.add("http", "jwt", jwt, n)
}

func (f *cloudFunction) http() []said {
	entries, _ := f.value("http").([]said)
	return entries
}

// guarded says where some routes of a function had an authorizer, and others none.
func (b *builder) guarded(f *cloudFunction, at *node) {
	if f.asked > 0 && f.asked < f.events {
		b.note(at, Changed, "some of its routes were open to everybody; here its authorizer is asked for all of them", "a function for each, of the same build")
	}
}

// ownAddress makes a route of the address that a function has for itself.
func (b *builder) ownAddress(f *cloudFunction, signed bool, cors any, at *node) {
	if f.has("http") {
		b.note(at, Lost, "a function with routes has no address of its own beside them", "http: ANY /"+f.name+"/{proxy+}")
		return
	}
	f.route("ANY", "/"+f.name+"/{proxy+}", at)
	if cors != nil {
		f.add("http", "cors", cors, at)
	}
	b.note(at, Changed, "its own address is the route /"+f.name+"/ of the app here", "http: another route")
	if signed {
		b.note(at, Lost, "its address asked for AWS's signature; the route is open", "jwt, or check in the function")
	}
}

// timer adds a schedule.
func (b *builder) timer(f *cloudFunction, expression, zone, input string, from *node) {
	if zone != "" || input != "" {
		if f.has("cron") {
			b.note(from, Lost, "a function has one schedule with a zone or an input", "a function for each, of the same build")
			return
		}
		entries := []said{{"cron", expression, from}}
		if zone != "" {
			entries = append(entries, said{"zone", zone, from})
		}
		if input != "" {
			entries = append(entries, said{"input", inputOf(input, from), from})
		}
		f.set("cron", entries, from)
		return
	}
	switch have := f.value("cron").(type) {
	case nil:
		f.set("cron", expression, from)
	case string:
		f.set("cron", []string{have, expression}, from)
	case []string:
		f.set("cron", append(slices.Clone(have), expression), from)
	default:
		b.note(from, Lost, "a function has one schedule with a zone or an input", "a function for each, of the same build")
	}
}

// inputOf is the event of a timer as keys with values, where it is JSON of such; else
// the text, which the manifest refuses and a note has.
func inputOf(text string, from *node) any {
	var object map[string]any
	if json.Unmarshal([]byte(text), &object) != nil || object == nil {
		return text
	}
	if out, ok := saidOf(object, from); ok {
		return out
	}
	return text
}

// saidOf is a mapping of texts, truths, whole numbers and such mappings.
func saidOf(object map[string]any, from *node) ([]said, bool) {
	var out []said
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch v := object[key].(type) {
		case string, bool:
			out = append(out, said{key, v, from})
		case float64:
			if v != float64(int(v)) {
				return nil, false
			}
			out = append(out, said{key, int(v), from})
		case map[string]any:
			inner, ok := saidOf(v, from)
			if !ok || inner == nil {
				return nil, false
			}
			out = append(out, said{key, inner, from})
		default:
			return nil, false
		}
	}
	return out, out != nil
}

// source adds a queue that calls the function.
func (b *builder) source(f *cloudFunction, queue string, batch, window, most int, partial bool, from *node) {
	if f.has("queue") {
		b.note(from, Lost, "a function is called by one queue", "a function for each, of the same build")
		return
	}
	entries := []said{{"name", queue, from}}
	for _, n := range []struct {
		key   string
		value any
		there bool
	}{
		{"batch", batch, batch > 0}, {"window", strconv.Itoa(window) + "s", window > 0}, {"concurrency", most, most > 0}, {"whole", true, !partial},
	} {
		if n.there {
			entries = append(entries, said{n.key, n.value, from})
		}
	}
	f.set("queue", entries, from)
}

// topic adds a topic that calls the function.
func (f *cloudFunction) topic(name string, from *node) {
	switch have := f.value("topic").(type) {
	case string:
		f.set("topic", []string{have, name}, from)
	case []string:
		f.set("topic", append(slices.Clone(have), name), from)
	default:
		f.set("topic", name, from)
	}
}

// variable adds one of the environment: a text, a secret, or what only a running account
// knows.
func (b *builder) variable(f *cloudFunction, name, value string, from *node) {
	switch {
	case variableNames.MatchString(name) && (secretIn.MatchString(value) || isSecret(name, value)):
		b.secret(f.unit, name, from)
		b.resolved(from)
	case strings.Contains(value, "${"):
		b.resolved(from)
		b.note(from, Lost, name+" is "+value+": the files do not say what that is", "env: { "+name+": VALUE }")
	case reservedVariable(name):
		b.note(from, Needless, name+" is set by whatever runs the function", "")
	default:
		f.add("env", name, value, from)
	}
}

var (
	variableNames = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretIn      = regexp.MustCompile(`^\$\{(ssm|secretsmanager|aws:reference/secretsmanager)\b|^\{\{resolve:(ssm|ssm-secure|secretsmanager):`)
)

// reservedVariable reports whether Lambda defines a variable itself.
func reservedVariable(name string) bool {
	return strings.HasPrefix(name, "AWS_LAMBDA_") || name == "_HANDLER" || name == "LAMBDA_TASK_ROOT" || name == "LAMBDA_RUNTIME_DIR"
}

// shared is what goes into defaults when most functions say it, and all say something.
var shared = []string{"runtime", "memory", "timeout", "rollout", "layers"}

// called says where a function had another name at AWS, by which other code may call it.
func (b *builder) called(f *cloudFunction, name string, at *node) {
	b.note(at, Changed, "it was called "+name+" at AWS, and is called "+f.name+" here", "give that name to what calls it with an AWS SDK")
}

// toDefaults says once what most functions have in common.
func (b *builder) toDefaults() {
	if len(b.functions) < 3 {
		return
	}
	d := &unit{name: "defaults", from: b.functions[0].from}
	for _, key := range shared {
		if all := b.common(key); all != nil {
			d.keys = append(d.keys, *all)
		}
	}
	for _, key := range []string{"env", "alarms"} {
		for _, s := range b.everywhere(key) {
			d.add(key, s.key, s.value, s.from)
		}
	}
	b.allSecrets(d)
	if len(d.keys) > 0 {
		b.defaults = d
	}
}

// common takes from the functions what more than half of them say of a key, if each
// says something: who says nothing has what is built in.
func (b *builder) common(key string) *said {
	count, most := map[string]int{}, 0
	var which said
	for _, u := range b.functions {
		i := u.index(key)
		if i < 0 {
			return nil
		}
		text := fmt.Sprint(u.keys[i].value)
		if count[text]++; count[text] > most {
			most, which = count[text], u.keys[i]
		}
	}
	if most*2 <= len(b.functions) {
		return nil
	}
	for _, u := range b.functions {
		if fmt.Sprint(u.value(key)) == fmt.Sprint(which.value) {
			u.drop(key)
		}
	}
	return &which
}

// allSecrets takes from the functions the secrets that all of them are given.
func (b *builder) allSecrets(d *unit) {
	first, _ := b.functions[0].value("secrets").([]string)
	for _, name := range first {
		if len(givenTo(b.functions, name)) < len(b.functions) {
			continue
		}
		d.secret(name, b.functions[0].keys[b.functions[0].index("secrets")].from)
	}
	all, _ := d.value("secrets").([]string)
	for _, u := range b.functions {
		i := u.index("secrets")
		if i < 0 {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(u.keys[i].value.([]string)), func(n string) bool { return slices.Contains(all, n) })
		if u.keys[i].value = rest; len(rest) == 0 {
			u.drop("secrets")
		}
	}
}

// everywhere takes from the functions the entries of a key that all of them have.
func (b *builder) everywhere(key string) []said {
	entries, _ := b.functions[0].value(key).([]said)
	var out []said
	for _, s := range entries {
		same := func(u *unit) bool {
			all, _ := u.value(key).([]said)
			return slices.ContainsFunc(all, func(o said) bool { return o.key == s.key && o.value == s.value })
		}
		if !slices.ContainsFunc(b.functions, func(u *unit) bool { return !same(u) }) {
			out = append(out, s)
		}
	}
	for _, u := range b.functions {
		i := u.index(key)
		if i < 0 {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(u.keys[i].value.([]said)), func(o said) bool {
			return slices.ContainsFunc(out, func(s said) bool { return s.key == o.key })
		})
		if u.keys[i].value = rest; len(rest) == 0 {
			u.drop(key)
		}
	}
	return out
}

// resolved takes back what the reader of a file says of a value that is known here.
func (b *builder) resolved(at *node) {
	name := at.path[strings.LastIndexByte(at.path, '.'):]
	b.notes = slices.DeleteFunc(b.notes, func(n Note) bool {
		return n.Kind == Lost && n.Place == at.where() && strings.HasSuffix(n.Key, name)
	})
}

// kebab makes a name of Titrate's out of one in camel case.
func kebab(s string) string { return nameOf(camel.ReplaceAllString(s, "$1-$2")) }

// usedQueues keeps a section of queues that names each queue which is used: those that
// functions are called by, and those for what these give up.
func (b *builder) usedQueues() {
	var used []string
	at := map[string]*node{}
	for _, u := range b.functions {
		entries, _ := u.value("queue").([]said)
		for _, s := range entries {
			if s.key == "name" {
				used = append(used, s.value.(string))
				at[s.value.(string)] = s.from
			}
		}
	}
	settled := false
	for _, q := range b.queues {
		settled = settled || slices.Contains(used, q.name) && len(q.keys) > 0
		if dead, ok := q.value("deadLetter").(string); ok && slices.Contains(used, q.name) {
			used = append(used, dead)
		}
	}
	known := b.queues
	b.queues = nil
	for _, q := range known {
		if slices.Contains(used, q.name) {
			b.queues = append(b.queues, q)
			continue
		}
		b.note(q.from, Lost, "no function is called by the queue", "queue: "+q.name+" of a function, which then reads it")
	}
	if !settled {
		b.queues = nil
		return
	}
	for _, name := range used {
		if !slices.ContainsFunc(b.queues, func(u *unit) bool { return u.name == name }) {
			from := at[name]
			if from == nil {
				from = &node{file: b.file, path: "queues." + name}
			}
			b.queues = append(b.queues, &unit{name: name, from: from})
		}
	}
}
