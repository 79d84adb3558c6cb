package importer

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// notHTTP are ports at which something else is spoken than HTTP, by custom.
var notHTTP = map[int]string{
	22: "SSH", 25: "SMTP", 53: "DNS", 443: "HTTPS", 465: "SMTP", 587: "SMTP", 1433: "SQL Server", 1883: "MQTT", 2345: "a debugger",
	3306: "MySQL", 5005: "a debugger", 5432: "PostgreSQL", 5672: "AMQP", 5678: "a debugger", 6379: "Redis", 8443: "HTTPS", 9042: "Cassandra",
	9092: "Kafka", 9229: "a debugger", 11211: "memcached", 27017: "MongoDB",
}

// ports says where a service listens, and whether it is reached from outside.
func (c *composition) ports(u *unit, s *node) {
	published := c.published(u, s)
	for _, p := range s.get("expose").each() {
		target, protocol := containerPort(c.shape(p))
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

// published takes the port at which a service is reached from outside: the first that
// speaks HTTP. It reports whether there is one.
func (c *composition) published(u *unit, s *node) bool {
	type listener struct {
		port int
		at   string // on the machine
		from *node
	}
	var all []listener
	for _, p := range s.get("ports").each() {
		target, protocol := c.shape(p), "tcp"
		at := machinePort(target)
		if p.kind == table {
			p.all()
			target, at = c.shape(p.find("target")), (&vars{given: c.given}).expand(p.find("published").str())
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
		default:
			all = append(all, listener{n, at, p})
		}
	}
	if len(all) == 0 {
		return false
	}
	taken := all[max(0, slices.IndexFunc(all, func(l listener) bool { return notHTTP[l.port] == "" }))]
	u.set("port", taken.port, taken.from)
	u.front = taken.at == "80" || taken.at == "443"
	for _, l := range all {
		if l.port != taken.port {
			c.note(l.from, Lost, fmt.Sprintf("a service has one port: %d was taken", taken.port), "make a second service of it, if it is needed from outside")
		}
	}
	if other := notHTTP[taken.port]; other != "" {
		c.notes = append(c.notes, Note{
			taken.from.where(), taken.from.path, Lost, fmt.Sprintf("%d is the port of %s, and the gateway carries HTTP: it is not reached from outside", taken.port, other),
			"host: NAME, if it speaks HTTP all the same",
		})
		return false
	}
	return true
}

// containerPort takes the container's side of [[HOST:]PUBLISHED:]TARGET[/PROTOCOL].
func containerPort(s string) (port, protocol string) {
	s, protocol, ok := strings.Cut(s, "/")
	if !ok {
		protocol = "tcp"
	}
	return s[strings.LastIndexByte(s, ':')+1:], protocol
}

// machinePort takes the machine's side of the same; empty where there is none.
func machinePort(s string) string {
	s, _, _ = strings.Cut(s, "/")
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		return s[:i][strings.LastIndexByte(s[:i], ':')+1:]
	}
	return ""
}

var (
	traefikHost = regexp.MustCompile("Host\\(`([^`]+)`")
	traefikPath = regexp.MustCompile("PathPrefix\\(`([^`]+)`")
	traefikPort = regexp.MustCompile(`^traefik\.http\.services\..*\.loadbalancer\.server\.port$`)
	traefikRule = regexp.MustCompile(`^traefik\.http\.routers\..*\.rule$`)
)

// labels reads what Traefik would route by; other labels are for other tools.
func (c *composition) labels(u *unit, n *node) {
	for _, f := range n.pairs() {
		value := c.text(f.value)
		host, prefix := traefikHost.FindStringSubmatch(value), traefikPath.FindStringSubmatch(value)
		n, err := strconv.Atoi(value)
		switch {
		case traefikRule.MatchString(f.name):
			if host != nil && !strings.Contains(host[1], "$") && host[1] != "" {
				u.set("host", host[1], f.value)
			} else if !u.has("host") {
				u.set("host", ownHost, f.value)
			}
			if prefix != nil && prefix[1] != "/" {
				u.set("route", prefix[1], f.value)
			}
			if host == nil && prefix == nil {
				c.notes = append(c.notes, Note{f.value.where(), f.value.path, Changed, "the rule names neither Host nor PathPrefix: the service has a host of its own", "host and route say what reaches it"})
			}
		case traefikPort.MatchString(f.name) && err == nil:
			u.set("port", n, f.value)
		case strings.HasPrefix(f.name, "traefik."):
			c.note(f.value, Needless, "the gateway routes by host and route", "")
		default:
			c.note(f.value, Lost, "labels are for other tools", "")
		}
	}
}

// health reads a check that asks over HTTP; any other way of asking is not one of
// Titrate's.
func (c *composition) health(u *unit, n *node) {
	if n == nil {
		c.dockerfileHealth(u)
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
	period := n.get("start_period")
	start, err := time.ParseDuration(period.str())
	switch {
	case err != nil && period.str() != "":
		period.odd = fmt.Sprintf("%q is no duration", period.text)
	case start > 2*time.Minute:
		u.set("startTimeout", period.str(), period)
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
