package lambdaapi

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"titrate/internal/functions"
	"titrate/internal/rollout"
)

// wish is what CreateAlias and UpdateAlias ask for.
type wish struct {
	Name, FunctionVersion, Description, RevisionId string //nolint:revive // the names that the API has
	RoutingConfig                                  *routing
}

// move is the command that a wish comes to. Its zero value is none: things are as wished.
type move struct {
	verb   rollout.Verb // of the rollout in progress
	weight rollout.Weight
	back   rollout.Version // a rollback to it
}

// means finds the command by which live becomes what is wished. It follows from the split,
// the rollout in progress and what was promoted before; what it cannot come to is refused
// with what to type in its place.
func (w wish) means(f functions.Function, promoted []rollout.Version) (move, error) {
	want, named, err := w.shares(f)
	if err != nil {
		return move{}, err
	}
	only, whole := whole(want)
	// Stable alone, said while its candidate has nothing yet, means that it gets nothing.
	aborts := f.Rollout != 0 && whole && only == f.Stable && w.FunctionVersion != ""
	if maps.Equal(want, split(f)) && !aborts {
		return move{}, nil
	}
	if f.Rollout != 0 && f.Candidate != 0 {
		return w.steer(f, want, named)
	}
	switch {
	case !whole:
		return move{}, conflict("no rollout of " + f.Key.Workload + " is in progress, and weights are a rollout's: git push, or titrate rollout retry for a version that went back")
	case only == f.Stable:
		return move{}, nil
	case slices.Contains(promoted, only):
		return move{back: only}, nil
	}
	return move{}, conflict(fmt.Sprintf("%s of %s has never been promoted, so that live cannot go back to it: titrate history %s shows how its rollout ended, titrate rollout retry tries it again", only, f.Key.Workload, f.Key.App))
}

// steer is what is asked of the rollout in progress.
func (w wish) steer(f functions.Function, want map[rollout.Version]rollout.Weight, zero bool) (move, error) {
	for v := range want {
		if v != f.Stable && v != f.Candidate {
			return move{}, conflict(fmt.Sprintf("rollout #%d of %s moves %s and %s, and %s is neither: titrate rollback %s/%s@%s aborts the rollout; asked again, it goes back further",
				f.Rollout, f.Key.Workload, f.Stable, f.Candidate, v, f.Key.App, f.Key.Workload, v))
		}
	}
	weight := want[f.Candidate]
	switch {
	case weight == rollout.Full:
		return move{verb: rollout.PromoteFull}, nil
	case weight > 0, zero: // a candidate that is named with no weight is held there
		return move{verb: rollout.SetWeight, weight: weight}, nil
	}
	return move{verb: rollout.Abort}, nil
}

// shares are the parts that are wished, which sum up to everything. Named says that the
// candidate was given no weight by name.
func (w wish) shares(f functions.Function) (want map[rollout.Version]rollout.Weight, named bool, err error) {
	now, released := aliasOf(f)
	text := w.FunctionVersion
	if text == "" {
		text = now.FunctionVersion
	}
	if text == "" && !released {
		return nil, false, invalid("FunctionVersion is missing")
	}
	if text == latest {
		return nil, false, invalid("an alias of $LATEST has no weights and stands for no release: name a version by its number")
	}
	main, err := w.version(f, text)
	if err != nil {
		return nil, false, err
	}
	add := w.RoutingConfig
	if add == nil && w.FunctionVersion == "" {
		add = now.RoutingConfig
	}
	want = map[rollout.Version]rollout.Weight{}
	left := rollout.Full
	if add != nil {
		sum := 0.0
		for _, part := range add.AdditionalVersionWeights {
			sum += part
		}
		if sum > 1 {
			return nil, false, invalid(fmt.Sprintf("the additional weights sum up to %.4g: 1.0 is everything, and the version of the alias has the rest", sum))
		}
		if len(add.AdditionalVersionWeights) > 1 {
			return nil, false, invalid("live splits between two versions: AdditionalVersionWeights has one at most")
		}
		for text, part := range add.AdditionalVersionWeights {
			if math.IsNaN(part) || part < 0 {
				return nil, false, invalid(fmt.Sprintf("the weight %v of version %s is not from 0.0 to 1.0: the version of the alias has the rest", part, text))
			}
			v, err := w.version(f, text)
			if err != nil {
				return nil, false, err
			}
			if v == main {
				return nil, false, invalid("version " + text + " is the alias's own and an additional one at once")
			}
			weight := rollout.Percent(100 * part)
			if weight == 0 {
				named = v == f.Candidate
				continue
			}
			want[v] = weight
			left -= weight
		}
	}
	if left > 0 {
		want[main] = left
	}
	return want, named, nil
}

// version reads a version that there is.
func (w wish) version(f functions.Function, text string) (rollout.Version, error) {
	v, ok := number(text)
	if !ok {
		return 0, invalid(fmt.Sprintf("%q is no version: a version is a number, as ListVersionsByFunction tells them", text))
	}
	if v > f.Newest {
		return 0, notFound(fmt.Sprintf("Function not found: %s. The newest version is %d: git push makes one", functionARN(f.Key.Workload, text), f.Newest))
	}
	return v, nil
}

// split is what is asked for now.
func split(f functions.Function) map[rollout.Version]rollout.Weight {
	out := map[rollout.Version]rollout.Weight{}
	for _, r := range f.Running {
		if r.Asked > 0 {
			out[r.Version] = r.Asked
		}
	}
	return out
}

// whole is the version that has everything.
func whole(want map[rollout.Version]rollout.Weight) (rollout.Version, bool) {
	for v, weight := range want {
		if weight == rollout.Full {
			return v, true
		}
	}
	return 0, false
}
