package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
)

// InboxMigrations make the tables of the side that reads.
func InboxMigrations() []db.Migration {
	return []db.Migration{{Name: "inbox-1", SQL: []string{
		`CREATE TABLE inbox (source TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (source, seq))`,
		`CREATE TABLE inbox_cursors (source TEXT PRIMARY KEY, position BIGINT NOT NULL, owner TEXT NOT NULL, until BIGINT NOT NULL)`,
	}}}
}

// Consumer applies another service's events here.
type Consumer struct {
	Name   string // of this service, as the source knows it
	Owner  string // of this process: of several, one at a time reads a source
	Source string // service whose outbox it is
	URL    string // of that service
	DB     *db.DB
	Client *httpx.Client
	Log    *slog.Logger
	// Apply has the event's effect in tx. An error leaves the event, and all
	// after it, for later.
	Apply func(ctx context.Context, tx db.Tx, e Event) error
}

const (
	poll       = 500 * time.Millisecond // also short enough for a person who waits for a message
	cursorHold = 5 * time.Second        // after which another process takes over from a dead one
)

// Run reads until ctx ends.
func (c Consumer) Run(ctx context.Context) error {
	pause := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return c.release(context.WithoutCancel(ctx))
		case <-time.After(pause):
		}
		ctx := httpx.WithID(ctx, c.Name+"-"+httpx.NewID())
		n, err := c.batch(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			c.Log.LogAttrs(ctx, slog.LevelWarn, "events wait", slog.String("source", c.Source), slog.String("error", err.Error()))
			pause = 2 * poll
		case n > 0:
			pause = poll / 10
		default:
			pause = poll
		}
	}
}

// batch claims the source, fetches what is new, applies it, and tells the
// source how far it is.
func (c Consumer) batch(ctx context.Context) (int, error) {
	position, ours, err := c.claim(ctx)
	if err != nil || !ours {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, cursorHold-time.Second)
	defer cancel()
	var events []Event
	err = c.Client.Do(ctx, httpx.Call{Method: http.MethodGet, URL: fmt.Sprintf("%s/%s/outbox?after=%d", c.URL, c.Source, position), Into: &events})
	if err != nil || len(events) == 0 {
		return 0, err
	}
	if err := c.apply(ctx, events); err != nil {
		return 0, err
	}
	kept := events[len(events)-1].Seq
	// Only a courtesy: the next acknowledgement covers a lost one.
	err = c.Client.Do(ctx, httpx.Call{
		Method: http.MethodPut, Key: fmt.Sprintf("%s-%s-%d", c.Name, c.Source, kept),
		URL: fmt.Sprintf("%s/%s/outbox/consumers/%s?position=%d", c.URL, c.Source, c.Name, kept),
	})
	return len(events), err
}

// claim renews this process's hold on the source, or takes it when nobody has it.
func (c Consumer) claim(ctx context.Context) (position int64, ours bool, err error) {
	err = c.DB.Write(ctx, func(tx db.Tx) error {
		now := db.Now()
		if _, err := tx.ExecContext(ctx, `INSERT INTO inbox_cursors (source, position, owner, until) VALUES ($1, 0, '', 0)
			ON CONFLICT (source) DO NOTHING`, c.Source); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `UPDATE inbox_cursors SET owner = $2, until = $4
			WHERE source = $1 AND (owner = $2 OR until < $3) RETURNING position`,
			c.Source, c.Owner, now, now+cursorHold.Milliseconds()).Scan(&position)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("claim the events of %s: %w", c.Source, err)
	}
	return position, true, nil
}

// apply has the effects of events that the inbox does not have yet; position
// and inbox move in the same transaction.
func (c Consumer) apply(ctx context.Context, events []Event) error {
	return c.DB.Write(ctx, func(tx db.Tx) error {
		for _, e := range events {
			kept, err := tx.ExecContext(ctx, `INSERT INTO inbox (source, seq, at) VALUES ($1, $2, $3) ON CONFLICT (source, seq) DO NOTHING`,
				c.Source, e.Seq, db.Now())
			if err != nil {
				return fmt.Errorf("keep event %d of %s: %w", e.Seq, c.Source, err)
			}
			if n, err := kept.RowsAffected(); err != nil || n == 0 {
				if err != nil {
					return err
				}
				continue // another process had it, after our hold ended
			}
			if err := c.Apply(ctx, tx, e); err != nil {
				return fmt.Errorf("apply event %d of %s: %w", e.Seq, c.Source, err)
			}
		}
		_, err := tx.ExecContext(ctx, `UPDATE inbox_cursors SET position = $2 WHERE source = $1 AND position < $2`, c.Source, events[len(events)-1].Seq)
		return err
	})
}

// release lets another process go on at once.
func (c Consumer) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return c.DB.Write(ctx, func(tx db.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE inbox_cursors SET until = 0 WHERE source = $1 AND owner = $2`, c.Source, c.Owner)
		return err
	})
}

// SweepInbox forgets what is older than before; the cursor is past it.
func SweepInbox(ctx context.Context, tx db.Tx, before int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM inbox WHERE at < $1
		AND seq <= (SELECT position FROM inbox_cursors WHERE inbox_cursors.source = inbox.source)`, before)
	return err
}
