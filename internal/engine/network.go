package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// EnsureNetwork returns the id of the bridge network of a name, which is made if it
// is not there. An engine lets several have one name, so that it is to be called by one
// at a time.
func (e *Engine) EnsureNetwork(ctx context.Context, name string, labels map[string]string) (id string, err error) {
	if id, err = e.oldest(ctx, name); err != nil || id != "" {
		return id, err
	}
	made, err := e.api.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Labels: labels})
	return made.ID, e.failed("make the network "+name, err)
}

// oldest returns the id of the network of a name that was made first; empty: there is none.
func (e *Engine) oldest(ctx context.Context, name string) (string, error) {
	got, err := e.api.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("name", name)})
	if err != nil {
		return "", e.failed("look for the network "+name, err)
	}
	nets := slices.DeleteFunc(got.Items, func(n network.Summary) bool { return n.Name != name }) // the filter takes parts of names
	if len(nets) == 0 {
		return "", nil
	}
	first := slices.MinFunc(nets, func(a, b network.Summary) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return first.ID, nil
}

// RemoveNetwork removes a network, by its id. One that is not there is removed; one that is
// used stays, with an error.
func (e *Engine) RemoveNetwork(ctx context.Context, id string) error {
	_, err := e.api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.failed("remove a network", err)
}
