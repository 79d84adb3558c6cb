package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// group checks what together says and puts it into the app (R23).
func (f *file) group(app *App, g groups) {
	var known []string
	for _, s := range f.services {
		known = append(known, s.name)
	}
	lists := g.groups
	if g.all != nil {
		var all []named
		for _, s := range known {
			all = append(all, named{s, g.all, "together"})
		}
		if len(all) < 2 {
			return // it moves by itself until there is another
		}
		lists = [][]named{all}
	}
	seen := map[string]bool{}
	for _, list := range lists {
		var members []string
		var good []named
		for _, m := range list {
			switch {
			case !slices.Contains(known, m.name):
				f.r.fault(m.node, Problem{Code: codeTogether, Path: m.path, Message: "there is no service " + quote(m.name), Hint: didYouMean(m.name, known)})
			case f.changesPlaces(app, m.name):
				f.r.fault(m.node, Problem{
					Code: codeExclusive, Path: m.path, Message: m.name + " has a volume that is not shared: its versions change places, and cannot move together with others",
					Hint: "take it out of together, or shared: true for the volume if two versions may write to it at the same time",
				})
			case seen[m.name]:
				f.r.fault(m.node, Problem{Code: codeTogether, Path: m.path, Message: m.name + " stands in together twice", Hint: "a service is in one group at most"})
			default:
				members, good = append(members, m.name), append(good, m)
			}
			seen[m.name] = true
		}
		app.Together = append(app.Together, members)
		if !f.troubled("rollout") && len(good) > 1 {
			f.agree(app, good)
		}
	}
	for i := range app.Environments {
		app.Environments[i].Together = app.Together
	}
}

// changesPlaces reports whether the versions of a service never run side by side.
func (f *file) changesPlaces(app *App, name string) bool {
	s, _ := app.Environments[0].Service(name) // volumes are the same in all of them
	return s.Volumes.Exclusive()
}

// agree reports members, which are services, of a group that move by another strategy than the first:
// one rollout has one plan (R23).
func (f *file) agree(app *App, list []named) {
	for _, env := range app.Environments {
		first, _ := env.Service(list[0].name)
		for _, m := range list[1:] {
			s, _ := env.Service(m.name)
			if !reflect.DeepEqual(s.Steps, first.Steps) || !reflect.DeepEqual(s.BlueGreen, first.BlueGreen) {
				f.r.fault(m.node, Problem{
					Code: codeTogetherPlan, Path: m.path, Hint: "give both the same rollout",
					Message: fmt.Sprintf("%s and %s move together, but in %s by different strategies: %s and %s", first.Name, s.Name, env.Name, first.Strategy, s.Strategy),
				})
			}
		}
	}
}

// review warns of what is allowed and probably not meant.
func (f *file) review(app *App) {
	warn := func(at pair, p Problem) {
		p.Severity, p.Path = SeverityWarning, at.path
		f.r.fault(at.key, p)
	}
	for _, l := range f.everyLayer() {
		if e, ok := l["noData"]; ok && e.value == "pass" {
			warn(e.pair, Problem{Code: warnNoDataPass, Message: "with noData: pass a release nobody used is promoted unmeasured", Hint: "hold waits for requests"})
		}
		// Whether a program reads $PORT is not seen here; one that does needs no port.
		if e, ok := l["port"]; ok && !contained(l) {
			warn(e.pair, Problem{
				Code: warnFixedPort, Message: fmt.Sprintf("outside of a container only one process can listen on port %d, and a rollout runs the old and the new version at once", e.value),
				Hint: "read $PORT in the program, then remove port",
			})
		}
	}
	for _, s := range f.services {
		// What a build makes is not seen here; only an image is known to be one.
		if e, ok := s.says["readOnly"]; ok && e.value == true && s.says["image"].key == nil {
			warn(e.pair, Problem{Code: warnReadOnly, Message: s.name + " names no image: readOnly is for images", Hint: "a process can write to its own folders only; remove readOnly"})
		}
	}
	for i, s := range f.services {
		if e, ok := s.says["volumes"]; ok && app.Environments[0].Services[i].Volumes.Exclusive() {
			warn(e.pair, Problem{
				Code: warnDowntime, Message: "each release of " + s.name + " ends the old version before the new one starts: nothing serves in between",
				Hint: "shared: true for the volume, if two versions may write to it at the same time",
			})
		}
	}
	for _, env := range app.Environments {
		reached := false
		var blind []string
		for _, s := range env.Services {
			reached = reached || s.Host != "" || s.Worker && len(env.Services) == 1
			if !s.Worker && len(s.Alarms) == 0 {
				blind = append(blind, s.Name)
			}
		}
		at := f.environments[slices.IndexFunc(f.environments, func(e section) bool { return e.name == env.Name })].pair
		if len(blind) > 0 {
			warn(at, Problem{Code: warnNoAlarms, Message: fmt.Sprintf("in %s no alarm watches %s", env.Name, strings.Join(blind, ", ")), Hint: "only health and restarts can refuse a release"})
		}
		if !reached {
			warn(at, Problem{Code: warnUnreached, Message: "nothing of " + env.Name + " can be reached from outside", Hint: "add host or route to a service"})
		}
	}
}

// contained reports whether settings say that what runs is an image, which has a
// network of its own with all ports free. A folder may be built into a process.
func contained(l layer) bool {
	b, _ := l["build"].value.(Build)
	_, image := l["image"]
	return image || b.With == "docker" || b.Dockerfile != "" || b.Target != "" || len(b.Args) > 0
}

// everyLayer returns all tables of settings in the file.
func (f *file) everyLayer() []layer {
	all := []layer{f.defaults}
	for _, s := range f.services {
		all = append(all, s.says)
	}
	for _, e := range f.environments {
		all = append(all, e.says)
		for _, o := range pick([]section(nil), "services", e.says) {
			all = append(all, o.says)
		}
	}
	return all
}
