package rollout_test

import (
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	good, _, _, _ := heldStep(t)
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	full := rollout.Step{Weight: rollout.Full}
	for want, spoil := range map[string]func(*rollout.Plan){
		"members: at least one is needed":                           func(p *rollout.Plan) { p.Members = nil },
		"members[1].workload: a name is needed":                     func(p *rollout.Plan) { p.Members[1].Workload = "" },
		"members[1].workload: orders is named twice":                func(p *rollout.Plan) { p.Members[1].Workload = "orders" },
		"members[0].candidate: a version is needed":                 func(p *rollout.Plan) { p.Members[0].Candidate = 0 },
		"members[0].instances: 0, at least 1 is needed":             func(p *rollout.Plan) { p.Members[0].Instances = 0 },
		"steps: the last must have 100 %":                           func(p *rollout.Plan) { p.Steps = p.Steps[:1] },
		"steps: the last must have 100 %\nfrom: there is no step 1": func(p *rollout.Plan) { p.Steps, p.From = nil, 1 },
		"steps[0].weight: 100.01 % is not between 0 % and 100 %\nsteps[1].weight: 100 % is less than the step before": func(p *rollout.Plan) { p.Steps = []rollout.Step{{Weight: rollout.Full + 1}, full} },
		"steps[0].weight: -1 % is not between 0 % and 100 %":                                                          func(p *rollout.Plan) { p.Steps = []rollout.Step{{Weight: -100}, full} },
		"steps[1].weight: 10 % is less than the step before":                                                          func(p *rollout.Plan) { p.Steps = []rollout.Step{{Weight: 2000}, {Weight: 1000}, full} },
		"steps[0].hold: -1s is negative":                                                                              func(p *rollout.Plan) { p.Steps = []rollout.Step{{Hold: -time.Second}, full} },
		"from: there is no step 2":                                                                                    func(p *rollout.Plan) { p.From = 2 },
		"from: there is no step -1":                                                                                   func(p *rollout.Plan) { p.From = -1 },
		"bake: -1s is too short":                                                                                      func(p *rollout.Plan) { p.Bake = -time.Second },
		"keep: -1s is too short":                                                                                      func(p *rollout.Plan) { p.Keep = -time.Second },
		"drain: -1s is too short":                                                                                     func(p *rollout.Plan) { p.Drain = -time.Second },
		"start_timeout: 0s is too short":                                                                              func(p *rollout.Plan) { p.StartTimeout = 0 },
		"no_data_timeout: 0s is too short":                                                                            func(p *rollout.Plan) { p.NoDataTimeout = 0 },
		"hook_timeout: -1s is too short":                                                                              func(p *rollout.Plan) { p.HookTimeout = -time.Second },
		"max_restarts: 0, at least 1 is needed":                                                                       func(p *rollout.Plan) { p.MaxRestarts = 0 },
		`kind: "sideways" is none`:                                                                                    func(p *rollout.Plan) { p.Kind = "sideways" },
		`overlap: "jump" is none`:                                                                                     func(p *rollout.Plan) { p.Overlap = "jump" },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			p, _, _, _ := heldStep(t)
			spoil(&p)
			if err := p.Validate(); err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

func TestValidate_edges(t *testing.T) {
	t.Parallel()
	p, _, _, _ := heldStep(t)
	p.Steps = []rollout.Step{{Weight: 0}, {Weight: rollout.Full}, {Weight: rollout.Full}}
	p.Members[0].Candidate, p.Members[0].Instances, p.MaxRestarts, p.From = 1, 1, 1, 2
	p.Bake, p.Keep, p.Drain, p.StartTimeout = 0, 0, 0, 1
	p.Overlap, p.Kind = "", rollout.Rollback
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestR15_weights(t *testing.T) {
	t.Parallel()
	for w, want := range map[rollout.Weight]string{0: "0 %", 1: "0.01 %", 50: "0.5 %", 2000: "20 %", 3333: "33.33 %", rollout.Full: "100 %"} {
		if w.String() != want {
			t.Errorf("%d is written %s, want %s", w, w, want)
		}
		if p := rollout.Percent(float64(w) / 100); p != w {
			t.Errorf("%s percent is %d, want %d", want, p, w)
		}
	}
}

func TestR5_instancesRoundUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		weight rollout.Weight
		n, is  int
	}{{0, 4, 0}, {1, 4, 1}, {2500, 4, 1}, {2501, 4, 2}, {5000, 3, 2}, {rollout.Full, 3, 3}, {9999, 3, 3}} {
		if got := c.weight.Instances(c.n); got != c.is {
			t.Errorf("%s of %d instances is %d, want %d", c.weight, c.n, got, c.is)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	k := rollout.Key{App: "cofe", Env: "uat", Workload: "orders"}
	names := strings.Join([]string{k.String(), rollout.Version(17).String(), rollout.Version(0).String(), rollout.Release(42).String()}, " ")
	if names != "cofe/uat/orders v17 none r42" {
		t.Error(names)
	}
}
