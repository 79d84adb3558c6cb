package importer

// Program is a service that the code itself looks like. A compose file that holds
// databases alone, as many do for development, is imported beside it.
type Program struct {
	Name    string
	Dir     string // to build
	Port    int    // 0: it reads $PORT
	Health  string
	Worker  bool
	Secrets []string // that the repository says it needs
}

// programs makes services of the code, where the file has accessories alone, and
// gives them what these are reached by.
func (w *wiring) programs() {
	if len(w.services) > 0 || len(w.accessories) == 0 {
		return
	}
	w.code = true
	for _, p := range w.options.Programs {
		from := &node{file: p.Dir, path: "services." + p.Name}
		u := w.service(p.Name, from)
		u.set("build", p.Dir, from)
		switch {
		case p.Worker:
			u.set("worker", true, from)
		default:
			u.set("host", ownHost, from)
		}
		if p.Port != 0 {
			u.set("port", p.Port, from)
		}
		if p.Health != "" {
			u.set("health", p.Health, from)
		}
		for _, name := range w.hosts {
			if k, ok := w.stocks[name]; ok {
				k.set("secret", k.stock.secret, k.from)
				w.secret(u, k.stock.secret, k.from)
			}
		}
		for _, name := range p.Secrets {
			w.secret(u, name, from)
		}
	}
}
