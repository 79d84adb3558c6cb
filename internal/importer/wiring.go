package importer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// wiring is what connects the services of a file: by which host names they and their
// accessories are reached, and which variables name one.
type wiring struct {
	*builder
	hosts       []string         // host names of services and accessories, in the order of the file
	environment map[string]Place // names whose values stand in another file
	byName      map[string]*unit
	stocks      map[string]stocked // accessories, by host name
	uses        []use
	literal     bool     // values hold no ${NAME}
	unaddressed []string // hosts that containers know by name, and whose address no variable has
	inParts     []string // those of them that a variable names alone, beside others for user and password
	texts       []string // of services' variables, as they stand
	primary     *unit    // where all have the same variables: the one that PORT is of
}

func newWiring(b *builder) *wiring {
	return &wiring{builder: b, environment: map[string]Place{}, byName: map[string]*unit{}, stocks: map[string]stocked{}}
}

// stocked is an accessory to be.
type stocked struct {
	stock
	*unit
}

// use is a variable of a service that names another one.
type use struct {
	of          *unit
	name, value string
	from        *node
}

// variable takes one variable of a service.
func (w *wiring) variable(u *unit, name string, n *node) {
	value, v := w.expanded(n)
	if n.kind != scalar {
		return // which is listed as such
	}
	if file, ok := strings.CutSuffix(name, "_FILE"); ok && strings.HasPrefix(value, "/run/secrets/") {
		w.secret(u, file, n)
		w.notes = append(w.notes, Note{n.where(), n.path, Changed, "the secret was read from a file", "it is the variable " + file + " here: the program reads it there"})
		return
	}
	switch {
	case !variableName.MatchString(name):
		w.note(n, Lost, name+" is no name of a variable: letters, digits and _", "the image may read the setting from a file: COPY it in the Dockerfile")
	case name == "PORT":
		if p, err := strconv.Atoi(value); err == nil && (w.primary == nil || u == w.primary) {
			u.set("port", p, n)
		}
		w.notes = append(w.notes, Note{n.where(), n.path, Needless, "Titrate gives each instance its PORT", ""})
	case w.secretHere(name, n, value, v):
		w.secret(u, name, n)
		if w.mentions(value) != "" {
			w.uses = append(w.uses, use{u, name, value, n})
		}
		for _, missing := range v.missing {
			if p, ok := w.environment[missing]; ok {
				w.secret(u, name, &node{file: p.File, line: p.Line})
			}
		}
	case w.mentions(value) != "":
		w.uses = append(w.uses, use{u, name, value, n})
	default:
		w.plainVariable(u, name, value, n, v)
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expanded is the text of a scalar, with what its variables have for defaults.
func (w *wiring) expanded(n *node) (string, vars) {
	v := vars{}
	if w.literal {
		return n.str(), v
	}
	return v.expand(n.str()), v
}

// secretHere reports whether a variable's value is not to be written down: it is a
// secret, or it does not stand in the file.
func (w *wiring) secretHere(name string, n *node, value string, v vars) bool {
	return n.bare && n.text == "" || len(v.missing) > 0 || isSecret(name, value)
}

const dockerHost = "host.docker.internal"

func (w *wiring) plainVariable(u *unit, name, value string, n *node, v vars) {
	u.add("env", name, value, n)
	if strings.Contains(value, dockerHost) {
		w.notes = append(w.notes, Note{
			n.where(), n.path, Changed, dockerHost + " is a name of Docker's for the machine: nothing answers to it here",
			"make an accessory or a service of what is reached there, or write its address",
		})
	}
	for _, d := range v.defaulted {
		w.notes = append(w.notes, Note{n.where(), n.path, Changed, "the default of ${" + d + "} was taken", "write the value into titrate.yaml if it is another in production"})
	}
}

// mentions returns the service or accessory that a value names by its host.
func (w *wiring) mentions(value string) string {
	for _, name := range w.hosts {
		if host(name).MatchString(value) && (strings.ContainsAny(value, ":/@=") || value == name) {
			return name
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
	hostWord   = regexp.MustCompile(`(?i)(HOST|SERVER|ADDR|SERVICE|URL|URI|ENDPOINT|UPSTREAM|BACKEND|API|BROKER)`)
)

// wire connects services with what their variables name, and says which of them take
// requests.
func (w *wiring) wire() {
	for _, x := range w.uses {
		name := w.mentions(x.value)
		alone := x.value == name && !hostWord.MatchString(x.name) // a user or database of the same name, perhaps
		if k, ok := w.stocks[name]; ok && !alone {
			w.connect(x, name, k.stock, k.unit)
		} else if to := w.byName[name]; to != nil && to != x.of && !alone {
			w.address(x, to)
		} else if !isSecret(x.name, x.value) {
			w.plainVariable(x.of, x.name, x.value, x.from, vars{})
		}
	}
	for _, name := range w.names() {
		u := w.byName[name]
		if !u.has("port") && !u.has("host") && !u.has("health") {
			u.set("worker", true, u.from)
			w.notes = append(w.notes, Note{u.from.where(), u.from.path, Changed, "it publishes no port, so that it is taken for a worker", "if it takes requests: port instead of worker"})
		}
	}
}

func (w *wiring) names() []string {
	var all []string
	for _, name := range w.hosts {
		if w.byName[name] != nil {
			all = append(all, name)
		}
	}
	return all
}

// connect gives a service the connection string of an accessory.
func (w *wiring) connect(x use, name string, k stock, a *unit) {
	scheme, _, isURL := strings.Cut(x.value, "://")
	a.address(x, isURL)
	scheme, driver, _ := strings.Cut(strings.TrimPrefix(scheme, "jdbc:"), "+")
	given, _ := a.value("secret").(string)
	switch {
	case !isURL:
		if given == "" {
			given = k.secret
			a.set("secret", given, x.from)
		}
		w.secret(x.of, given, x.from)
		if a.name == name && w.contained(x.of) && !isSecret(x.name, x.value) {
			x.of.add("env", x.name, x.value, x.from)
			if a.madeUp() {
				w.notes = append(w.notes, Note{
					x.from.where(), x.from.path, Changed, name + " is reached by its name; its user and password are made here",
					"the whole address, with both, is in the secret " + given + ": read them there",
				})
			}
			break
		}
		w.notes = append(w.notes, Note{
			x.from.where(), x.from.path, Lost, x.name + " is a part of the address of " + name + ", which is not the same at each start",
			"the whole address, with user and password, is in the secret " + given + ": read it there",
		})
	case given == "":
		given = x.name
		a.set("secret", given, x.from)
		fallthrough
	case given == x.name:
		w.secret(x.of, x.name, x.from)
		if a.has("image") {
			break // its connection string is the service's own
		}
		if driver != "" || strings.HasPrefix(x.value, "jdbc:") || !slices.Contains(k.scheme, scheme) && len(k.scheme) > 0 {
			w.notes = append(w.notes, Note{
				x.from.where(), x.from.path, Changed, "the address began with a driver's scheme",
				"the secret " + x.name + " begins with " + k.scheme[0] + "://",
			})
		}
	default:
		w.secret(x.of, x.name, x.from)
		w.notes = append(w.notes, Note{
			x.from.where(), x.from.path, Changed, name + " is named in " + given + " already; " + x.name + " is not set by itself",
			"let the program read " + given + ", or set " + x.name + " by hand",
		})
		w.secret(x.of, given, x.from)
	}
}

// address makes a variable hold where another service is reached.
func (w *wiring) address(x use, to *unit) {
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
	case w.named(x):
		x.of.add("env", x.name, x.value, x.from)
		return
	default:
		w.note(x.from, Lost, "the address of "+to.name+" stands inside of other text", "the program finds it in "+addressVariable(to))
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

// addressVariable is where Titrate gives every service the address of another one.
func addressVariable(to *unit) string {
	return "TITRATE_URL_" + strings.ToUpper(strings.ReplaceAll(to.name, "-", "_"))
}
