package manifest

import (
	"fmt"
	"reflect"
	"slices"
)

// group checks what together says and puts it into the app (R23).
func (f *file) group(app *App, g groups) {
	var known []string
	named := map[string]string{} // a function by its folder
	for _, w := range f.all {
		known = append(known, w.name)
		if w.function {
			named[w.path] = w.name
		}
	}
	lists := g.groups
	if g.all != nil {
		var all []member
		for _, name := range known {
			all = append(all, member{name, g.all, "together"})
		}
		if len(all) < 2 {
			return // it moves by itself until there is another
		}
		lists = [][]member{all}
	}
	seen := map[string]bool{}
	for _, list := range lists {
		var members []string
		var good []member
		for _, m := range list {
			if name, ok := named[m.name]; ok {
				m.name = name
			}
			switch {
			case !slices.Contains(known, m.name):
				f.r.fault(m.node, Problem{Code: codeTogether, Path: m.path, Message: "there is no service " + f.orFunction() + quote(m.name), Hint: didYouMean(m.name, known)})
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

// orFunction names functions beside services in a message, where there are any.
func (f *file) orFunction() string {
	if len(f.functions) > 0 {
		return "or function "
	}
	return ""
}

// agree reports members of a group that move by another strategy than most do, or the
// first: one rollout has one plan (R23). Those of one strategy are told at once.
func (f *file) agree(app *App, list []member) {
	for _, env := range app.Environments {
		var kinds [][]member // by strategy
		var by []Service
		for _, m := range list {
			s, _ := env.Service(m.name)
			i := slices.IndexFunc(by, func(o Service) bool {
				return reflect.DeepEqual(s.Steps, o.Steps) && reflect.DeepEqual(s.BlueGreen, o.BlueGreen)
			})
			if i < 0 {
				i, kinds, by = len(by), append(kinds, nil), append(by, s)
			}
			kinds[i] = append(kinds[i], m)
		}
		most := 0
		for i := range kinds {
			if len(kinds[i]) > len(kinds[most]) {
				most = i
			}
		}
		for i, others := range kinds {
			if i == most {
				continue
			}
			names := []string{by[most].Name}
			for _, m := range others {
				names = append(names, m.name)
			}
			hint := "give both the same rollout"
			if len(list) > 2 {
				hint = "give all the same rollout"
			}
			f.r.fault(others[0].node, Problem{
				Code: codeTogetherPlan, Path: others[0].path, Hint: hint,
				Message: fmt.Sprintf("%s move together, but in %s by different strategies: %s and %s", several(names, 4), env.Name, by[most].Strategy, by[i].Strategy),
			})
		}
	}
}
