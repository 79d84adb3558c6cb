package importer

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// kamal reads a config/deploy.yml: https://kamal-deploy.org/docs/configuration.
func (b *builder) kamal(src []byte) error {
	root, err := parseYAML([]byte(b.withoutERB(string(src), b.file)), b.file)
	if err != nil {
		return &Error{codeUnread, b.file, fmt.Sprintf("this is not a configuration of Kamal: %v", err), "mend the file, or name another: titrate import FILE"}
	}
	if root.find("service").str() == "" && root.find("servers") == nil {
		return &Error{codeUnread, b.file, "this is not a configuration of Kamal: it has no service", "Kamal's file has service: and servers:"}
	}
	k := &kamal{wiring: newWiring(b), root: root}
	k.literal = true
	for _, name := range []string{".kamal/secrets-common", ".kamal/secrets"} {
		for n, p := range k.dotenv(name) {
			k.environment[n] = p
		}
	}
	if n := root.get("service"); !k.ruby(n) {
		b.app = n.str()
	}
	k.note(root.find("image"), Needless, "it is built here: nothing is pushed to a registry", "")
	k.accessoriesOf(root.get("accessories"))
	k.roles(root.get("servers"))
	k.wire()
	k.distinct()
	k.destinations()
	k.registry(root.get("registry"))
	k.scripts()
	root.left(func(n *node) { k.unread(n) })
	return nil
}

// kamal is a configuration of Kamal that is being read.
type kamal struct {
	*wiring
	root *node
}

// plain is the text of a value, unless Ruby would say it.
func (k *kamal) plain(n *node) string {
	if n == nil || k.ruby(n) {
		return ""
	}
	return n.str()
}

// number is a whole number, unless Ruby would say it.
func (k *kamal) number(n *node) (v int, ok bool) {
	if k.plain(n) == "" {
		return 0, false
	}
	return n.number()
}

// unread notes a key that nobody took.
func (k *kamal) unread(n *node) {
	if strings.HasPrefix(n.path, "x-") {
		return // Kamal ignores extensions
	}
	if !k.ruby(n) {
		k.leftover(n, kamalReasons)
	}
}

// roles makes a service of each role.
func (k *kamal) roles(servers *node) {
	primary := k.plain(k.root.get("primary_role"))
	if primary == "" {
		primary = "web"
	}
	if servers.entries() == nil { // a list of hosts is the role web
		servers = &node{file: k.file, line: 1, path: "servers", kind: table, fields: []*field{{primary, servers}}}
		if hosts := servers.fields[0].value; hosts != nil {
			servers.line = hosts.line
		} else {
			servers.fields[0].value = &node{file: k.file, line: 1, path: "servers", kind: list}
		}
	}
	roles := servers.pairs()
	if !slices.ContainsFunc(roles, func(f *field) bool { return f.name == primary }) && len(roles) > 0 {
		primary = roles[0].name
	}
	var units []*unit
	for _, f := range roles {
		units = append(units, k.service(f.name, f.value))
		if f.name == primary {
			k.primary = units[len(units)-1] // which Kamal's proxy asks
		}
	}
	for i, f := range roles {
		k.role(units[i], f.value)
	}
	for _, key := range []string{"proxy", "env", "volumes", "builder", "deploy_timeout", "drain_timeout", "stop_wait_time", "healthcheck"} {
		k.root.get(key) // was read for each role
	}
}

// role reads a role, which is a list of hosts, or a table that has them.
func (k *kamal) role(u *unit, says *node) {
	hosts := says
	if says.kind == table {
		hosts = says.get("hosts")
	}
	if n := len(hosts.each()); n > 1 {
		k.note(hosts, Lost, fmt.Sprintf("all runs on this machine, and not on %d hosts", n), fmt.Sprintf("scale: %d runs as many instances", n))
	} else {
		hosts.all()
	}
	k.build(u)
	if cmd := says.get("cmd"); k.plain(cmd) != "" {
		u.set("run", arguments(cmd.str()), cmd)
	}
	k.environmentOf(u, k.root.find("env"))
	k.environmentOf(u, says.get("env"))
	for _, v := range k.root.find("volumes").each() {
		if !k.ruby(v) {
			source, target := mount(v.str())
			k.volume(u, v, source, target, "volume")
		}
	}
	options := says.get("options")
	for _, l := range []struct{ key, limit string }{{"memory", "memory"}, {"cpus", "cpu"}, {"pids-limit", "processes"}} {
		if n := options.get(l.key); n != nil {
			u.limit(l.limit, k.plain(n), n)
		}
	}
	k.times(u, says)
	proxy := says.get("proxy")
	if yes := proxy.yes(); u == k.primary && proxy.str() != "false" || yes || proxy != nil && proxy.kind == table {
		k.proxied(u, proxy)
	} else {
		u.set("worker", true, says)
	}
}

// build says from which Dockerfile a role is built: all have the same one.
func (k *kamal) build(u *unit) {
	builder := k.root.find("builder")
	at := func(key string) *node { return builder.get(key) }
	from := builder
	if from == nil {
		from = k.root.find("service")
	}
	dir := "."
	if c := at("context"); c != nil {
		if d, ok := repoPath(".", k.plain(c)); ok {
			dir = d
		} else {
			k.note(c, Lost, "the context of the build is not a folder of the repository", "put it into the repository")
		}
	}
	says := []said{{"dir", dir, from}}
	if n := at("dockerfile"); k.plain(n) != "" && path.Clean(n.str()) != "Dockerfile" {
		says = append(says, said{"dockerfile", n.str(), n})
	}
	if n := at("target"); k.plain(n) != "" {
		says = append(says, said{"target", n.str(), n})
	}
	var args []said
	for _, f := range builder.get("args").pairs() {
		switch {
		case k.ruby(f.value):
		case isSecret(f.name, f.value.str()):
			k.note(f.value, Lost, "a build argument stays in the image for everybody to read: its value is not copied", "give the build nothing secret")
		default:
			args = append(args, said{f.name, f.value.str(), f.value})
		}
	}
	if len(args) > 0 {
		says = append(says, said{"args", args, builder.find("args")})
	}
	if len(says) == 1 {
		u.set("build", dir, from)
	} else {
		u.set("build", says, from)
	}
}

// proxied says how a role is reached.
func (k *kamal) proxied(u *unit, own *node) {
	proxy := k.root.find("proxy").take()
	says := func(keys ...string) *node {
		for _, key := range keys {
			if n := own.get(key); n != nil {
				return n
			}
		}
		for _, key := range keys {
			if n := proxy.get(key); n != nil {
				return n
			}
		}
		return nil
	}
	old := k.root.find("healthcheck").take() // of Kamal 1
	port := says("app_port")
	if port == nil {
		port = old.get("port")
	}
	if n, ok := k.number(port); ok {
		u.set("port", n, port)
	} else if n, from := k.dockerfilePort(u); n != 0 {
		u.set("port", n, from)
	} else {
		u.set("port", 80, u.from)
		k.notes = append(k.notes, Note{u.from.where(), u.from.path, Changed, "Kamal asks port 80 where app_port does not say another", "port: NUMBER"})
	}
	check := says("healthcheck")
	path := check.get("path")
	if path == nil {
		path = old.get("path")
	}
	if p := k.plain(path); p != "" {
		u.set("health", p, path)
	} else {
		u.set("health", "/up", u.from)
		k.notes = append(k.notes, Note{u.from.where(), u.from.path, Changed, "Kamal asks /up where no healthcheck says another path", "health: /PATH, or none"})
	}
	k.host(u, says("host", "hosts"))
	if n := says("path_prefix", "path_prefixes"); n != nil {
		for i, p := range n.each() {
			if i > 0 {
				k.note(p, Lost, "a service has one route", "")
			} else if k.plain(p) != "/" && p.str() != "" {
				u.set("route", p.str(), p)
			}
		}
	}
	if n := says("ssl"); n != nil {
		k.note(n, Needless, "certificates are the gateway's", "titrate up --https :443")
	}
}

// host says by which host name a service is reached: Kamal takes several.
func (k *kamal) host(u *unit, n *node) {
	u.set("host", ownHost, u.from)
	var names []*node
	for _, h := range n.each() {
		for _, name := range strings.Split(k.plain(h), ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, &node{file: h.file, line: h.line, path: h.path, text: name})
			}
		}
	}
	for i, name := range names {
		if i == 0 {
			u.set("host", strings.ToLower(name.text), name)
		} else {
			k.note(name, Lost, "a service has one host: "+name.text+" is not taken", "")
		}
	}
}

// times says how long starts and ends may take. Kamal writes seconds.
func (k *kamal) times(u *unit, says *node) {
	for _, t := range []struct{ key, name string }{{"deploy_timeout", "startTimeout"}, {"drain_timeout", "drain"}, {"stop_wait_time", "drain"}} {
		for _, n := range []*node{k.root.find(t.key), says.get(t.key)} {
			if s, _ := k.number(n); s > 0 {
				u.set(t.name, fmt.Sprintf("%ds", s), n)
			}
		}
	}
}

// registry says who pulls, where an accessory's image is in that registry.
func (k *kamal) registry(n *node) {
	if n == nil {
		return
	}
	server := n.find("server").str()
	pulls := func(u *unit) bool {
		image, _ := u.value("image").(string)
		return server != "" && strings.HasPrefix(image, server+"/")
	}
	password := n.find("password").each()
	if !slices.ContainsFunc(k.accessories, pulls) || n.find("username").str() == "" || len(password) != 1 || !variableName.MatchString(password[0].str()) {
		k.note(n, Needless, "nothing is pushed to a registry: versions are kept here", "registries: { HOST: { username: …, password: SECRET } } if an image that is pulled is not public")
		return
	}
	n.all()
	k.secret(nil, password[0].str(), password[0])
	k.registries = []said{{server, []said{{"username", n.find("username").str(), n}, {"password", password[0].str(), password[0]}}, n}}
}

// scripts notes those that Kamal runs beside a deployment.
func (k *kamal) scripts() {
	dir := path.Join(k.base(), ".kamal/hooks")
	for _, name := range k.beside(dir) {
		if path.Ext(name) != ".sample" {
			k.notes = append(k.notes, Note{Place{path.Join(dir, name), 1}, "hooks", Lost, "a script that Kamal runs where it is typed", "hooks: { release, preTraffic, postTraffic } run in the new version"})
		}
	}
}

// base is the folder that Kamal runs in: the one above config.
func (k *kamal) base() string {
	if dir := path.Dir(k.file); path.Base(dir) == "config" {
		return path.Dir(dir)
	}
	return "."
}
