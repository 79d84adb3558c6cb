package importer

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// environmentOf reads env: { clear, secret, tags }, or plain variables.
func (k *kamal) environmentOf(u *unit, env *node) {
	env.take()
	if env.find("clear") == nil && env.find("secret") == nil {
		for _, f := range env.pairs() {
			k.given(u, f.name, f.value)
		}
		return
	}
	for _, f := range env.get("clear").pairs() {
		k.given(u, f.name, f.value)
	}
	for _, n := range env.get("secret").each() {
		k.secretly(u, n)
	}
}

func (k *kamal) given(u *unit, name string, n *node) {
	switch {
	case strings.Contains(n.str(), erbMark):
		k.secret(u, name, n)
		k.notes = append(k.notes, Note{n.where(), n.path, Changed, "Ruby is not run: its value is given as a secret", "titrate secret set " + name + ", or write it under env"})
	default:
		k.variable(u, name, n)
	}
}

// secretly gives a service NAME, or NAME:OTHER, which is the secret OTHER under the
// name NAME.
func (k *kamal) secretly(u *unit, n *node) {
	name, other, renamed := strings.Cut(n.str(), ":")
	if name == "" || k.ruby(n) {
		return
	}
	k.secret(u, name, n)
	from := name
	if renamed {
		from = other
		k.notes = append(k.notes, Note{n.where(), n.path, Changed, name + " has the value of " + other, "titrate secret set " + name})
	}
	if p, ok := k.environment[from]; ok {
		k.secret(u, name, &node{file: p.File, line: p.Line})
	}
}

// accessoriesOf makes accessories of Kamal's. Services reach one by the name that
// its container has, or by the address of its host.
func (k *kamal) accessoriesOf(all *node) {
	count := map[string]int{}
	for _, f := range all.pairs() {
		for _, h := range f.value.find("host").each() {
			count[h.str()]++
		}
	}
	for _, f := range all.pairs() {
		s := f.value
		image := k.plain(s.get("image"))
		if image == "" {
			k.note(s, Lost, "it has no image", "")
			continue
		}
		known, ok := stockOf(image)
		if !ok {
			known = stock{scheme: []string{"http"}}
		}
		port := s.get("port")
		if n, err := strconv.Atoi(lastPart(k.plain(port))); err == nil && known.use == "" {
			known.port = n
		}
		host := k.plain(s.get("service"))
		if host == "" {
			host = k.root.find("service").str() + "-" + f.name
		}
		a := k.stock(f.name, host, image, known, s, s.find("image"))
		k.hosts = append(k.hosts, host)
		if at := s.find("host").str(); count[at] == 1 {
			k.hosts = append(k.hosts, at)
			k.stocks[at] = stocked{known, a}
		}
		k.accessoryParts(a, s)
	}
}

// lastPart is what stands behind the last colon: the container's side of a port.
func lastPart(s string) string { return s[strings.LastIndexByte(s, ':')+1:] }

func (k *kamal) accessoryParts(a *unit, s *node) {
	env := s.get("env")
	clear := env.get("clear")
	if clear == nil && env.find("secret") == nil {
		clear = env
	}
	for _, f := range clear.pairs() {
		if !k.ruby(f.value) {
			k.setting(a, f.name, f.value)
		}
	}
	for _, n := range env.get("secret").each() {
		name, _, _ := strings.Cut(n.str(), ":")
		if name == "" {
			continue
		}
		k.setting(a, name, &node{file: n.file, line: n.line, path: n.path, bare: true})
	}
	for _, key := range []string{"directories", "volumes"} {
		for _, n := range s.get(key).each() {
			source, target := mount(k.plain(n))
			if n.kind == table {
				source, target = k.plain(n.get("local")), k.plain(n.get("remote"))
			}
			if key == "directories" && source != "" { // below a folder of Kamal's own on the host
				source = path.Base(source)
			}
			k.data(a, source, target, n)
		}
	}
	if n := s.get("cmd"); k.plain(n) != "" {
		a.setRun(k.wiring, arguments(n.str()), n)
	}
	k.kept(a)
}

// destinations makes an environment of each deploy.NAME.yml.
func (k *kamal) destinations() {
	dir, base := path.Dir(k.file), path.Base(k.file)
	stem := strings.TrimSuffix(base, path.Ext(base))
	for _, name := range k.beside(dir) {
		destination, ok := strings.CutPrefix(strings.TrimSuffix(name, path.Ext(name)), stem+".")
		if !ok || path.Ext(name) != path.Ext(base) || strings.Contains(destination, ".") {
			continue
		}
		at := path.Join(dir, name)
		src, err := readFile(k.tree, at)
		if err == nil {
			var root *node
			if root, err = parseYAML([]byte(k.withoutERB(string(src), at)), at); err == nil {
				k.destination(destination, root)
			}
		}
		if err != nil {
			k.notes = append(k.notes, Note{Place{at, 1}, name, Lost, "the destination cannot be read", "environments: { " + nameOf(destination) + ": … }"})
		}
	}
	// With one environment it takes every push, as production does without any.
	for i, e := range k.settings {
		if len(k.settings) > 1 && (e.name == "production" || i == len(k.settings)-1 && !k.hasProduction()) {
			e.set("deploy", "manual", e.from)
			k.notes = append(k.notes, Note{e.from.where(), "deploy", Changed, e.name + " takes no push by itself: kamal deploy -d " + e.name + " was typed, too", "deploy: BRANCH"})
		}
	}
}

func (k *kamal) hasProduction() bool {
	return slices.ContainsFunc(k.settings, func(u *unit) bool { return u.name == "production" })
}

// beside are the names of the files in a folder.
func (b *builder) beside(dir string) []string {
	entries, _ := fs.ReadDir(b.tree, dir) // what cannot be read has no files
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// destination reads what a destination says otherwise: variables, secrets and hosts.
func (k *kamal) destination(name string, root *node) {
	e := &unit{name: nameOf(name), from: root}
	k.settings = append(k.settings, e)
	secrets := k.dotenv(path.Join(k.base(), ".kamal/secrets."+name))
	env := root.get("env")
	clear := env.get("clear")
	if clear == nil && env.find("secret") == nil {
		clear = env
	}
	for _, f := range clear.pairs() {
		switch {
		case k.mentions(f.value.str()) != "":
			k.note(f.value, Lost, "it names an accessory, which each environment has of its own", "")
		case isSecret(f.name, f.value.str()) || strings.Contains(f.value.str(), erbMark):
			k.environmentSecret(e, f.name, f.value, secrets)
		case !variableName.MatchString(f.name) || f.value.kind != scalar:
			k.leftover(f.value, kamalReasons)
		default:
			e.add("env", f.name, f.value.str(), f.value)
		}
	}
	for _, n := range env.get("secret").each() {
		if variable, _, _ := strings.Cut(n.str(), ":"); variable != "" {
			k.environmentSecret(e, variable, n, secrets)
		}
	}
	proxy := root.get("proxy")
	for _, key := range []string{"host", "hosts"} {
		if n := proxy.get(key); n != nil && k.primary != nil {
			one := &unit{from: n}
			k.host(one, n)
			if h := one.value("host"); h != ownHost {
				e.set("services", []said{{k.primary.name, []said{{"host", h, n}}, n}}, n)
			}
		}
	}
	if n := proxy.get("ssl"); n != nil {
		k.note(n, Needless, "certificates are the gateway's", "titrate up --https :443")
	}
	if n := root.find("servers"); n != nil {
		k.note(n, Lost, "all runs on this machine", "environments: { "+e.name+": { services: … } } says what is different")
	}
	if n := root.find("accessories"); n != nil {
		k.note(n, Lost, "each environment has accessories of its own, all as deploy.yml says", "say it there, if it is meant for all")
	}
	root.left(func(n *node) { k.unread(n) })
}

// environmentSecret names a secret that an environment's services have.
func (k *kamal) environmentSecret(e *unit, name string, n *node, from map[string]Place) {
	k.secret(e, name, n)
	if p, ok := from[name]; ok {
		k.secret(e, name, &node{file: p.File, line: p.Line})
	}
}
