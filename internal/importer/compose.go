package importer

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// compose reads a compose file: https://github.com/compose-spec/compose-spec.
func (b *builder) compose(src []byte) error {
	root, err := parseYAML(src, b.file)
	if err != nil {
		return &Error{codeUnread, b.file, fmt.Sprintf("this is not a compose file: %v", err), "mend the file, or name another: titrate import FILE"}
	}
	if services := root.find("services"); root.find("include") == nil && (services == nil || services.kind != table) {
		return &Error{codeUnread, b.file, "this is not a compose file: it has no services", "a compose file has services: with names"}
	}
	dir := path.Dir(b.file)
	c := &composition{wiring: newWiring(b), loaded: map[string]*node{b.file: root}, jobs: map[string]*node{}}
	c.environment = b.dotenv(path.Join(dir, ".env"))
	c.given = b.values(path.Join(dir, ".env"))
	maps.DeleteFunc(c.given, isSecret)
	c.given[here] = "."
	b.app = c.text(root.get("name"))
	c.load(root, 0)
	for _, f := range c.read {
		c.hosts = append(c.hosts, f.name)
	}
	c.byNameAlone()
	for _, f := range c.read {
		c.one(f.name, f.value)
	}
	c.hooks()
	c.upstreams()
	c.wire()
	c.waiting()
	c.reachable()
	c.programs()
	c.distinct()
	for _, r := range c.roots {
		r.left(func(n *node) { b.leftover(n, composeReasons) })
	}
	for _, f := range c.read {
		f.value.left(func(n *node) { b.leftover(n, composeReasons) })
	}
	for _, name := range []string{"compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"} {
		if at := path.Join(dir, name); b.exists(at) {
			b.notes = append(b.notes, Note{Place{at, 1}, name, Lost, "compose would read this file too; it was not", "import it by its name, if it is for production"})
		}
	}
	return nil
}

// composition is a compose file that is being read.
type composition struct {
	*wiring
	loaded map[string]*node  // by file, for extends and include
	given  map[string]string // what .env has, but secrets
	roots  []*node           // files whose services are taken
	read   []*field          // services with what they extend
	jobs   map[string]*node  // services that run once, by name
}

// load takes the services of a file, and those of the files that it includes.
func (c *composition) load(root *node, depth int) {
	c.roots = append(c.roots, root)
	c.top(root)
	for _, f := range root.get("services").pairs() {
		if slices.ContainsFunc(c.read, func(o *field) bool { return o.name == f.name }) {
			c.note(f.value, Lost, "a file that was read before has a service of this name", "")
			continue
		}
		c.read = append(c.read, &field{f.name, c.extended(f.value, 0).take()})
	}
	for _, i := range root.get("include").each() {
		files := []*node{i}
		if i.kind == table {
			files = i.get("path").each()
			c.note(i.find("project_directory"), Lost, "paths in an included file are relative to that file", "write them so")
			c.note(i.find("env_file"), Lost, "values of variables are not read from files", "write them into titrate.yaml")
		}
		for _, f := range files {
			c.include(f, depth)
		}
	}
}

// include loads a file that another one includes, once.
func (c *composition) include(f *node, depth int) {
	at, ok := repoPath(path.Dir(f.file), c.text(f))
	if _, read := c.loaded[at]; read && ok {
		return
	}
	if !ok || depth > 10 || c.parsed(at) == nil {
		c.note(f, Lost, "the file that is included cannot be read, or is not in the repository", "put its services into this one")
		return
	}
	c.load(c.loaded[at], depth+1)
}

// parsed reads a file that the compose file names; nil: it cannot be read.
func (c *composition) parsed(name string) *node {
	if c.loaded[name] == nil {
		src, err := readFile(c.tree, name)
		if err != nil {
			return nil
		}
		root, err := parseYAML(src, name)
		if err != nil {
			return nil
		}
		c.loaded[name] = root
	}
	return c.loaded[name]
}

// here is the variable in which a shell has the folder that compose is typed in.
const here = "PWD"

// shape expands a scalar that says how the app is put together, such as an image or a
// port, with what .env has beside the file.
func (c *composition) shape(n *node) string { return c.with(n, c.given) }

// text expands any other scalar. What a .env has does not go into a file for everybody
// to read: it may be a secret under any name.
func (c *composition) text(n *node) string { return c.with(n, nil) }

// with expands a scalar, and notes what was taken from elsewhere or has no value.
func (c *composition) with(n *node, given map[string]string) string {
	if !strings.Contains(n.str(), "$") {
		return n.str()
	}
	v := vars{given: given}
	s := v.expand(n.text)
	note := func(kind NoteKind, why, instead string) {
		c.notes = append(c.notes, Note{n.where(), n.path, kind, why, instead})
	}
	const other = "write the value into titrate.yaml if it is another in production"
	for _, name := range slices.DeleteFunc(v.taken, func(s string) bool { return s == here }) {
		note(Changed, "${"+name+"} was taken from "+c.environment[name].String(), other)
	}
	for _, name := range v.defaulted {
		note(Changed, "the default of ${"+name+"} was taken", other)
	}
	for _, name := range v.missing {
		from := ""
		if p, ok := c.environment[name]; ok {
			from = "; compose takes it from " + p.String()
		}
		note(Lost, "${"+name+"} has no value in this file"+from, "write the value into titrate.yaml")
	}
	return s
}

// top takes what stands beside the services, and notes what is not carried over.
func (c *composition) top(root *node) {
	for _, f := range root.entries() {
		switch {
		case strings.HasPrefix(f.name, "x-"), f.name == "secrets":
			f.value.all() // compose ignores extensions; secrets count where they are used
		case f.name == "volumes":
			f.value.take()
			for _, v := range f.value.pairs() {
				for _, k := range v.value.entries() {
					if k.name != "name" && k.name != "labels" {
						c.note(k.value, Lost, "a volume is a folder on the machine, without drivers and options", "move the data by hand")
					}
				}
				v.value.all()
			}
		}
	}
}

// extended returns a service with what it extends.
func (c *composition) extended(s *node, depth int) *node {
	ext := s.find("extends")
	if ext == nil || depth > 10 {
		return s
	}
	ext.all()
	name, file := ext.str(), s.file
	if ext.kind == table {
		name = ext.find("service").str()
		if f := ext.find("file").str(); f != "" {
			p, ok := repoPath(path.Dir(s.file), f)
			if !ok || !c.exists(p) {
				c.note(ext, Lost, "the file that is extended is not in the repository", "write what it says into this one")
				return s
			}
			file = p
		}
	}
	from := c.parsed(file)
	if from == nil {
		c.note(ext, Lost, "the file that is extended cannot be read", "write what it says into this one")
		return s
	}
	base := from.find("services").find(name)
	if base == nil || base.kind != table || s.kind != table {
		c.note(ext, Lost, "the service that is extended is not there", "name one that is")
		return s
	}
	return merge(c.extended(base, depth+1), s)
}

// one reads a service.
func (c *composition) one(name string, s *node) {
	if s == nil || s.kind != table {
		c.note(s, Lost, "a service is a mapping", "")
		return
	}
	if profiles := s.get("profiles"); profiles != nil {
		names := profiles.words()
		wanted := func(p string) bool { return slices.Contains(c.options.Profiles, p) }
		if len(names) > 0 && !slices.ContainsFunc(names, wanted) {
			c.note(s, Lost, "compose starts it only with the profile "+strings.Join(names, " or "), "titrate import --profile "+names[0])
			return
		}
	}
	image := strings.Trim(c.shape(s.find("image")), "/:@ ")
	if s.find("build") == nil {
		if why, ok := proxies[imageBase(image)]; ok {
			c.note(s, Needless, "it is not needed: "+why, "")
			return
		}
		if k, ok := stockOf(image); ok {
			c.database(name, s, image, k)
			return
		}
		if image == "" {
			c.note(s, Lost, "it has neither image nor build", "")
			return
		}
	}
	if c.once(name) {
		c.jobs[name] = s
		return
	}
	u := c.service(name, s)
	c.byName[name] = u
	if u.name != name {
		c.notes = append(c.notes, Note{s.where(), s.path, Changed, "the service is called " + u.name + " here: names are lower-case letters, digits and dashes", ""})
	}
	if !c.what(u, s, image) {
		c.services = slices.DeleteFunc(c.services, func(o *unit) bool { return o == u })
		delete(c.byName, name)
		s.all()
		return
	}
	c.running(u, s)
	c.variables(u, s)
	c.ports(u, s)
	c.labels(u, takeTable(s, "labels"))
	c.labels(u, takeTable(s.find("deploy"), "labels"))
	c.health(u, s.get("healthcheck"))
	c.mounts(u, s)
	c.capacity(u, s)
}

// what says what a service is built from, or which image it runs. It reports whether
// there is either.
func (c *composition) what(u *unit, s *node, image string) bool {
	s.get("image")
	build := s.get("build")
	if build == nil {
		if dir, mounted := c.mountedCode(s, image); mounted != nil {
			c.fromCode(u, s, mounted, dir)
			return true
		}
		u.set("image", image, s.find("image"))
		return true
	}
	context := build
	if build.kind == table {
		context = build.get("context")
	}
	dir, ok := ".", true
	if t := c.shape(context); t != "" {
		dir, ok = repoPath(path.Dir(build.file), t)
	}
	if !ok {
		c.note(build, Lost, "what is built stands outside of the repository", "put it into the repository, or name an image")
		if image != "" {
			u.set("image", image, s.find("image"))
		}
		return image != ""
	}
	c.note(s.find("image"), Needless, "it is built here, and needs no name", "")
	says := []said{{"dir", dir, build}}
	dockerfile := "Dockerfile"
	if f := build.get("dockerfile"); c.shape(f) != "" && c.shape(f) != dockerfile {
		dockerfile = c.shape(f)
		says = append(says, said{"dockerfile", dockerfile, f})
	}
	f := build.get("target")
	switch target := c.shape(f); {
	case target == "":
	case c.forDevelopment(s, dir, dockerfile, target):
		c.note(f, Changed, target+" is for development, with the code mounted into it: the last stage of the Dockerfile is built, which has the code", "")
	default:
		says = append(says, said{"target", target, f})
	}
	if args := c.arguments(build); len(args) > 0 {
		says = append(says, said{"args", args, build.find("args")})
	}
	if len(says) == 1 {
		u.set("build", dir, build)
		return true
	}
	u.set("build", says, build)
	return true
}

// arguments are those of a build whose values stand in the file and are not secret.
func (c *composition) arguments(build *node) []said {
	var args []said
	for _, f := range takeTable(build, "args").pairs() {
		v := vars{}
		switch value := v.expand(f.value.str()); {
		case f.value.null() || len(v.missing) > 0:
			c.note(f.value, Lost, "the value of this build argument comes from the shell", "write it into titrate.yaml: build: { args: { "+f.name+": … } }")
		case isSecret(f.name, value):
			c.note(f.value, Lost, "a build argument stays in the image for everybody to read: its value is not copied", "give the build nothing secret")
		default:
			args = append(args, said{f.name, c.text(f.value), f.value})
		}
	}
	return args
}

// takeTable makes a table of a list of KEY=VALUE in place, and takes it.
func takeTable(n *node, key string) *node {
	for i, f := range n.entries() {
		if f.name == key {
			n.fields[i] = &field{key, f.value.keyed()}
		}
	}
	return n.get(key)
}
