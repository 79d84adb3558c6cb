package engine

import (
	"context"
	"errors"

	"github.com/moby/moby/client"
)

// Labels beside [Label].
const (
	LabelInstance = "dev.titrate.instance" // the instance or hook that a container is
	LabelShim     = "dev.titrate.shim"     // the process that looks after a container
)

// Sweep removes the containers of an owner that nobody looks after any more: whose
// process was killed, and who would run on for ever; and networks without containers
// that are not wanted.
func (e *Engine) Sweep(ctx context.Context, owner string, alive, wanted func(string) bool) error {
	list, err := e.Containers(ctx, Label, owner)
	if err != nil {
		return err
	}
	var errs []error
	used := map[string]bool{}
	for _, c := range list {
		used[c.Network] = true
		if !alive(c.Labels[LabelShim]) {
			errs = append(errs, e.Remove(ctx, c.ID))
		}
	}
	nets, err := e.Networks(ctx, owner)
	for id, name := range nets {
		if !used[id] && !used[name] && !wanted(name) {
			errs = append(errs, e.RemoveNetwork(ctx, id))
		}
	}
	return errors.Join(append(errs, err)...)
}

// Networks returns the networks of an owner: names by ids.
func (e *Engine) Networks(ctx context.Context, owner string) (map[string]string, error) {
	got, err := e.api.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("label", Label+"="+owner)})
	nets := map[string]string{}
	for _, n := range got.Items {
		nets[n.ID] = n.Name
	}
	return nets, e.failed("list networks", err)
}
