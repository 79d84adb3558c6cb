package controller

import (
	"context"
	"fmt"
	"reflect"

	"titrate/internal/rollout"
)

// Replayed is what came of deciding a rollout's history again.
type Replayed struct {
	Rollout  int64    `json:"rollout"`
	Looks    int      `json:"looks"`
	Core     int      `json:"core"`               // of this program
	Problems []string `json:"problems,omitempty"` // where it decides otherwise now, or where the history has a gap
}

// Agrees reports whether the core decides today as it did then.
func (r Replayed) Agrees() bool { return len(r.Problems) == 0 }

// Replay feeds a rollout's stored history through the core again. That the same
// looks lead to the same states is what makes any incident a test.
func (c *Controller) Replay(ctx context.Context, id int64) (Replayed, error) {
	r, history, err := c.history(ctx, id)
	if err != nil {
		return Replayed{}, err
	}
	return replay(r, history), nil
}

func replay(r rollout.Record, history []rollout.Look) Replayed {
	out := Replayed{Rollout: r.Plan.Rollout, Looks: len(history), Core: rollout.CoreVersion}
	before := rollout.New(r.Plan, r.Opened)
	for _, look := range history {
		if !reflect.DeepEqual(look.Before, before) {
			out.Problems = append(out.Problems, fmt.Sprintf("look %d does not begin where the one before ended", look.Sequence))
		}
		if err := look.Replay(r.Plan); err != nil {
			out.Problems = append(out.Problems, err.Error())
		}
		before = look.After
	}
	if len(history) > 0 && !reflect.DeepEqual(before, r.State) {
		out.Problems = append(out.Problems, "the last look does not end where the rollout stands")
	}
	return out
}

// history reads a rollout with its looks, as of one moment: a look that is stored
// between the two is read with both.
func (c *Controller) history(ctx context.Context, id int64) (rollout.Record, []rollout.Look, error) {
	for {
		r, err := c.Store.Rollout(ctx, id)
		if err != nil {
			return r, nil, unknown(err, "titrate history", "there is no rollout %d", id)
		}
		looks, err := c.Store.History(ctx, id)
		if err != nil {
			return r, nil, fmt.Errorf("read the history of rollout %d: %w", id, err)
		}
		if n := len(looks); n == 0 || looks[n-1].Sequence < r.Revision {
			return r, looks, nil
		}
	}
}
