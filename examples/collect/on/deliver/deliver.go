// Package deliver brings what was collected to a facility.
package deliver

import (
	"context"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle notes the facility, and tells it.
func Handle(ctx context.Context, a *app.App, p ledger.Pickup) error {
	facility := app.Pick(p.ID, app.FacilityNames())
	_, err := a.Ledger.Append(ctx, ledger.Entry{
		Request: p.ID + ":delivered", Kind: ledger.Delivery, Pickup: p.ID, From: []ledger.State{ledger.Collected}, Note: map[string]string{"facility": facility},
	})
	if err != nil {
		return err
	}
	return a.Bus.Publish(ctx, app.Facilities, app.News{Pickup: p.ID, State: p.State, Who: facility})
}
