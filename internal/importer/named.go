package importer

import (
	"regexp"
	"strconv"
)

// contained reports whether a service has a network of its own, where names lead to its
// fellows: it is an image, or is made one by a Dockerfile.
func (b *builder) contained(u *unit) bool {
	_, dockerfile := b.dockerfile(u)
	return u.has("image") || dockerfile != ""
}

// reaches reports whether a service reaches another one by the name that it has in the
// file.
func (b *builder) reaches(u, to *unit, name string) bool {
	return b.contained(u) && to.name == name && !to.has("worker") && notHTTP[b.portOf(to)] == ""
}

// portOf is where a service is known to listen; 0: it is not known.
func (b *builder) portOf(u *unit) int {
	if p, ok := u.value("port").(int); ok {
		return p
	}
	p, _ := b.dockerfilePort(u)
	return p
}

// named reports whether the text of a variable, which has names of other services in it,
// leads to all of them as it stands.
func (w *wiring) named(x use) bool {
	for _, name := range w.hosts {
		to := w.byName[name]
		if to == nil || !host(name).MatchString(x.value) {
			continue
		}
		for _, m := range regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`:(\d+)`).FindAllStringSubmatch(x.value, -1) {
			p, err := strconv.Atoi(m[1])
			if known := w.portOf(to); err != nil || known != 0 && known != p {
				return false
			}
			to.set("port", p, x.from)
		}
		if !w.reaches(x.of, to, name) {
			return false
		}
	}
	return true
}
