package controller

import (
	"context"
	"fmt"

	"titrate/internal/rollout"
)

// Remove forgets a workload that the manifest names no more, and so stops it: its
// history stays (R28). One that is still named is not removed.
func (c *Controller) Remove(ctx context.Context, k rollout.Key, who string) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	w := c.memory.works[k]
	switch {
	case w == nil || !w.named:
		return problem(NotFound, "titrate status "+k.App, "there is no %s", k)
	case w.Orphaned == 0:
		return problem(Conflict, "take it out of titrate.yaml and push", "%s is named by the manifest of %s", k, w.Release)
	case c.memory.unfinished(k) != nil:
		return problem(Conflict, "titrate rollout abort", "rollout %d of %s is in progress", c.memory.unfinished(k).Plan.Rollout, k)
	}
	now := c.now()
	err := c.commit(ctx, rollout.Change{At: now, Removed: []rollout.Key{k}, Events: []rollout.Event{{
		At: now, Kind: rollout.EventRemoved, App: k.App, Env: k.Env, Workload: k.Workload, Data: encode(map[string]string{"by": who}),
	}}})
	if err != nil {
		return fmt.Errorf("remove %s: %w", k, err)
	}
	return nil
}
