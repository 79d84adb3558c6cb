package lambdaapi

import (
	"encoding/json"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/functions"
	"titrate/internal/rollout"
)

// between is a function whose rollout has brought its candidate v3 to a weight.
func between(w rollout.Weight) functions.Function {
	f := functions.Function{Key: rollout.Key{App: "shop", Env: "production", Workload: "web"}, Stable: 2, Candidate: 3, Newest: 4, Rollout: 9}
	for v, share := range map[rollout.Version]rollout.Weight{2: rollout.Full - w, 3: w} {
		f.Running = append(f.Running, functions.Running{VersionStatus: controller.VersionStatus{Version: v, Asked: share}})
	}
	return f
}

// settled is the same function when no rollout is in progress.
func settled() functions.Function {
	f := between(0)
	f.Candidate, f.Rollout = 0, 0
	return f
}

func TestWish_isACommand(t *testing.T) {
	t.Parallel()
	promoted := []rollout.Version{2, 1}
	for _, c := range []struct {
		what, body string
		f          functions.Function
		want       move
	}{
		{"nothing is asked", `{}`, between(1000), move{}},
		{"a description", `{"Description":"x"}`, between(0), move{}},
		{"a weight", `{"RoutingConfig":{"AdditionalVersionWeights":{"3":0.2}}}`, between(1000), move{verb: rollout.SetWeight, weight: 2000}},
		{"the weight that it has", `{"RoutingConfig":{"AdditionalVersionWeights":{"3":0.1}}}`, between(1000), move{}},
		{"a hundredth of a percent", `{"RoutingConfig":{"AdditionalVersionWeights":{"3":0.0001}}}`, between(0), move{verb: rollout.SetWeight, weight: 1}},
		{"said from the candidate's side", `{"FunctionVersion":"3","RoutingConfig":{"AdditionalVersionWeights":{"2":0.8}}}`, between(1000), move{verb: rollout.SetWeight, weight: 2000}},
		{"no weight, by name", `{"FunctionVersion":"2","RoutingConfig":{"AdditionalVersionWeights":{"3":0}}}`, between(1000), move{verb: rollout.SetWeight}},
		{"everything by weight", `{"RoutingConfig":{"AdditionalVersionWeights":{"3":1}}}`, between(1000), move{verb: rollout.PromoteFull}},
		{"everything", `{"FunctionVersion":"3"}`, between(1000), move{verb: rollout.PromoteFull}},
		{"it has everything", `{"FunctionVersion":"3"}`, between(rollout.Full), move{}},
		{"back", `{"FunctionVersion":"2"}`, between(1000), move{verb: rollout.Abort}},
		{"back from everything", `{"FunctionVersion":"2"}`, between(rollout.Full), move{verb: rollout.Abort}},
		{"back before it had any", `{"FunctionVersion":"2"}`, between(0), move{verb: rollout.Abort}},
		{"routing taken away", `{"RoutingConfig":{}}`, between(1000), move{verb: rollout.Abort}},
		{"as it is, settled", `{"FunctionVersion":"2"}`, settled(), move{}},
		{"what was promoted before", `{"FunctionVersion":"1"}`, settled(), move{back: 1}},
	} {
		var w wish
		if err := json.Unmarshal([]byte(c.body), &w); err != nil {
			t.Fatal(err)
		}
		if got, err := w.means(c.f, promoted); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.what, got, err, c.want)
		}
	}
	for what, body := range map[string]string{
		"a version that went back": `{"FunctionVersion":"3"}`, "one that was never tried": `{"FunctionVersion":"4"}`, "weights": `{"RoutingConfig":{"AdditionalVersionWeights":{"1":0.5}}}`,
	} {
		var w wish
		_ = json.Unmarshal([]byte(body), &w)
		if got, err := w.means(settled(), promoted); err == nil {
			t.Errorf("%s, with no rollout: %+v", what, got)
		}
	}
	var third wish
	_ = json.Unmarshal([]byte(`{"FunctionVersion":"1"}`), &third)
	if got, err := third.means(between(1000), promoted); err == nil {
		t.Errorf("neither stable nor candidate: %+v", got)
	}
}

// Whatever is wished, a command is one that the rollout could be given, or it is refused.
func FuzzWish(f *testing.F) {
	f.Add(`{"FunctionVersion":"3","RoutingConfig":{"AdditionalVersionWeights":{"2":0.8}}}`, uint16(1000))
	f.Add(`{"RoutingConfig":{"AdditionalVersionWeights":{"3":1e-300}}}`, uint16(0))
	f.Add(`{"FunctionVersion":"$LATEST"}`, uint16(10000))
	f.Fuzz(func(t *testing.T, body string, at uint16) {
		var w wish
		if json.Unmarshal([]byte(body), &w) != nil {
			return
		}
		for _, of := range []functions.Function{between(min(rollout.Weight(at), rollout.Full)), settled()} {
			m, err := w.means(of, []rollout.Version{2, 1})
			switch {
			case err != nil && m != (move{}), m.weight < 0 || m.weight > rollout.Full, m.back != 0 && m.back != 1, of.Rollout == 0 && m.verb != "", of.Rollout != 0 && m.back != 0:
				t.Errorf("%s at %d: %+v, %v", body, at, m, err)
			}
			want, _, err := w.shares(of)
			sum := rollout.Weight(0)
			for _, part := range want {
				sum += part
			}
			if err == nil && sum != rollout.Full {
				t.Errorf("%s: %v sum up to %s", body, want, sum)
			}
		}
	})
}
