package importer

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// builder collects what a manifest will say, whichever file says it.
type builder struct {
	tree    fs.FS
	file    string
	options Options

	app         string // as the file says; may be empty
	appFrom     string // what the app's name is from
	services    []*unit
	functions   []*unit
	queues      []*unit
	defaults    *unit // what functions have in common; nil: nothing
	accessories []*unit
	settings    []*unit // of environments
	registries  []said
	code        bool // services are the code's
	secrets     []Secret
	files       []File
	notes       []Note
	bundle      map[string]bundle // of functions that the Serverless Framework packs, by their keys
	bundled     bool              // a note says what becomes of its bundler
}

// unit is a service or accessory to be.
type unit struct {
	name  string // in titrate.yaml
	usual string // of an accessory: the variable that its address is in, unless secret says another
	from  *node
	built *node // of a service that compose mounts the code of: that mount
	front bool  // it is what a browser asks that is given the machine's name alone
	keys  []said

	folder    string // of an accessory: where its image keeps data
	inParts   bool   // its services are given host, user and password apart
	addressed bool   // its connection string is one that a service was given
}

// said is a key with its value, and the line that says so.
type said struct {
	key   string
	value any // string, number, bool, []string, or []said
	from  *node
}

// set says a key of a unit, once: a later value replaces an earlier one.
func (u *unit) set(key string, value any, from *node) {
	u.drop(key)
	u.keys = append(u.keys, said{key, value, from})
}

// add adds an entry to a key that is a mapping.
func (u *unit) add(key, name string, value any, from *node) {
	entries, _ := u.value(key).([]said)
	entries = slices.DeleteFunc(slices.Clone(entries), func(s said) bool { return s.key == name })
	at := from
	if i := u.index(key); i >= 0 {
		at = u.keys[i].from
	}
	u.set(key, append(entries, said{name, value, from}), at)
}

func (u *unit) index(key string) int {
	return slices.IndexFunc(u.keys, func(s said) bool { return s.key == key })
}

func (u *unit) value(key string) any {
	if i := u.index(key); i >= 0 {
		return u.keys[i].value
	}
	return nil
}

// drop takes a key back.
func (u *unit) drop(key string) {
	u.keys = slices.DeleteFunc(u.keys, func(s said) bool { return s.key == key })
}

func (u *unit) has(key string) bool { return u.index(key) >= 0 }

// service adds a service, under a name that no other one has.
func (b *builder) service(name string, from *node) *unit {
	u := &unit{name: b.free(nameOf(name)), from: from}
	b.services = append(b.services, u)
	return u
}

func (b *builder) accessory(name string, from *node) *unit {
	u := &unit{name: b.free(nameOf(name)), from: from}
	b.accessories = append(b.accessories, u)
	return u
}

func (b *builder) free(name string) string {
	taken := func(u *unit) bool { return u.name == name }
	for i, base := 2, name; slices.ContainsFunc(b.services, taken) || slices.ContainsFunc(b.functions, taken) || slices.ContainsFunc(b.accessories, taken); i++ {
		name = base[:min(len(base), 36)] + "-" + strconv.Itoa(i)
	}
	return name
}

// secret gives a service a secret by name; nil is none, but Titrate. from is the line
// that its value would come from.
func (b *builder) secret(u *unit, name string, from *node) {
	if u != nil {
		u.secret(name, from)
	}
	i := slices.IndexFunc(b.secrets, func(s Secret) bool { return s.Name == name })
	if i < 0 {
		i = len(b.secrets)
		b.secrets = append(b.secrets, Secret{Name: name, From: []Place{}})
	}
	s := &b.secrets[i]
	if from != nil && !slices.Contains(s.From, from.where()) {
		s.From = append(s.From, from.where())
	}
}

func (u *unit) secret(name string, from *node) {
	have, _ := u.value("secrets").([]string)
	if slices.Contains(have, name) {
		return
	}
	at := from
	if i := u.index("secrets"); i >= 0 {
		at = u.keys[i].from
	}
	u.set("secrets", append(slices.Clone(have), name), at)
}

// ownHost stands for the host of a service that is reached from outside, until all
// services are known.
const ownHost = "\x00host"

// hosts says under which names the services marked with ownHost are reached: the one
// in front, or the first, as the app's, the others under their own.
func (b *builder) hosts() {
	reached := func(u *unit) bool { return u.value("host") == ownHost }
	first := slices.IndexFunc(b.services, func(u *unit) bool { return u.front && reached(u) })
	if first < 0 {
		first = slices.IndexFunc(b.services, reached)
	}
	for i, u := range b.services {
		if !reached(u) {
			continue
		}
		name := b.app + ".localhost"
		if i == first && b.options.Host != "" {
			name = b.options.Host
		} else if i != first {
			name = u.name + "." + name
		}
		u.set("host", name, u.keys[u.index("host")].from)
	}
}

// named settles the names of the app and of what is reached from outside.
func (b *builder) named() {
	switch {
	case b.options.App != "":
		b.app, b.appFrom = b.options.App, "--app"
	case b.app != "":
		b.appFrom = b.file
	default:
		b.app, b.appFrom = b.options.Folder, "the folder's name"
	}
	b.app = nameOf(b.app)
	b.hosts()
}

// finish writes the manifest.
func (b *builder) finish() (*Draft, error) {
	b.named()
	text, err := b.valid()
	if err != nil {
		return nil, err
	}
	if b.code && len(b.accessories) == 0 { // the file adds nothing to the code
		return nil, b.nothing()
	}
	return &Draft{
		App: b.app, AppFrom: b.appFrom, Services: names(b.services), Functions: names(b.functions), Code: b.code, Accessories: names(b.accessories), Manifest: text,
		Files: b.needed(), Guesses: b.guesses(), Notes: unique(b.notes), Secrets: b.toSet(),
	}, nil
}

// toSet returns the secrets that are given and that nothing sets by itself.
func (b *builder) toSet() []Secret {
	set := []Secret{}
	for _, s := range b.secrets {
		given := slices.ContainsFunc(b.accessories, func(u *unit) bool { return u.value("secret") == s.Name })
		s.Services = slices.Concat(givenTo(b.services, s.Name), givenTo(b.functions, s.Name), givenTo(b.accessories, s.Name))
		if b.defaults != nil && len(givenTo([]*unit{b.defaults}, s.Name)) > 0 {
			s.Services = names(b.functions)
		}
		s.Environments = givenTo(b.settings, s.Name)
		pulls := slices.ContainsFunc(b.registries, func(r said) bool {
			return slices.ContainsFunc(r.value.([]said), func(x said) bool { return x.key == "password" && x.value == s.Name })
		})
		if len(s.Services) > 0 || pulls { // in every environment
			s.Environments = nil
			for _, e := range b.settings {
				s.Environments = append(s.Environments, e.name)
			}
		}
		if !given && (pulls || len(s.Services)+len(s.Environments) > 0) {
			set = append(set, s)
		}
	}
	slices.SortFunc(set, func(x, y Secret) int { return strings.Compare(x.Name, y.Name) })
	return set
}

// givenTo returns the names of those that are given a secret.
func givenTo(units []*unit, secret string) []string {
	names := []string{}
	for _, u := range units {
		if have, _ := u.value("secrets").([]string); slices.Contains(have, secret) {
			names = append(names, u.name)
		}
	}
	return names
}

// nothing is the error of a file of which nothing is left.
func (b *builder) nothing() error {
	var out strings.Builder
	for i, n := range unique(b.notes) {
		if n.Kind == Lost && i < 20 {
			fmt.Fprintf(&out, "\n          %s: %s: %s", n.Place, n.Key, n.Why)
		}
	}
	if len(b.accessories) > 0 {
		return &Error{
			codeNothing, b.file + out.String(), "the file runs nothing but " + strings.Join(names(b.accessories), ", "),
			"titrate init takes the services from the code, and what they need from this file",
		}
	}
	return &Error{codeNothing, b.file + out.String(), "the file runs nothing that could be carried over", "titrate init looks at the code itself"}
}
