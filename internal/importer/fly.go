package importer

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// fly reads a fly.toml: https://fly.io/docs/reference/configuration.
func (b *builder) fly(src []byte) error {
	root, err := parseTOML(src, b.file)
	if err != nil {
		return &Error{codeUnread, b.file, fmt.Sprintf("this is not a fly.toml: %v", err), "mend the file, or name another: titrate import FILE"}
	}
	ours := func(key string) bool { return root.find(key) != nil }
	if !slices.ContainsFunc([]string{"app", "build", "http_service", "services", "processes"}, ours) {
		return &Error{codeUnread, b.file, "this is not a fly.toml: it has neither app nor services", "a fly.toml has app = NAME, and [http_service] or [processes]"}
	}
	f := &fly{wiring: newWiring(b), root: root}
	f.literal = true
	b.app = root.get("app").str()
	f.groups()
	f.primary = f.byName[f.first]
	for _, u := range f.services {
		f.build(u)
		for _, v := range root.get("env").pairs() {
			f.given(u, v.name, v.value)
		}
	}
	f.command()
	f.reached()
	f.checks()
	f.mounts()
	f.machines()
	f.deploys()
	for _, u := range f.services {
		if !u.has("host") && !u.has("port") {
			u.set("worker", true, u.from)
		} else {
			f.dockerfileHealth(u)
		}
	}
	b.notes = append(b.notes, Note{Place{b.file, 1}, "secrets", Changed, "what was set with fly secrets set does not stand in the file", "fly secrets list has the names: write them under secrets, and type titrate secret set NAME"})
	root.left(func(n *node) { b.leftover(n, flyReasons) })
	return nil
}

// fly is a fly.toml that is being read.
type fly struct {
	*wiring
	root  *node
	first string // the process group that is meant where none is named
}

// groups makes a service of each group of processes.
func (f *fly) groups() {
	all := f.root.get("processes").pairs()
	if len(all) == 0 {
		f.first = "app"
		f.byName["app"] = f.service("app", f.appNode())
		return
	}
	named := func(name string) bool { return slices.ContainsFunc(all, func(g *field) bool { return g.name == name }) }
	f.first = all[0].name
	for _, name := range []string{"web", "app"} {
		if named(name) {
			f.first = name
		}
	}
	for _, g := range all {
		u := f.service(g.name, g.value)
		f.byName[g.name] = u
		if line := g.value.str(); line != "" {
			u.set("run", arguments(line), g.value)
		}
	}
}

// appNode is where the file names the app.
func (f *fly) appNode() *node {
	if n := f.root.find("app"); n != nil {
		return n
	}
	return f.root
}

// meant are the services that a part of the file is about. every says whether a part
// that names none is about all of them, or the first.
func (f *fly) meant(part *node, every bool) []*unit {
	var units []*unit
	names := part.get("processes").words()
	for _, name := range names {
		if u := f.byName[name]; u != nil {
			units = append(units, u)
		} else {
			f.note(part, Lost, "there is no group of processes "+name, "")
		}
	}
	switch {
	case len(names) > 0:
		return units
	case every:
		return f.services
	}
	return []*unit{f.primary}
}

// build says what a service is built from.
func (f *fly) build(u *unit) {
	says, dir := f.root.get("build"), path.Dir(f.file)
	if image := says.get("image"); image.str() != "" {
		u.set("image", image.str(), image)
		return
	}
	parts := []said{{"dir", dir, f.appNode()}}
	if n := says.get("dockerfile"); n.str() != "" && path.Clean(n.str()) != "Dockerfile" {
		parts = append(parts, said{"dockerfile", path.Clean(n.str()), n})
	}
	if n := says.get("build-target"); n.str() != "" {
		parts = append(parts, said{"target", n.str(), n})
	}
	var args []said
	for _, a := range says.get("args").pairs() {
		if isSecret(a.name, a.value.str()) {
			f.note(a.value, Lost, "a build argument stays in the image for everybody to read: its value is not copied", "give the build nothing secret")
		} else {
			args = append(args, said{a.name, a.value.str(), a.value})
		}
	}
	if len(args) > 0 {
		parts = append(parts, said{"args", args, says.find("args")})
	}
	if len(parts) == 1 {
		u.set("build", dir, parts[0].from)
	} else {
		u.set("build", parts, says)
	}
}

var privateHost = regexp.MustCompile(`\.(internal|flycast)\b`)

// given takes a variable.
func (f *fly) given(u *unit, name string, n *node) {
	if privateHost.MatchString(n.str()) {
		f.notes = append(f.notes, Note{n.where(), n.path, Changed, "it names a host of Fly's private network, which is not reached from here", name + ": { service: NAME } is the address of a service"})
	}
	f.variable(u, name, n)
}

// command reads what is run in place of what the image says.
func (f *fly) command() {
	says := f.root.get("experimental")
	entrypoint, cmd, exec := says.get("entrypoint"), says.get("cmd"), says.get("exec")
	for _, u := range f.services {
		args := cmd.words()
		switch run := u.value("run").(type) {
		case []string:
			args = run
		case string:
			args = []string{"sh", "-c", run}
		}
		switch {
		case exec != nil:
			entrypoint.all()
			cmd.all()
			u.set("run", shellLine(exec.words()), exec)
		case entrypoint != nil:
			u.set("run", shellLine(append(entrypoint.words(), args...)), entrypoint)
		case cmd != nil && !u.has("run"):
			u.set("run", cmd.words(), cmd)
		}
	}
}

// reached says on which ports services listen, and which of them are reached from
// outside.
func (f *fly) reached() {
	if s := f.root.get("http_service"); s != nil {
		f.listener(s, true)
	}
	for _, s := range f.root.get("services").each() {
		if s.find("protocol").str() == "udp" {
			f.note(s, Lost, "the gateway carries HTTP: no UDP", "")
			continue
		}
		s.get("protocol")
		web := false
		for _, p := range s.get("ports").each() {
			handlers := p.get("handlers").words()
			web = web || slices.Contains(handlers, "http")
			if len(handlers) > 0 && !slices.Contains(handlers, "http") && !slices.Contains(handlers, "tls") {
				f.note(p, Lost, "the gateway carries HTTP: "+strings.Join(handlers, ", ")+" is none", "")
			}
			p.get("port") // the gateway has ports of its own
		}
		if !web && len(s.find("ports").each()) > 0 {
			f.notes = append(f.notes, Note{s.where(), s.path, Changed, "Fly passes connections on as they come; the gateway carries HTTP", "a service that speaks something else is reached by the app's services alone"})
		}
		f.listener(s, web)
	}
}

// listener reads one [http_service] or [[services]].
func (f *fly) listener(s *node, web bool) {
	port := s.get("internal_port")
	least := s.get("min_machines_running")
	for _, u := range f.meant(s, false) {
		switch n, ok := port.number(); {
		case !ok && f.root.find("http_service") == s: // Fly's own default
			u.set("port", 8080, s)
		case !ok:
		case u.has("port") && u.value("port") != n:
			f.note(port, Lost, fmt.Sprintf("a service has one port: %v was taken", u.value("port")), "make a second service of it")
		default:
			u.set("port", n, port)
		}
		if web && !u.has("host") {
			u.set("host", ownHost, s)
		}
		if n, ok := least.number(); n > 1 {
			u.set("scale", n, least)
		} else if ok && n == 0 {
			f.note(least, Needless, "an instance that nobody asks goes on running", "")
		}
		for _, key := range []string{"checks", "http_checks"} {
			for _, c := range s.get(key).each() {
				f.check(u, c)
			}
		}
	}
}

// check reads a check that asks over HTTP.
func (f *fly) check(u *unit, c *node) {
	method, p := c.get("method"), c.get("path")
	switch {
	case method != nil && !slices.Contains([]string{"", "get", "head"}, strings.ToLower(method.str())):
		f.note(c, Lost, "a service is asked with GET", "health: /PATH")
	case p.str() == "":
	case u.has("health") && u.value("health") != p.str():
		f.note(p, Lost, fmt.Sprintf("a service has one health check: %v was taken", u.value("health")), "")
	default:
		u.set("health", p.str(), p)
	}
}

// checks reads [checks.NAME].
func (f *fly) checks() {
	for _, c := range f.root.get("checks").pairs() {
		kind := c.value.get("type").str()
		for _, u := range f.meant(c.value, false) {
			if n, ok := c.value.get("port").number(); ok && !u.has("port") {
				u.set("port", n, c.value.find("port"))
			}
			if kind == "http" {
				f.check(u, c.value)
			}
		}
		if kind != "http" {
			f.note(c.value, Needless, "a service is ready when it accepts connections", "")
		}
	}
}
