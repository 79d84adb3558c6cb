package serverless

import (
	"regexp"
	"slices"
	"strconv"
)

// Deployment is how traffic moves to a new version, as
// serverless-plugin-canary-deployments reads it: the function's settings over those of
// custom.deploymentSettings. A function without settings of its own has none.
type Deployment struct {
	At
	Type     string     `json:"type,omitempty"` // of CodeDeploy
	Shift    *Shift     `json:"shift,omitempty"`
	Alias    string     `json:"alias,omitempty"`
	PreHook  string     `json:"preHook,omitempty"` // the key of a function
	PostHook string     `json:"postHook,omitempty"`
	Alarms   []AlarmRef `json:"alarms,omitempty"`
	Stages   []string   `json:"stages,omitempty"` // empty: all
	Active   bool       `json:"active"`           // in this stage
}

// Shift is what a type of CodeDeploy means.
type Shift struct {
	Kind    string `json:"kind"` // canary: Percent once, then all; linear: Percent again and again; all-at-once
	Percent int    `json:"percent"`
	Minutes int    `json:"minutes"`
}

// AlarmRef is an alarm that takes a deployment back.
type AlarmRef struct {
	At
	Name      string `json:"name,omitempty"`      // of an alarm that exists in the account
	LogicalID string `json:"logicalId,omitempty"` // of one that the service makes
	Function  string `json:"function,omitempty"`  // of the service, whose Alarm it is
	Alarm     string `json:"alarm,omitempty"`
}

var shiftName = regexp.MustCompile(`^(?:(Canary)(\d{1,3})Percent(\d{1,5})Minutes?|(Linear)(\d{1,3})PercentEvery(\d{1,5})Minutes?|AllAtOnce)$`)

// shift reads a type's name (AWS CodeDeploy User Guide, "Deployment configurations on
// an AWS Lambda compute platform"); nil: it is none of CodeDeploy's.
func shift(name string) *Shift {
	m := shiftName.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	s := &Shift{Kind: "all-at-once", Percent: 100}
	switch {
	case m[1] != "":
		s.Kind, s.Percent, s.Minutes = "canary", digits(m[2]), digits(m[3])
	case m[4] != "":
		s.Kind, s.Percent, s.Minutes = "linear", digits(m[5]), digits(m[6])
	}
	if s.Percent < 1 || s.Percent > 100 {
		return nil
	}
	return s
}

func digits(s string) int {
	i, err := strconv.Atoi(s)
	if err != nil {
		return 0 // the pattern lets only digits through
	}
	return i
}

func (d *reader) deployment(fn *node) *Deployment {
	own, all := fn.under("deploymentSettings"), d.root.under("custom", "deploymentSettings")
	if own == nil || own.kind != table && !own.null() {
		return nil
	}
	if own.str(); len(own.fields) == 0 {
		own.taken = true // an empty one: only the common settings
	}
	at := func(key string) *node {
		common := all.under(key)
		if n := own.under(key); n != nil {
			common.take() // it is overridden
			return n
		}
		return common
	}
	dep := &Deployment{
		At: own.At, Type: at("type").str(), Alias: at("alias").str(),
		PreHook: at("preTrafficHook").str(), PostHook: at("postTrafficHook").str(), Stages: d.stages(all.under("stages")),
	}
	if dep.Shift = shift(dep.Type); dep.Shift == nil && at("type") != nil {
		n := at("type")
		n.taken, n.odd = false, "it is no type of CodeDeploy"
	}
	dep.Active = len(dep.Stages) == 0 || slices.Contains(dep.Stages, d.p.Provider.Stage)
	if alarms := at("alarms"); alarms != nil {
		for _, a := range alarms.items {
			if !d.charge(a, 1) {
				break
			}
			ref := AlarmRef{At: a.At}
			if a.kind == scalar {
				ref.LogicalID = a.str()
			} else if t := d.target(a); t != nil {
				ref.LogicalID = t.Resource
			} else {
				ref.Name = a.under("name").str()
			}
			if ref.LogicalID != "" || ref.Name != "" {
				dep.Alarms = append(dep.Alarms, ref)
			}
		}
	}
	return dep
}

// stages are read once for each function that they hold for.
func (d *reader) stages(n *node) []string {
	if n == nil || !d.charge(n, 1+len(n.items)) {
		return nil
	}
	return n.strs()
}

// linkAlarms finds the functions' own alarms among those that deployments name.
func (d *reader) linkAlarms() {
	type owner struct{ function, alarm string }
	ids := map[string]owner{}
	for _, f := range d.p.Functions {
		for _, a := range f.Alarms {
			ids[a.LogicalID] = owner{f.Key, a.Name}
		}
	}
	for _, f := range d.p.Functions {
		if f.Deployment == nil {
			continue
		}
		for i, ref := range f.Deployment.Alarms {
			if o, ok := ids[ref.LogicalID]; ok {
				f.Deployment.Alarms[i].Function, f.Deployment.Alarms[i].Alarm = o.function, o.alarm
			}
		}
	}
}
