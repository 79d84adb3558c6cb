package importer

import (
	"path"
	"slices"
	"strings"
)

// once reports whether a service runs to its end before others start.
func (c *composition) once(name string) bool {
	for _, f := range c.read {
		if d := f.value.find("depends_on").as(list).find(name); d.find("condition").str() == "service_completed_successfully" {
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

// waiting gives the address of a database to the services that wait for it and do not
// name it, because their code does, and says which services are waited for so.
func (c *composition) waiting() {
	for _, f := range c.read {
		u := c.byName[f.name]
		if u == nil {
			continue
		}
		for _, key := range []string{"depends_on", "links"} {
			deps := f.value.find(key)
			waitsFor := func(name string, from *node) {
				name, _, _ = strings.Cut(name, ":")
				if k, ok := c.stocks[name]; ok {
					c.waits(u, name, k, from)
				} else if to := c.byName[name]; to != nil {
					c.knows(u, to, name, from)
				}
			}
			for _, d := range deps.entries() {
				waitsFor(d.name, d.value)
			}
			if deps != nil {
				for _, d := range deps.items {
					waitsFor(d.str(), d)
				}
			}
		}
	}
}

func (c *composition) waits(u *unit, name string, k stocked, from *node) {
	given, _ := k.value("secret").(string)
	if given == "" {
		given = k.stock.secret
	}
	if have, _ := u.value("secrets").([]string); slices.Contains(have, given) {
		return
	}
	k.set("secret", given, from)
	c.secret(u, given, from)
	c.notes = append(c.notes, Note{
		from.where(), from.path, Changed, u.name + " waits for " + name + " and no variable names it: its address is given all the same",
		"let the program read " + given + ", or take it out of secrets",
	})
}

// reachable gives the address of an accessory that no variable names and no service waits
// for to all services that compose would put into one network with it: the code of any
// may reach it by its name.
func (c *composition) reachable() {
	for _, a := range c.read {
		k, ok := c.stocks[a.name]
		if !ok {
			continue
		}
		name := k.usual
		if slices.ContainsFunc(c.accessories, func(o *unit) bool { return o != k.unit && o.value("secret") == name }) {
			name = ownSecret(k.unit)
		}
		if k.has("secret") || len(givenTo(c.services, name)) > 0 {
			continue
		}
		var given []string
		for _, f := range c.read {
			if u := c.byName[f.name]; u != nil && sharesNetwork(a.value, f.value) {
				c.secret(u, name, a.value)
				given = append(given, u.name)
			}
		}
		if len(given) > 0 {
			k.set("secret", name, a.value)
			c.notes = append(c.notes, Note{
				a.value.where(), a.value.path, Changed, "no variable names " + a.name + ", and no service waits for it: its address is given to " + strings.Join(given, ", "),
				"take " + name + " out of the secrets of those that do not use it",
			})
		}
	}
}

// sharesNetwork reports whether two services are in one network: that of the file, where
// they name none.
func sharesNetwork(x, y *node) bool {
	networks := func(s *node) []string {
		n := s.find("networks").as(list)
		var names []string
		for _, f := range n.entries() {
			names = append(names, f.name)
		}
		if n != nil {
			for _, i := range n.items {
				names = append(names, i.str())
			}
		}
		if len(names) == 0 {
			return []string{"default"}
		}
		return names
	}
	theirs := networks(y)
	return slices.ContainsFunc(networks(x), func(name string) bool { return slices.Contains(theirs, name) })
}

// knows notes that a service waits for another one that no variable names, where the name
// by which its code may reach it leads nowhere.
func (c *composition) knows(u, to *unit, name string, from *node) {
	if slices.ContainsFunc(c.uses, func(x use) bool { return x.of == u && c.mentions(x.value) == name }) || c.reaches(u, to, name) {
		return
	}
	why := name + " is no name of a machine here"
	instead := "its address is in " + addressVariable(to) + "; env: { NAME: { service: " + to.name + " } } gives it another name"
	if to.has("worker") {
		instead = "if it takes requests, give it a port instead of worker: then " + instead
		if c.contained(u) && to.name == name {
			instead = "if it takes requests, give it a port instead of worker: then its name leads there"
		}
	}
	c.notes = append(c.notes, Note{
		from.where(), from.path, Changed, u.name + " waits for " + name + " and no variable names it: " + why, instead,
	})
}
