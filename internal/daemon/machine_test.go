package daemon

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"titrate/internal/cgroup"
	"titrate/internal/engine"
	"titrate/internal/gateway"
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
	m, err := newMachine(dataFolder(t), internal.Addr().(*net.TCPAddr).Port, HTTPS{}, "", none, cgroup.Unit{}, slog.New(slog.DiscardHandler))
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
