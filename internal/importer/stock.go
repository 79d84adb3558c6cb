package importer

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

var major = regexp.MustCompile(`^v?(\d+(?:\.\d+)*)`)

// stock makes an accessory of what runs a public image. host is the name by which
// services reach it.
func (w *wiring) stock(name, host, image string, k stock, from, says *node) *unit {
	a := w.accessory(name, from)
	if own := ownSecret(a); k.secret == "" || slices.ContainsFunc(w.accessories, func(o *unit) bool { return o.usual == k.secret }) {
		k.secret = own
	}
	a.usual = k.secret
	w.stocks[host] = stocked{k, a}
	tag := ""
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		tag = image[i+1:]
	}
	if k.use != "" {
		a.set("use", k.use, says)
	}
	m := major.FindStringSubmatch(tag)
	switch plain := imageBase(image) == k.use && !strings.Contains(image, "/"); {
	case plain && m != nil && k.use == usePostgres:
		a.set("version", strings.Split(m[1], ".")[0], says)
	case plain && m != nil:
		w.notes = append(w.notes, Note{says.where(), says.path, Changed, "the Redis of this machine runs, of whatever version", ""})
	case !plain:
		a.set("image", image, says)
	}
	if k.use == "" && k.port != 0 {
		a.set("port", k.port, says)
	}
	return a
}

// ownSecret is the variable of an accessory that no other one has.
func ownSecret(a *unit) string { return strings.ToUpper(strings.ReplaceAll(a.name, "-", "_")) + "_URL" }

// distinct gives each accessory a variable of its own, where another one was named for
// what would be its by default, and says which of them nobody is given.
func (w *wiring) distinct() {
	for _, a := range w.accessories {
		named := a.has("secret")
		taken := func(o *unit) bool { return o != a && o.value("secret") == a.usual }
		if !a.has("secret") && (a.has("use") && a.usual != defaultSecret[a.value("use")] || slices.ContainsFunc(w.accessories, taken)) {
			a.set("secret", ownSecret(a), a.from)
		}
		if !a.has("use") {
			continue
		}
		name, _ := a.value("secret").(string)
		name = cmp.Or(name, a.usual)
		tell := func(why, instead string) {
			w.notes = append(w.notes, Note{a.from.where(), a.from.path, Changed, why, instead})
		}
		switch given := len(givenTo(w.services, name)) > 0; {
		case !given:
			tell("no variable names "+a.name+", and no service waits for it", "secrets: ["+name+"] for the services that use it")
		case !named: // its value stands elsewhere
			a.set("secret", name, a.from)
			tell(name+" is the address of "+a.name+" here, which Titrate runs", "titrate secret set "+name+" if it is of another: what is set wins")
		}
	}
}

// setting takes a variable of an accessory.
func (w *wiring) setting(a *unit, name string, n *node) {
	value, v := w.expanded(n)
	switch {
	case a.has("use"):
		w.note(n, Needless, "user, password and database are made by Titrate, and put into the secret", "")
	case w.secretHere(name, n, value, v):
		w.note(n, Lost, "the value is a secret, or does not stand in this file", "give the accessory "+name+" by hand")
	default:
		a.add("env", name, value, n)
	}
}

// data takes a mount of an accessory.
func (w *wiring) data(a *unit, source, target string, n *node) {
	switch {
	case source == "" || strings.ContainsAny(source[:1], "./~$"):
		w.note(n, Lost, "a folder of the machine is not mounted", "scripts that fill a database are a release hook; data moves by a dump and a restore")
	case a.has("use"):
		w.note(n, Needless, "Titrate keeps the data of "+a.name+" itself", "move the data by a dump and a restore")
	default:
		a.add("volumes", nameOf(source), target, n)
	}
}

// database makes an accessory of a service that runs a public database, cache or the like.
func (c *composition) database(name string, s *node, image string, k stock) {
	s.get("image")
	a := c.stock(name, name, image, k, s, s.find("image"))
	for _, f := range takeTable(s, "environment").pairs() {
		c.setting(a, f.name, f.value)
	}
	for _, v := range s.get("volumes").each() {
		source, target := mount(c.shape(v))
		if v.kind == table {
			v.all()
			source, target = c.shape(v.find("source")), c.shape(v.find("target"))
		}
		c.data(a, source, target, v)
	}
	if k.use != "" {
		c.note(s.find("healthcheck"), Needless, "Titrate knows how to ask it", "")
	}
	c.note(s.find("ports"), Needless, "an accessory is reached from the app's services alone", "")
	for _, key := range []string{"command", "entrypoint"} {
		c.note(s.find(key), Lost, "an accessory runs as its image says", "settings go into a configuration of its own image")
	}
}
