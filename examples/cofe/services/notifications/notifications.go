// Package notifications tells customers what became of their orders. It is a
// worker: it listens nowhere, fetches the events of the other services, and
// writes each message once. (Where a real one would hand it to a mail service,
// this one stores and logs it.)
package notifications

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/money"
	"titrate/examples/cofe/internal/outbox"
	"titrate/examples/cofe/internal/service"
)

// Name is the service's name.
const Name = "notifications"

// Setup makes a process the service.
func Setup(ctx context.Context, s *service.Service) error {
	s.Address = "" // whatever PORT says: nobody calls a worker
	err := s.DB.Migrate(ctx, outbox.InboxMigrations(), []db.Migration{{Name: "notifications-1", SQL: []string{
		`CREATE TABLE messages (source TEXT NOT NULL, seq BIGINT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, at BIGINT NOT NULL)`,
		`CREATE INDEX messages_at ON messages (at)`,
	}}})
	if err != nil {
		return err
	}
	s.Sweep(outbox.SweepInbox, sweepMessages)
	for _, source := range []string{"orders", "payments", "rewards"} {
		url, err := s.URL(source)
		if err != nil {
			return err
		}
		s.Background("read "+source, outbox.Consumer{
			Name: "notifications", Owner: s.Owner, Source: source, URL: url, DB: s.DB, Client: s.Client, Log: s.Log,
			Apply: func(ctx context.Context, tx db.Tx, e outbox.Event) error {
				text, err := message(e)
				if err != nil {
					// An event that cannot be read will not be readable later:
					// it must not hold up all that follow.
					s.Log.LogAttrs(ctx, slog.LevelError, "unreadable event", slog.String("source", source), slog.Int64("seq", e.Seq), slog.String("error", err.Error()))
					return nil
				}
				_, err = tx.ExecContext(ctx, `INSERT INTO messages (source, seq, subject, text, at) VALUES ($1, $2, $3, $4, $5)`,
					source, e.Seq, e.Subject, text, db.Now())
				return err
			},
		}.Run)
	}
	return nil
}

// message returns what the customer is told.
func message(e outbox.Event) (string, error) {
	var told struct {
		Total    int64          `json:"total"`
		Currency money.Currency `json:"currency"`
		Reason   string         `json:"reason"`
		Minor    int64          `json:"minor"`
		Amount   money.Amount   `json:"amount"`
	}
	if err := json.Unmarshal(e.Payload, &told); err != nil {
		return "", fmt.Errorf("read %s: %w", e.Topic, err)
	}
	switch e.Topic {
	case "order.confirmed":
		return fmt.Sprintf("Your order %s of %s is on its way.", e.Subject, money.Amount{Minor: told.Total, Currency: told.Currency}), nil
	case "order.rejected":
		return fmt.Sprintf("Your order %s could not be taken: %s. You have paid nothing.", e.Subject, told.Reason), nil
	case "payment.captured":
		return fmt.Sprintf("Your card was charged %s for order %s.", money.Amount{Minor: told.Minor, Currency: told.Currency}, e.Subject), nil
	case "payment.refunded":
		return fmt.Sprintf("The charge for order %s has been refunded.", e.Subject), nil
	case "points.earned":
		return fmt.Sprintf("You earned %s points with order %s.", told.Amount.Decimal(), e.Subject), nil
	default:
		return "", fmt.Errorf("unknown topic %q", e.Topic)
	}
}

func sweepMessages(ctx context.Context, tx db.Tx, before int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM messages WHERE at < $1`, before)
	return err
}
