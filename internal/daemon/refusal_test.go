package daemon

import (
	"errors"
	"fmt"
	"testing"

	"titrate/internal/events"
	"titrate/internal/gateway"
	"titrate/internal/node"
	"titrate/internal/queue"
)

// What the hands say about a call or a queue comes to a person as what it is.
func TestRefusal_isInTheProtocolsWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ said, want error }{
		{gateway.ErrNoWorkload, node.ErrUnknown},
		{gateway.ErrNotFunction, node.ErrNotFunction},
		{gateway.ErrNotReady, node.ErrNotReady},
		{queue.ErrUnknown, node.ErrUnknown},
		{queue.ErrLimit, node.ErrEvent},
		{&events.UnknownError{Code: events.CodeQueue, What: "queue", Name: "nothing"}, node.ErrUnknown},
		{events.ErrContent, node.ErrEvent},
	} {
		if got := refusal(fmt.Errorf("send: %w", c.said)); !errors.Is(got, c.want) || !errors.Is(got, c.said) {
			t.Errorf("%v is %v, want %v", c.said, got, c.want)
		}
	}
	if refusal(nil) != nil {
		t.Error("nothing was wrong")
	}
}
