// Mailer tells customers of their orders. It writes the mails to its log.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// send mails the oldest order that nobody was told of. It reports whether there was one.
func send(ctx context.Context, db *pgx.Conn, from string) (bool, error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	var id int
	var email, title string
	err = tx.QueryRow(ctx, "SELECT id, email, title FROM orders WHERE NOT mailed ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED").Scan(&id, &email, &title)
	var missing *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows), errors.As(err, &missing) && missing.Code == "42P01": // no table yet: no orders
		return false, nil
	case err != nil:
		return false, err
	}
	if _, err := tx.Exec(ctx, "UPDATE orders SET mailed = true WHERE id = $1", id); err != nil {
		return false, err
	}
	log.Printf("from %s to %s: thank you for order %d, %s", from, email, id, title)
	return true, tx.Commit(ctx)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	log.Print("mailer waits for orders")
	for {
		sent, err := send(ctx, db, os.Getenv("FROM_ADDRESS"))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Fatal(err)
		case sent:
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}
