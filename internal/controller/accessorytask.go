package controller

import (
	"context"
	"fmt"

	"titrate/internal/rollout"
)

// AskAccessory asks for a task on an accessory or its data, and returns it with its ID: the
// target does it once, and says in AccessoryStatus.Seen.Task how far it has come. Only
// the last one that was asked for counts: while one is under way no other is taken.
func (c *Controller) AskAccessory(ctx context.Context, k rollout.Key, t rollout.AccessoryTask) (rollout.AccessoryTask, error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	a, known := c.memory.accessories[k]
	if !known {
		return t, problem(NotFound, "titrate accessory ls -a "+k.App, "there is no accessory %s", k)
	}
	if t.Kind != rollout.TaskRestart && a.Spec.Use == "" && a.Spec.Commands == nil {
		return t, problem(Invalid, "add backup: { command: … } to it in titrate.yaml, and push", "nothing says how the data of %s is dumped", k.Workload)
	}
	seen := c.sight.accessory(k)
	if a.Task != nil && (seen.Task.ID < a.Task.ID || seen.Task.ID == a.Task.ID && !seen.Task.State.Over()) {
		return t, problem(Conflict, "titrate accessory ls", "%s of %s, asked for by %s, is not done yet", a.Task.Kind, k.Workload, a.Task.By)
	}
	t.ID, t.At = 1, c.now()
	if a.Task != nil {
		t.ID = a.Task.ID + 1
	}
	t.ID = max(t.ID, seen.Task.ID+1) // the accessory may be older than its record
	if t.Kind == rollout.TaskRestart && a.Next != nil {
		a.Spec, a.Next = *a.Next, nil
	}
	a.Task = &t
	err := c.commit(ctx, rollout.Change{At: t.At, Accessories: []rollout.AccessoryRecord{a}, Events: []rollout.Event{{
		At: t.At, Kind: rollout.EventTask, App: k.App, Env: k.Env, Workload: k.Workload, Data: encode(t),
	}}})
	if err != nil {
		return t, fmt.Errorf("store the task: %w", err)
	}
	wake(c.nudge)
	return t, nil
}
