package daemon

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"titrate/internal/cgroup"
	"titrate/internal/engine"
	"titrate/internal/gateway"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// TestR31_whatIsNotTakenBackYetIsNotShownAsGone looks at a node that has not taken
// back yet what ran before: it shows nothing, not that nothing lives.
func TestR31_whatIsNotTakenBackYetIsNotShownAsGone(t *testing.T) {
	t.Parallel()
	internal, err := gateway.ListenInternal(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer internal.Close()
	none, err := engine.Seek(engine.None)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(dataFolder(t), internal.Addr().(*net.TCPAddr).Port, HTTPS{}, "", none, cgroup.Unit{}, gateway.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.observe(ctx); err != nil {
		t.Fatal(err)
	}
	if m.seen.Sequence != 0 {
		t.Errorf("it shows %+v", m.seen)
	}
}

// TestR31_whatIsSeenIsOfTheWorldBefore applies a world while the node looks: what it saw
// is not told as of that world, in which nothing may live any more.
func TestR31_whatIsSeenIsOfTheWorldBefore(t *testing.T) {
	t.Parallel()
	m := &machine{changed: make(chan struct{})}
	m.wanted.Stamp = world.Stamp{Token: 1, Revision: 1}
	m.look(func() world.Seen {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.wanted.Stamp = world.Stamp{Token: 1, Revision: 2}
		return world.Seen{}
	})
	if got := m.seen.Stamp; got.Revision != 1 {
		t.Errorf("seen of %+v", got)
	}
}

// TestR5_aKilledNodeWaitsForOneVersionOfEachWorkload: another that has traffic too stands in
// for one that is not ready yet. While the node before serves there is time for all.
func TestR5_aKilledNodeWaitsForOneVersionOfEachWorkload(t *testing.T) {
	t.Parallel()
	shop := rollout.Key{App: "shop", Env: "production", Workload: "shop"}
	served := world.Served{Split: map[string][]world.Share{
		web.String():  {{Version: 1, Weight: rollout.Full - 1}, {Version: 2, Weight: 1}},
		shop.String(): {{Version: 1, Weight: rollout.Full}},
	}}
	ready := func(web1, web2, shop1 int) []world.FleetSeen {
		return []world.FleetSeen{
			{Key: web, Version: 1, Ready: web1},
			{Key: web, Version: 2, Ready: web2},
			{Key: web, Version: 3},
			{Key: shop, Version: 1, Ready: shop1},
		}
	}
	for _, c := range []struct {
		fleets      []world.FleetSeen
		alone, last bool
	}{
		{ready(1, 1, 1), false, false},
		{ready(1, 0, 1), false, true},
		{ready(0, 0, 1), true, true},
		{ready(1, 1, 0), true, true},
	} {
		if got := waits(c.fleets, served, true); got != c.alone {
			t.Errorf("%+v alone: %t", c.fleets, got)
		}
		if got := waits(c.fleets, served, false); got != c.last {
			t.Errorf("%+v beside the node before: %t", c.fleets, got)
		}
	}
}
