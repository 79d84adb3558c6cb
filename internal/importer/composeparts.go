package importer

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ports says where a service listens, and whether it is reached from outside.
func (c *composition) ports(u *unit, s *node) {
	published := false
	for _, p := range s.get("ports").each() {
		target, protocol := c.text(p), "tcp"
		if p.kind == table {
			p.all()
			target = c.text(p.find("target"))
			if t := p.find("protocol").str(); t != "" {
				protocol = t
			}
		} else {
			target, protocol = containerPort(target)
		}
		n, err := strconv.Atoi(target)
		switch {
		case protocol == "udp":
			c.note(p, Lost, "the gateway carries HTTP: no UDP", "")
		case err != nil:
			c.note(p, Lost, "a range of ports, or a port without a number, is not read", "write port: NUMBER")
		case u.has("port") && u.value("port") != n && published:
			c.note(p, Lost, fmt.Sprintf("a service has one port: %d was taken", u.value("port")), "make a second service of it, if it is needed from outside")
		default:
			u.set("port", n, p)
			published = true
		}
	}
	for _, p := range s.get("expose").each() {
		target, protocol := containerPort(c.text(p))
		n, err := strconv.Atoi(target)
		switch {
		case u.has("port") && u.value("port") == n:
		case err == nil && protocol == "tcp" && !u.has("port"):
			u.set("port", n, p)
		default:
			c.note(p, Lost, "a service has one port", "")
		}
	}
	if !u.has("port") {
		if n, from := c.dockerfilePort(u); n != 0 {
			u.set("port", n, from)
		}
	}
	if published {
		u.set("host", ownHost, s.find("ports"))
	}
}

// containerPort takes the container's side of [[HOST:]PUBLISHED:]TARGET[/PROTOCOL].
func containerPort(s string) (port, protocol string) {
	s, protocol, ok := strings.Cut(s, "/")
	if !ok {
		protocol = "tcp"
	}
	return s[strings.LastIndexByte(s, ':')+1:], protocol
}

var exposeLine = regexp.MustCompile(`(?im)^\s*EXPOSE\s+(\d+)`)

// dockerfilePort is what the Dockerfile of a service exposes.
func (b *builder) dockerfilePort(u *unit) (int, *node) {
	dir, file := ".", "Dockerfile"
	switch v := u.value("build").(type) {
	case string:
		dir = v
	case []said:
		for _, s := range v {
			switch s.key {
			case "dir":
				dir, _ = s.value.(string)
			case "dockerfile":
				file, _ = s.value.(string)
			}
		}
	default:
		return 0, nil
	}
	name := path.Join(dir, file)
	if !b.exists(name) {
		return 0, nil
	}
	src, err := readFile(b.tree, name)
	if err != nil {
		return 0, nil
	}
	at := exposeLine.FindSubmatchIndex(src)
	if at == nil {
		return 0, nil
	}
	n, _ := strconv.Atoi(string(src[at[2]:at[3]]))
	return n, &node{file: name, line: strings.Count(string(src[:at[2]]), "\n") + 1, path: "EXPOSE"}
}

var (
	traefikHost = regexp.MustCompile("Host\\(`([^`]+)`")
	traefikPath = regexp.MustCompile("PathPrefix\\(`([^`]+)`")
	traefikPort = regexp.MustCompile(`^traefik\.http\.services\..*\.loadbalancer\.server\.port$`)
	traefikRule = regexp.MustCompile(`^traefik\.http\.routers\..*\.rule$`)
)

// labels reads what Traefik would route by; other labels are for other tools.
func (c *composition) labels(u *unit, n *node) {
	if n == nil {
		return
	}
	n.take()
	for _, f := range n.keyed().entries() {
		value := c.text(f.value)
		host, prefix := traefikHost.FindStringSubmatch(value), traefikPath.FindStringSubmatch(value)
		n, err := strconv.Atoi(value)
		switch {
		case traefikRule.MatchString(f.name) && (host != nil || prefix != nil):
			if host != nil && !strings.Contains(host[1], "$") && host[1] != "" {
				u.set("host", host[1], f.value)
			} else if !u.has("host") {
				u.set("host", ownHost, f.value)
			}
			if prefix != nil && prefix[1] != "/" {
				u.set("route", prefix[1], f.value)
			}
		case traefikPort.MatchString(f.name) && err == nil:
			u.set("port", n, f.value)
		case strings.HasPrefix(f.name, "traefik."):
			c.note(f.value, Needless, "the gateway routes by host and route", "")
		default:
			c.note(f.value, Lost, "labels are for other tools", "")
		}
	}
	n.all()
}

// health reads a check that asks over HTTP; any other way of asking is not one of
// Titrate's.
func (c *composition) health(u *unit, n *node) {
	if n == nil {
		return
	}
	test := n.get("test")
	if n.get("disable").yes() || len(test.words()) == 1 && test.words()[0] == "NONE" {
		n.all()
		return
	}
	if p, ok := healthPath(strings.Join(test.words(), " ")); ok {
		u.set("health", p, test)
	} else if test != nil {
		c.note(test, Lost, "a command is no health check here: a service is asked over HTTP, or ready when it accepts connections", "health: /PATH")
	}
	start, _ := time.ParseDuration(n.get("start_period").str())
	if start > 2*time.Minute {
		u.set("startTimeout", n.find("start_period").str(), n.find("start_period"))
	}
}

var urlWord = regexp.MustCompile(`https?://[^\s"'|;&)]+|(?:localhost|127\.0\.0\.1|0\.0\.0\.0):\d+/[^\s"'|;&)]*`)

// healthPath takes the path out of a command that asks this machine over HTTP.
func healthPath(command string) (string, bool) {
	word := urlWord.FindString(command)
	if word == "" {
		return "", false
	}
	if !strings.Contains(word, "://") {
		word = "http://" + word
	}
	at, err := url.Parse(word)
	if err != nil || !slices.Contains([]string{"localhost", "127.0.0.1", "0.0.0.0", "::1"}, at.Hostname()) && !strings.Contains(at.Host, "$") {
		return "", false
	}
	if at.Path == "" {
		return "/", true
	}
	return at.Path, true
}

// mounts reads volumes: those with a name are kept, folders of the machine are not.
func (c *composition) mounts(u *unit, s *node) {
	for _, v := range s.get("volumes").each() {
		var source, target string
		kind := "volume"
		if v.kind == table {
			v.all()
			source, target = c.text(v.find("source")), c.text(v.find("target"))
			if t := v.find("type").str(); t != "" {
				kind = t
			}
		} else {
			source, target = mount(c.text(v))
		}
		switch {
		case strings.Contains(source, "docker.sock"):
			c.note(v, Lost, "no workload sees the engine's socket", "what watches containers is not needed here")
		case kind == "tmpfs" || kind == "npipe" || kind == "cluster":
			c.note(v, Lost, "only volumes with a name are kept", "every instance has a TMPDIR")
		case kind == "bind" || strings.HasPrefix(source, ".") || strings.HasPrefix(source, "/") || strings.HasPrefix(source, "~") || strings.HasPrefix(source, "$"):
			c.note(v, Lost, "a folder of the machine is not mounted: a version holds its files", "COPY them in the Dockerfile; what is written belongs in a volume with a name")
		case source == "":
			c.note(v, Lost, "a volume without a name is lost with its container", "volumes: { NAME: "+target+" } keeps it")
		default:
			u.add("volumes", nameOf(source), target, v)
		}
	}
}

// mount splits [SOURCE:]TARGET[:MODE].
func mount(s string) (source, target string) {
	parts := strings.Split(s, ":")
	if len(parts) == 1 {
		return "", parts[0]
	}
	return parts[0], parts[1]
}

// capacity reads how many instances there are, and what each may use.
func (c *composition) capacity(u *unit, s *node) {
	deploy := s.get("deploy")
	resources := deploy.get("resources")
	for _, n := range []*node{s.get("scale"), deploy.get("replicas")} {
		if v, err := strconv.Atoi(c.text(n)); err == nil && v > 1 {
			u.set("scale", v, n)
		} else if err == nil && v == 0 {
			c.note(n, Lost, "a service has at least one instance", "")
		}
	}
	limits := resources.get("limits")
	for _, l := range []struct {
		from *node
		key  string
	}{
		{s.get("mem_limit"), "memory"},
		{limits.get("memory"), "memory"},
		{s.get("cpus"), "cpu"},
		{limits.get("cpus"), "cpu"},
		{s.get("pids_limit"), "processes"},
		{limits.get("pids"), "processes"},
	} {
		text := c.text(l.from)
		if text == "" {
			continue
		}
		if l.key == "memory" {
			u.add("limits", l.key, memory(text), l.from)
		} else if f, err := strconv.ParseFloat(text, 64); err == nil && f > 0 {
			u.add("limits", l.key, number(f), l.from)
		}
	}
}

func number(f float64) any {
	if f == float64(int(f)) {
		return int(f)
	}
	return f
}

var bytesForm = regexp.MustCompile(`(?i)^(\d+(?:\.\d+)?)\s*([bkmg]?)i?b?$`)

// memory writes an amount as Titrate does: 512MB.
func memory(s string) string {
	m := bytesForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return s
	}
	switch unit := strings.ToUpper(m[2]); unit {
	case "", "B":
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && n >= 1<<20 {
			return fmt.Sprintf("%dMB", n>>20)
		}
		return m[1] + "B"
	case "G":
		if f, err := strconv.ParseFloat(m[1], 64); err == nil && f != float64(int(f)) {
			return fmt.Sprintf("%dMB", int(f*1024))
		}
		return m[1] + "GB"
	default:
		return m[1] + unit + "B"
	}
}

var major = regexp.MustCompile(`^v?(\d+(?:\.\d+)*)`)

// stock makes an accessory of a service that runs a public database, cache or the like.
func (c *composition) stock(name string, s *node, image string, k stock) {
	a := c.accessory(name, s)
	c.stocks[name], c.connections[a.name] = k, name
	s.get("image")
	tag := ""
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		tag = image[i+1:]
	}
	if k.use != "" {
		a.set("use", k.use, s.find("image"))
	}
	if m := major.FindStringSubmatch(tag); k.use != "" && m != nil && (imageBase(image) == k.use) && !strings.Contains(image, "/") {
		a.set("version", strings.Split(m[1], ".")[0], s.find("image"))
	} else {
		a.set("image", image, s.find("image"))
	}
	if k.use == "" {
		a.set("port", k.port, s.find("image"))
	}
	for _, f := range takeTable(s, "environment").pairs() {
		v := vars{}
		value := v.expand(f.value.str())
		switch {
		case k.use != "":
			c.note(f.value, Needless, "user, password and database are made by Titrate, and put into the secret", "")
		case c.secretHere(f.name, f.value, value, v):
			c.note(f.value, Lost, "the value is a secret, or does not stand in this file", "give the accessory "+f.name+" by hand")
		default:
			a.add("env", f.name, value, f.value)
		}
	}
	for _, v := range s.get("volumes").each() {
		source, target := mount(c.text(v))
		if v.kind == table {
			v.all()
			source, target = c.text(v.find("source")), c.text(v.find("target"))
		}
		switch {
		case source == "" || strings.ContainsAny(source[:1], "./~$"):
			c.note(v, Lost, "a folder of the machine is not mounted", "scripts that fill a database are a release hook; data moves by a dump and a restore")
		case k.use != "":
			c.note(v, Needless, "Titrate keeps the data of "+name+" itself", "move the data by a dump and a restore")
		default:
			a.add("volumes", nameOf(source), target, v)
		}
	}
	if k.use != "" {
		c.note(s.find("healthcheck"), Needless, "Titrate knows how to ask it", "")
	}
	c.note(s.find("ports"), Needless, "an accessory is reached from the app's services alone", "")
	for _, key := range []string{"command", "entrypoint"} {
		c.note(s.find(key), Lost, "an accessory runs as its image says", "settings go into a configuration of its own image")
	}
}

// once reports whether a service runs to its end before others start.
func (c *composition) once(name string) bool {
	for _, f := range c.read {
		if d := f.value.find("depends_on").find(name); d.find("condition").str() == "service_completed_successfully" {
			return true
		}
	}
	return false
}

// hooks makes release hooks of the services that run once before others.
func (c *composition) hooks() {
	for _, f := range c.read {
		u := c.byName[f.name]
		deps := f.value.find("depends_on")
		if u == nil || deps == nil {
			continue
		}
		for _, d := range deps.entries() {
			job := c.jobs[d.name]
			if job == nil || d.value.find("condition").str() != "service_completed_successfully" {
				continue
			}
			command := job.find("command")
			line := strings.Join(command.words(), " ")
			if command != nil && command.kind == list {
				line = shellLine(command.words())
			}
			if line != "" && !u.has("hooks") && sameCode(job, f.value) {
				u.set("hooks", []said{{"release", c.text(&node{file: command.file, line: command.line, path: command.path, text: line}), command}}, command)
				job.all()
				c.notes = append(c.notes, Note{job.where(), job.path, Changed, "it runs once before " + f.name + ": it is the release hook of " + u.name + " here", ""})
			}
		}
	}
	for _, name := range sortedJobs(c.jobs) {
		if !c.jobs[name].find("command").takenAll() {
			c.note(c.jobs[name], Lost, "it runs once, from an image that no service runs", "hooks: { release: COMMAND } of a service runs in that service's version")
		}
	}
}

func (n *node) takenAll() bool { return n != nil && n.taken }

func sortedJobs(jobs map[string]*node) []string {
	var names []string
	for n := range jobs {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// sameCode reports whether two services run the same image.
func sameCode(x, y *node) bool {
	if i := x.find("image").str(); i != "" && i == y.find("image").str() {
		return true
	}
	context := func(n *node) string {
		b := n.find("build")
		if b != nil && b.kind == table {
			return b.find("context").str() + "|" + b.find("dockerfile").str()
		}
		return b.str() + "|"
	}
	return x.find("build") != nil && y.find("build") != nil && path.Clean(context(x)) == path.Clean(context(y))
}
