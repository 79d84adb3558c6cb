package importer

import (
	"regexp"
	"strings"
)

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
