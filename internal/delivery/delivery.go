// Package delivery joins the events that wait for functions with the gateway that draws
// a version for each: neither knows the other.
package delivery

import (
	"context"

	"titrate/internal/events"
	"titrate/internal/gateway"
	"titrate/internal/rollout"
)

// By returns how events are delivered by a gateway: see [events.Config].
func By(g func() *gateway.Gateway) func(context.Context, rollout.Key, events.Event) (events.Delivered, error) {
	return func(ctx context.Context, function rollout.Key, e events.Event) (events.Delivered, error) {
		d, err := g().Deliver(ctx, function, gateway.Event{Payload: e.Payload, ID: e.ID, Version: e.Version, Stable: e.Stable, Bad: e.Bad})
		return events.Delivered{Version: d.Version, Stable: d.Stable, Answer: d.Answer, Failure: d.Failure, Failed: d.Failed, Message: d.Message}, err
	}
}
