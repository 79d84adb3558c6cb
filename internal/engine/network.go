package engine

import (
	"context"
	"errors"
	"net/netip"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Network is a bridge network.
type Network struct {
	Name    string
	Gateway netip.Addr // invalid: it has none
}

// EnsureNetwork returns the bridge network of a name, which is made if it is not
// there.
func (e *Engine) EnsureNetwork(ctx context.Context, name string, labels map[string]string) (Network, error) {
	n, err := e.network(ctx, name)
	if !errors.Is(err, ErrNotFound) {
		return n, err
	}
	_, err = e.api.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Labels: labels})
	if err != nil && !errdefs.IsConflict(err) { // made by another call just now
		return Network{}, e.failed("make the network "+name, err)
	}
	return e.network(ctx, name)
}

func (e *Engine) network(ctx context.Context, name string) (Network, error) {
	got, err := e.api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if err != nil {
		return Network{}, e.failed("look at the network "+name, err)
	}
	n := Network{Name: got.Network.Name}
	for _, c := range got.Network.IPAM.Config {
		if c.Gateway.Is4() {
			n.Gateway = c.Gateway
		}
	}
	return n, nil
}

// RemoveNetwork removes a network. One that is not there is removed; one that is
// used stays, with an error.
func (e *Engine) RemoveNetwork(ctx context.Context, name string) error {
	_, err := e.api.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.failed("remove the network "+name, err)
}
