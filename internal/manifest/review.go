package manifest

import (
	"fmt"
	"slices"
)

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
			reached = reached || s.Host != "" || s.Worker && len(env.Services) == 1 || s.Function != nil // called by the clock, a queue or by hand
			if !s.Worker && len(s.Alarms) == 0 {
				blind = append(blind, s.Name)
			}
		}
		at := f.environments[slices.IndexFunc(f.environments, func(e section) bool { return e.name == env.Name })].pair
		if len(blind) > 0 {
			warn(at, Problem{Code: warnNoAlarms, Message: fmt.Sprintf("in %s no alarm watches %s", env.Name, several(blind, 5)), Hint: "only health and restarts can refuse a release"})
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
	for _, o := range f.functions {
		all = append(all, o.says)
	}
	for _, e := range f.environments {
		all = append(all, e.says)
		for _, o := range pick([]section(nil), "services", e.says) {
			all = append(all, o.says)
		}
		for _, o := range pick([]scope(nil), "functions", e.says) {
			all = append(all, o.says)
		}
	}
	return all
}
