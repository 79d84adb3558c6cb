package manifest

import (
	"slices"
	"time"

	"titrate/internal/rollout"
)

const (
	// HookTimeout ends a hook that runs longer (R24).
	HookTimeout = 5 * time.Minute
	// MaxRestarts of candidates in one attempt end it (R14).
	MaxRestarts = 3
)

// Groups returns the environment's services as they move: those that are
// together in one list, every other in a list of its own; in the manifest's order.
func (e Environment) Groups() [][]string {
	var out [][]string
	done := map[string]bool{}
	for _, s := range e.Services {
		if done[s.Name] {
			continue
		}
		group := []string{s.Name}
		for _, together := range e.Together {
			if slices.Contains(together, s.Name) {
				group = e.inOrder(together)
			}
		}
		for _, name := range group {
			done[name] = true
		}
		out = append(out, group)
	}
	return out
}

// inOrder returns the names that are services here, in the manifest's order.
func (e Environment) inOrder(names []string) []string {
	var out []string
	for _, s := range e.Services {
		if slices.Contains(names, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// Plan is how a rollout of these services and functions moves: one, or members of one
// group, in the manifest's order. It has no ids, kind, release and versions:
// they are the caller's. Members of a group have one strategy (R23); of their
// times the longest holds, they pass without data only if all may, and a lost
// source of metrics or a gradual way back counts for all if it does for one, and of their damage
// budgets the strictest does.
func (e Environment) Plan(services ...string) rollout.Plan {
	p := rollout.Plan{
		App: e.App, Env: e.Name, Kind: rollout.Forward, Attempt: 1, Overlap: e.Overlap,
		HookTimeout: HookTimeout, MaxRestarts: MaxRestarts, NoDataPasses: true, Waves: e.Waves,
	}
	for _, name := range e.inOrder(services) {
		s, _ := e.Service(name)
		if len(p.Members) == 0 {
			p.Strategy, p.Steps = s.Strategy, slices.Clone(s.Steps)
		}
		p.Members = append(p.Members, rollout.Member{
			Workload: s.Name, Instances: s.Scale, Worker: s.Worker, Function: s.Function != nil, Alarms: slices.Clone(s.Alarms), Hooks: s.Hooks,
		})
		if s.BlueGreen != nil {
			p.FullCapacity = true
			p.Keep = max(p.Keep, s.BlueGreen.Keep)
		}
		p.Bake = max(p.Bake, s.Bake)
		p.Drain = max(p.Drain, s.Drain)
		p.StartTimeout = max(p.StartTimeout, s.StartTimeout)
		if s.Function != nil {
			// The node ends the start of each of its instances, and says why. That begins with
			// the process, and the instances of a large group wait for their turn before.
			p.StartTimeout = max(p.StartTimeout, defaultStartTimeout)
		}
		p.NoDataTimeout = max(p.NoDataTimeout, s.NoDataTimeout)
		p.NoDataPasses = p.NoDataPasses && s.NoDataPasses
		p.SourceErrorRollback = p.SourceErrorRollback || s.SourceErrorRollback
		p.Gradual = p.Gradual || s.Gradual
		p.Damage = p.Damage.Stricter(s.Damage)
	}
	p.NoDataPasses = p.NoDataPasses && len(p.Members) > 0
	return p
}
