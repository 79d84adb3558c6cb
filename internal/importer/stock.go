package importer

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"
)

var major = regexp.MustCompile(`^v?(\d+(?:\.\d+)*)`)

// stock makes an accessory of what runs a public image. host is the name by which
// services reach it. The programs of this machine stand for the official images of
// PostgreSQL and Redis alone: one that was made of these may hold more.
func (w *wiring) stock(name, host, image string, k stock, from, says *node) *unit {
	a := w.accessory(name, from)
	if own := ownSecret(a); k.secret == "" || slices.ContainsFunc(w.accessories, func(o *unit) bool { return o.usual == k.secret }) {
		k.secret = own
	}
	a.usual = k.secret
	instead := "use: " + k.use + " if that of this machine is enough"
	tag := ""
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		tag = image[i+1:]
	}
	switch {
	case k.use == "":
	case !official(image, k.use):
		w.notes = append(w.notes, Note{says.where(), says.path, Changed, "it may hold more than " + k.use + " does, and runs as the image that it is", instead})
		k.use = ""
	case k.use == useRedis && slices.Contains(w.unaddressed, host):
		w.notes = append(w.notes, Note{says.where(), says.path, Changed, "no variable has its address, so that programs know it by its name and no password: it runs as the image that it is", "use: redis has a password, and backups: for programs that read " + k.secret})
		k.use = ""
	}
	if k.use == usePostgres && slices.Contains(w.inParts, host) {
		w.notes = append(w.notes, Note{says.where(), says.path, Changed, "programs are given its host, user and password apart: it runs as the image that it is, which takes these", "use: postgres makes them up, and has backups: for programs that read " + k.secret})
		k.use = ""
	}
	a.inParts = slices.Contains(w.inParts, host)
	if k.use == "" {
		a.set("image", image, says)
		if k.port != 0 {
			a.set("port", k.port, says)
		}
		a.folder = k.data
		a.set("url", plainURL(k, image), says)
		w.stocks[host] = stocked{k, a}
		return a
	}
	w.stocks[host] = stocked{k, a}
	a.set("use", k.use, says)
	switch m := major.FindStringSubmatch(tag); {
	case m != nil && k.use == usePostgres:
		a.set("version", strings.Split(m[1], ".")[0], says)
	case m != nil:
		w.notes = append(w.notes, Note{says.where(), says.path, Changed, "the Redis of this machine runs, of whatever version", ""})
	}
	return a
}

// plainURL is the connection string of an image of which nothing else is known.
func plainURL(k stock, image string) string {
	scheme := strings.Trim(notInScheme.ReplaceAllString(imageBase(image), ""), "+.-")
	if len(k.scheme) > 0 {
		scheme = k.scheme[0]
	}
	return scheme + "://$HOST:$PORT"
}

var notInScheme = regexp.MustCompile(`[^a-z0-9+.-]|^[^a-z]+`)

// serviceURL takes a connection string apart: what stands before the user, the user, the
// password, and what comes after host and port.
var serviceURL = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.:-]*://)(?:([^/:@\s]*)(:[^/@\s]*)?@)?[^/@,\s]+(/[^\s?#$]*)?(\?[^\s#$]*)?$`)

// address takes the connection string that a service was given for that of the
// accessory: the password is Titrate's, and so are host and port.
func (u *unit) address(x use, isURL bool) {
	if !u.has("image") || u.addressed {
		return
	}
	m := serviceURL.FindStringSubmatch(x.value)
	if !isURL || m == nil {
		return
	}
	user := m[2]
	if m[3] != "" {
		user += ":$PASSWORD"
	}
	if user != "" {
		user += "@"
	}
	if secretName.MatchString(strings.NewReplacer("=", " ", "&", " ").Replace(m[5])) {
		m[5] = ""
	}
	u.set("url", strings.ReplaceAll(m[1]+user+"$HOST:$PORT"+m[4]+m[5], "$$", "$"), x.from)
	u.addressed = true
}

// kept sees to it that the data of an accessory's image is kept, and that the
// connection string of a database has a user where nothing else says one.
func (w *wiring) kept(a *unit) {
	if !a.has("image") {
		return
	}
	entries, _ := a.value("volumes").([]said)
	if a.folder != "" && !slices.ContainsFunc(entries, func(s said) bool { v, _ := s.value.(string); return v == a.folder }) {
		a.add("volumes", "data", a.folder, a.from)
		w.notes = append(w.notes, Note{a.from.where(), a.from.path, Changed, "its data is kept in a volume that begins empty", "move the data by a dump and a restore"})
	}
	w.dumped(a)
	env, _ := a.value("env").([]said)
	user, database, password := "", "", ""
	for _, s := range env {
		value, _ := s.value.(string)
		switch {
		case value == "$PASSWORD":
			password = value
		case user == "" && userVariable.MatchString(s.key):
			user = value
		case database == "" && databaseVariable.MatchString(s.key):
			database = "/" + value
		}
	}
	if names, _ := a.value("secrets").([]string); a.inParts {
		for _, name := range names {
			if passwordVariable.MatchString(name) && (password == "" || password == "$PASSWORD") {
				password = "$" + name
			}
		}
	}
	if text, _ := a.value("url").(string); password != "" && strings.HasSuffix(text, "://$HOST:$PORT") {
		scheme, _, _ := strings.Cut(text, "://")
		if user == "" {
			user = map[string]string{"mysql": "root", "postgres": "postgres", "sqlserver": "sa"}[scheme]
		}
		a.set("url", scheme+"://"+user+":"+password+"@$HOST:$PORT"+database, a.from)
	}
}

var (
	userVariable     = regexp.MustCompile(`(_|^)USER(NAME)?$`)
	databaseVariable = regexp.MustCompile(`_(DATABASE|DB)$`)
	passwordVariable = regexp.MustCompile(`PASS(WORD|WD|$)`)
)

// setRun says what is run of an accessory's image.
func (u *unit) setRun(w *wiring, run any, n *node) {
	if u.has("use") {
		w.note(n, Lost, "an accessory of this machine has settings of its own", "image: REF instead of use runs it as it was")
		return
	}
	u.set("run", run, n)
}

// madeUp reports whether programs find the password of an accessory in its connection
// string alone.
func (u *unit) madeUp() bool {
	env, _ := u.value("env").([]said)
	return u.has("use") || !u.inParts && slices.ContainsFunc(env, func(s said) bool { return s.value == "$PASSWORD" })
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
		name, _ := a.value("secret").(string)
		name = cmp.Or(name, a.usual)
		if a.has("image") && !named && len(givenTo(w.services, name)) == 0 {
			name = ownSecret(a)
		}
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
	if of, ok := strings.CutSuffix(name, "_FILE"); ok && strings.HasPrefix(value, "/run/secrets/") { // official images take it from either
		name, value, v.missing = of, "", []string{of}
	}
	switch {
	case n.kind != scalar: // which is listed as such
	case a.has("use"):
		w.note(n, Needless, "user, password and database are made by Titrate, and put into the secret", "")
	case passwordVariable.MatchString(name) && a.inParts && slices.Contains(w.texts, n.text):
		w.secret(a, name, n)
		w.notes = append(w.notes, Note{n.where(), n.path, Changed, "a variable of a service has the same value", "set both secrets to one password"})
	case passwordVariable.MatchString(name) && w.secretHere(name, n, value, v):
		a.add("env", name, "$PASSWORD", n)
		w.notes = append(w.notes, Note{n.where(), n.path, Changed, "the password of " + a.name + " is made up by Titrate, and put into its connection string", ""})
	case w.secretHere(name, n, value, v):
		w.secret(a, name, n)
	default:
		w.plainVariable(a, name, value, n, v)
	}
}

// data takes a mount of an accessory.
func (w *wiring) data(a *unit, source, target string, n *node) {
	switch {
	case a.has("image") && target != "" && (target == a.folder || source == ""): // kept, whatever it is called
		a.add("volumes", nameOf(cmp.Or(strings.Trim(path.Base(source), "."), "data")), target, n)
		if source == "" || strings.ContainsAny(source[:1], "./~$") {
			w.notes = append(w.notes, Note{n.where(), n.path, Changed, "its data is kept in a volume that begins empty", "move the data by a dump and a restore"})
		}
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
	if a.has("use") {
		c.note(s.find("healthcheck"), Needless, "Titrate knows how to ask it", "")
	}
	c.note(s.find("ports"), Needless, "an accessory is reached from the app's services alone", "")
	if a.has("use") {
		for _, key := range []string{"command", "entrypoint"} {
			c.note(s.find(key), Lost, "an accessory of this machine has settings of its own", "image: REF instead of use runs it as it was")
		}
		return
	}
	c.program(a, s)
	c.kept(a)
}
