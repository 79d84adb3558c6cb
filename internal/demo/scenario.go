package demo

import (
	"fmt"
	"slices"
	"strings"

	"titrate/examples/cofe"
)

// Scenario is one story of releases under load.
type Scenario struct {
	Name  string
	About string
	Rate  float64 // requests a second; 0: Config.Rate
	Acts  []Act
}

// Act is one push, what is done to Titrate in the middle of it, and how it must
// end.
type Act struct {
	Variant cofe.Variant
	Title   string       // what the commit is about, beside its number
	Expect  string       // outcome of the store's rollout: promoted, rolled-back, failed, superseded, or held
	Alarm   string       // rolled-back: the alarm that must have tripped; empty: any reason
	Kill    string       // server or node: killed with SIGKILL at the first step
	Then    cofe.Variant // pushed in the middle of the rollout
}

var opening = []Act{
	{Variant: cofe.V1, Title: "the marketplace opens", Expect: "promoted"},
	{Variant: cofe.V2, Title: "adds search", Expect: "promoted"},
}

// Scenarios are the stories, the first by default.
func Scenarios() []Scenario {
	first := opening[:1:1]
	return []Scenario{
		{
			Name: "errors", About: "a good release reaches 100 %, a bad one is rolled back by its alarm",
			Acts: append(opening[:2:2], Act{Variant: cofe.V3Errors, Title: "breaks checkout", Expect: "rolled-back", Alarm: "errors"}),
		},
		{
			Name: "latency", About: "a release that waits for a lock is rolled back by its latency alarm",
			Acts: append(first, Act{Variant: cofe.Latency, Title: "makes listing slow", Expect: "rolled-back", Alarm: "latency"}),
		},
		{
			Name: "crash", About: "a release whose process dies under load is rolled back",
			Acts: append(first, Act{Variant: cofe.Crash, Title: "dies after a while", Expect: "rolled-back"}),
		},
		{
			Name: "never-healthy", About: "a release that never answers gets no traffic",
			Acts: append(first, Act{Variant: cofe.NeverHealthy, Title: "listens elsewhere", Expect: "failed"}),
		},
		{
			Name: "low-traffic", About: "too few requests to tell: it holds, it does not pass", Rate: 3,
			Acts: append(first, Act{Variant: cofe.V2, Title: "adds search", Expect: "held"}),
		},
		{
			Name: "mid-push", About: "a push in the middle of a rollout waits for its turn",
			Acts: append(first, Act{Variant: cofe.V2, Title: "adds search", Expect: "promoted", Then: cofe.Config}),
		},
		{
			Name: "kill-server", About: "kill -9 of the server in the middle of a rollout: no request is lost, the rollout goes on",
			Acts: append(first, Act{Variant: cofe.V2, Title: "adds search", Expect: "promoted", Kill: "server"}),
		},
		{
			Name: "kill-node", About: "kill -9 of the node in the middle of a rollout: only requests in flight are lost",
			Acts: append(first, Act{Variant: cofe.V2, Title: "adds search", Expect: "promoted", Kill: "node"}),
		},
	}
}

// Find returns the scenario by that name; empty is the first.
func Find(name string) (Scenario, error) {
	all := Scenarios()
	if name == "" {
		return all[0], nil
	}
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
		}
		return Scenario{}, fmt.Errorf("there is no scenario %q\n  help    %s", name, strings.Join(names, ", "))
	}
	return all[i], nil
}
