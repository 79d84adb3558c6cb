package importer

import (
	"bufio"
	"bytes"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var envLine = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*(=|$)`)

// dotenv returns the names that a file of variables sets, and where. Values are not
// kept.
func (b *builder) dotenv(name string) map[string]Place {
	names := map[string]Place{}
	if !b.exists(name) {
		return names
	}
	src, err := readFile(b.tree, name)
	if err != nil {
		return names
	}
	for in, line := bufio.NewScanner(bytes.NewReader(src)), 1; in.Scan(); line++ {
		if m := envLine.FindStringSubmatch(in.Text()); m != nil {
			names[m[1]] = Place{name, line}
		}
	}
	return names
}

// variables sorts what a service's process is given into values that may be read by
// everybody, secrets, and addresses of others.
func (c *composition) variables(u *unit, s *node) {
	for _, f := range s.get("env_file").each() {
		file := f
		if f.kind == table {
			file = f.all().find("path")
		}
		name, ok := repoPath(path.Dir(f.file), c.text(file))
		if !ok || !c.exists(name) {
			c.note(f, Lost, "the file of variables is not in the repository: its names are not known", "name them: secrets: [NAME]")
			continue
		}
		names := c.dotenv(name)
		for _, k := range sortedByLine(names) {
			if k != "PORT" {
				c.secret(u, k, &node{file: name, line: names[k].Line, path: k})
			}
		}
	}
	for _, f := range takeTable(s, "environment").pairs() {
		c.variable(u, f.name, f.value)
	}
	for _, f := range s.get("secrets").each() {
		name := f.str()
		if f.kind == table {
			name = f.all().find("source").str()
		}
		if name == "" {
			continue
		}
		variable := strings.ToUpper(strings.ReplaceAll(nameOf(name), "-", "_"))
		c.secret(u, variable, f)
		c.notes = append(c.notes, Note{f.where(), f.path, Changed, "the secret was a file, /run/secrets/" + name, "it is the variable " + variable + " here: the program reads it there"})
	}
}

func sortedByLine(names map[string]Place) []string {
	var all []string
	for k := range names {
		all = append(all, k)
	}
	slices.SortFunc(all, func(x, y string) int { return names[x].Line - names[y].Line })
	return all
}

// variable takes one variable of a service.
func (c *composition) variable(u *unit, name string, n *node) {
	v := vars{}
	value := v.expand(n.str())
	if file, ok := strings.CutSuffix(name, "_FILE"); ok && strings.HasPrefix(value, "/run/secrets/") {
		c.secret(u, file, n)
		c.notes = append(c.notes, Note{n.where(), n.path, Changed, "the secret was read from a file", "it is the variable " + file + " here: the program reads it there"})
		return
	}
	switch {
	case name == "PORT":
		if p, err := strconv.Atoi(value); err == nil {
			u.set("port", p, n)
		}
		c.notes = append(c.notes, Note{n.where(), n.path, Needless, "Titrate gives each instance its PORT", ""})
	case c.secretHere(name, n, value, v):
		c.secret(u, name, n)
		if c.mentions(value) != "" {
			c.uses = append(c.uses, use{u, name, value, n})
		}
		for _, missing := range v.missing {
			if p, ok := c.environment[missing]; ok {
				c.secret(u, name, &node{file: p.File, line: p.Line})
			}
		}
	case c.mentions(value) != "":
		c.uses = append(c.uses, use{u, name, value, n})
	default:
		c.plainVariable(u, name, value, n, v)
	}
}

// secretHere reports whether a variable's value is not to be written down: it is a
// secret, or it does not stand in the file.
func (c *composition) secretHere(name string, n *node, value string, v vars) bool {
	return n.bare && n.text == "" || len(v.missing) > 0 || isSecret(name, value)
}

func (c *composition) plainVariable(u *unit, name, value string, n *node, v vars) {
	u.add("env", name, value, n)
	for _, d := range v.defaulted {
		c.notes = append(c.notes, Note{n.where(), n.path, Changed, "the default of ${" + d + "} was taken", "write the value into titrate.yaml if it is another in production"})
	}
}

// mentions returns the service or accessory that a value names by its host.
func (c *composition) mentions(value string) string {
	for _, f := range c.read {
		if host(f.name).MatchString(value) && (strings.ContainsAny(value, ":/@=") || value == f.name) {
			return f.name
		}
	}
	return ""
}

// host finds a host name where one may stand.
func host(name string) *regexp.Regexp {
	return regexp.MustCompile(`(^|://|@|[=,(])` + regexp.QuoteMeta(name) + `($|:\d+|[/,)?;]|\s)`)
}

var (
	webAddress = regexp.MustCompile(`^https?://([^/:@\s]+)(?::(\d+))?(/[^\s?#]*)?$`)
	pairForm   = regexp.MustCompile(`^([^/:@\s]+):(\d+)$`)
	hostWord   = regexp.MustCompile(`(?i)(HOST|SERVER|ADDR|SERVICE|URL|URI|ENDPOINT|UPSTREAM|BACKEND|API|NAME$|BROKER)`)
)

// wire connects services with what their variables name, and says which of them take
// requests.
func (c *composition) wire() {
	for _, x := range c.uses {
		name := c.mentions(x.value)
		if k, ok := c.stocks[name]; ok {
			c.connect(x, name, k)
		} else if to := c.byName[name]; to != nil && to != x.of && (x.value != name || hostWord.MatchString(x.name)) {
			c.address(x, to)
		} else if !isSecret(x.name, x.value) {
			c.plainVariable(x.of, x.name, x.value, x.from, vars{})
		}
	}
	for _, name := range c.names() {
		u := c.byName[name]
		if !u.has("port") && !u.has("host") && !u.has("health") {
			u.set("worker", true, u.from)
			c.notes = append(c.notes, Note{u.from.where(), u.from.path, Changed, "it publishes no port, so that it is taken for a worker", "if it takes requests: port instead of worker"})
		}
	}
}

func (c *composition) names() []string {
	var all []string
	for _, f := range c.read {
		if c.byName[f.name] != nil {
			all = append(all, f.name)
		}
	}
	return all
}

// connect gives a service the connection string of an accessory.
func (c *composition) connect(x use, name string, k stock) {
	i := slices.IndexFunc(c.accessories, func(u *unit) bool { return c.connections[u.name] == name })
	if i < 0 {
		return
	}
	a := c.accessories[i]
	scheme, _, isURL := strings.Cut(x.value, "://")
	scheme, driver, _ := strings.Cut(strings.TrimPrefix(scheme, "jdbc:"), "+")
	given, _ := a.value("secret").(string)
	switch {
	case !isURL:
		if given == "" {
			given = k.secret
			a.set("secret", given, x.from)
		}
		c.secret(x.of, given, x.from)
		c.notes = append(c.notes, Note{
			x.from.where(), x.from.path, Lost, x.name + " is a part of the address of " + name + ", which is not the same at each start",
			"the whole address is in the secret " + given + ": read it there",
		})
	case given == "":
		given = x.name
		a.set("secret", given, x.from)
		fallthrough
	case given == x.name:
		c.secret(x.of, x.name, x.from)
		if driver != "" || strings.HasPrefix(x.value, "jdbc:") || !slices.Contains(k.scheme, scheme) && len(k.scheme) > 0 {
			c.notes = append(c.notes, Note{
				x.from.where(), x.from.path, Changed, "the address began with a driver's scheme",
				"the secret " + x.name + " begins with " + k.scheme[0] + "://",
			})
		}
	default:
		c.secret(x.of, x.name, x.from)
		c.notes = append(c.notes, Note{
			x.from.where(), x.from.path, Changed, name + " is named in " + given + " already; " + x.name + " is not set by itself",
			"let the program read " + given + ", or set " + x.name + " by hand",
		})
		c.secret(x.of, given, x.from)
	}
}

// address makes a variable hold where another service is reached.
func (c *composition) address(x use, to *unit) {
	say := []said{{"service", to.name, x.from}}
	port := ""
	switch web, pair := webAddress.FindStringSubmatch(x.value), pairForm.FindStringSubmatch(x.value); {
	case web != nil:
		port = web[2]
		if p := strings.TrimRight(web[3], "/"); p != "" {
			say = append(say, said{"path", p, x.from})
		}
	case pair != nil:
		port = pair[2]
		say = append(say, said{"as", "hostport", x.from})
	case !strings.ContainsAny(x.value, ":/@=, "):
		say = append(say, said{"as", "host", x.from})
	default:
		c.note(x.from, Lost, "the address of "+to.name+" stands inside of other text", "the program finds it in TITRATE_URL_"+strings.ToUpper(strings.ReplaceAll(to.name, "-", "_")))
		return
	}
	if p, err := strconv.Atoi(port); err == nil && !to.has("port") {
		to.set("port", p, x.from)
	} else if !to.has("port") && web(x.value) {
		to.set("port", 80, x.from)
	}
	x.of.add("env", x.name, say, x.from)
}

func web(value string) bool { return strings.HasPrefix(value, "http://") }
