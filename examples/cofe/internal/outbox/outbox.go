// Package outbox carries events between services: at least once on the way, and
// exactly once in effect. An event is written in the transaction that caused
// it; consumers fetch it over HTTP and keep it in an inbox in the transaction
// that has its effect.
package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
)

// Event is something that has happened in a service.
type Event struct {
	Seq     int64           `json:"seq"` // grows in the order of commits, without gaps
	Topic   string          `json:"topic"`
	Subject string          `json:"subject"` // what it happened to: an order's id
	Payload json.RawMessage `json:"payload"`
	At      int64           `json:"at"`
}

// Migrations make the tables of the side that writes.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "outbox-1", SQL: []string{
		`CREATE TABLE outbox_head (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL)`,
		`INSERT INTO outbox_head (id, seq) VALUES (1, 0)`,
		`CREATE TABLE outbox (seq BIGINT PRIMARY KEY, topic TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL, at BIGINT NOT NULL)`,
		`CREATE TABLE outbox_consumers (name TEXT PRIMARY KEY, position BIGINT NOT NULL, at BIGINT NOT NULL)`,
	}}}
}

// Append writes an event into the transaction that causes it.
func Append(ctx context.Context, tx db.Tx, topic, subject string, payload any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("append %s: %w", topic, err)
	}
	// A counter row instead of a sequence: its lock makes the order of numbers
	// the order of commits, so that a reader who has seen n has seen all below.
	var seq int64
	if err := tx.QueryRowContext(ctx, `UPDATE outbox_head SET seq = seq + 1 WHERE id = 1 RETURNING seq`).Scan(&seq); err != nil {
		return fmt.Errorf("append %s: %w", topic, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO outbox (seq, topic, subject, payload, at) VALUES ($1, $2, $3, $4, $5)`,
		seq, topic, subject, string(body), db.Now())
	if err != nil {
		return fmt.Errorf("append %s: %w", topic, err)
	}
	return nil
}

// Status says how far an outbox has been delivered.
type Status struct {
	Head      int64            `json:"head"`
	Consumers map[string]int64 `json:"consumers"` // the last event that each has kept
}

// Register adds the outbox to a service's routes below prefix: events after a
// position, the positions of its consumers, and their acknowledgements.
func Register(mux *http.ServeMux, prefix string, d *db.DB, log *slog.Logger) {
	mux.HandleFunc("GET "+prefix+"/outbox", func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
		if err != nil {
			httpx.Error(w, http.StatusBadRequest, "after is the number of the last event you have")
			return
		}
		events, err := db.All(r.Context(), d.Read(), func(scan func(...any) error) (Event, error) {
			var e Event
			var payload string
			err := scan(&e.Seq, &e.Topic, &e.Subject, &payload, &e.At)
			e.Payload = json.RawMessage(payload)
			return e, err
		}, `SELECT seq, topic, subject, payload, at FROM outbox WHERE seq > $1 ORDER BY seq LIMIT 200`, after)
		if err != nil {
			httpx.Fail(w, r, log, err)
			return
		}
		httpx.JSON(w, http.StatusOK, events)
	})
	mux.HandleFunc("GET "+prefix+"/outbox/status", func(w http.ResponseWriter, r *http.Request) {
		status, err := read(r.Context(), d.Read())
		if err != nil {
			httpx.Fail(w, r, log, err)
			return
		}
		httpx.JSON(w, http.StatusOK, status)
	})
	mux.HandleFunc("PUT "+prefix+"/outbox/consumers/{name}", func(w http.ResponseWriter, r *http.Request) {
		position, err := strconv.ParseInt(r.URL.Query().Get("position"), 10, 64)
		if err != nil {
			httpx.Error(w, http.StatusBadRequest, "position is the number of the last event you have kept")
			return
		}
		if err := acknowledge(r.Context(), d, r.PathValue("name"), position); err != nil {
			httpx.Fail(w, r, log, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func acknowledge(ctx context.Context, d *db.DB, consumer string, position int64) error {
	return d.Write(ctx, func(tx db.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO outbox_consumers (name, position, at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET position = excluded.position, at = excluded.at
			WHERE outbox_consumers.position < excluded.position`, consumer, position, db.Now())
		return err
	})
}

func read(ctx context.Context, q db.Querier) (Status, error) {
	status := Status{Consumers: map[string]int64{}}
	if err := q.QueryRowContext(ctx, `SELECT seq FROM outbox_head WHERE id = 1`).Scan(&status.Head); err != nil {
		return status, fmt.Errorf("read the outbox: %w", err)
	}
	type consumer struct {
		name     string
		position int64
	}
	all, err := db.All(ctx, q, func(scan func(...any) error) (consumer, error) {
		var c consumer
		return c, scan(&c.name, &c.position)
	}, `SELECT name, position FROM outbox_consumers`)
	for _, c := range all {
		status.Consumers[c.name] = c.position
	}
	return status, err
}

// Sweep forgets events older than before that every consumer has kept.
func Sweep(ctx context.Context, tx db.Tx, before int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE at < $1
		AND seq <= (SELECT COALESCE(MIN(position), 0) FROM outbox_consumers)`, before)
	return err
}
