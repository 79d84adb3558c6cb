package manifest

import (
	"fmt"
	"strings"
)

// distinctRoutes reports functions whose routes take the same requests of one host, in
// one environment or in two.
func (f *file) distinctRoutes(app *App) {
	type request struct{ host, shape string }
	type owner struct {
		route, path, env string
		line             int
	}
	taken := map[request]owner{}
	for i, env := range app.Environments {
		for j, s := range env.Services {
			if s.Function == nil || s.Host == "" {
				continue
			}
			at := f.httpOf(i, j)
			for _, route := range s.Function.Triggers.Routes {
				key := request{s.Host, shape(route)}
				other, twice := taken[key]
				if !twice {
					taken[key] = owner{route, s.Function.Path, env.Name, at.key.Line}
					continue
				}
				who := fmt.Sprintf("%s (line %d)", short(other.path), other.line)
				if other.env != env.Name {
					who += " in " + other.env
				}
				f.r.fault(at.key, Problem{
					Code: codeRouteTaken, Path: at.path, Hint: "give one of them another route or host",
					Message: fmt.Sprintf("%s of %s takes the same requests of %s in %s as %s of %s", short(route), short(s.Function.Path), s.Host, env.Name, short(other.route), who),
				})
			}
		}
	}
}

// shape is a route without the names of its parameters: two of one shape take the
// same requests.
func shape(route string) string {
	parts := strings.Split(route, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = "{}"
			if strings.HasSuffix(part, "+}") {
				parts[i] = "{+}"
			}
		}
	}
	return strings.Join(parts, "/")
}

// httpOf is where a function's routes stand.
func (f *file) httpOf(environment, workload int) pair {
	w := f.all[workload]
	if at, silent := lastSaid("http", append(layersOf(w.says), layersOf(f.own[environment][w.name])...)...); !silent {
		return at.pair
	}
	return w.pair
}
