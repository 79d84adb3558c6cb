// Package auditmoney checks that no money was made or lost.
package auditmoney

import (
	"context"
	"fmt"
	"time"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/ledger"
)

// Handle fails where more was settled than was quoted.
func Handle(ctx context.Context, a *app.App, at time.Time) error {
	s, err := a.Ledger.Summary(ctx)
	if err != nil {
		return err
	}
	open := s.Sums[ledger.Quote] - s.Sums[ledger.Capture] - s.Sums[ledger.Refund] - s.Sums[ledger.Lapse]
	if open < 0 {
		return fmt.Errorf("%s more were settled than quoted", app.Fils(-open))
	}
	return a.Report(ctx, "audit-money", at, func(ledger.Summary) app.Figures { return app.Figures{"open": app.Fils(open)} })
}
