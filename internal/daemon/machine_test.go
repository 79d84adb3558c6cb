package daemon

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"titrate/internal/engine"
	"titrate/internal/gateway"
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
	m, err := newMachine(dataFolder(t), internal.Addr().(*net.TCPAddr).Port, HTTPS{}, "", none, slog.New(slog.DiscardHandler))
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
