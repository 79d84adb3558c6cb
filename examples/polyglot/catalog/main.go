// Catalog keeps the books.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const schema = `
CREATE TABLE IF NOT EXISTS books (id text PRIMARY KEY, title text NOT NULL, author text NOT NULL, cents int NOT NULL);
INSERT INTO books VALUES
	('moby-dick', 'Moby-Dick', 'Herman Melville', 1490),
	('emma', 'Emma', 'Jane Austen', 990),
	('odyssey', 'The Odyssey', 'Homer', 1250)
ON CONFLICT DO NOTHING`

type book struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Cents  int    `json:"cents"`
}

type catalog struct{ db *pgxpool.Pool }

func (c catalog) list(w http.ResponseWriter, r *http.Request) {
	rows, err := c.db.Query(r.Context(), "SELECT id, title, author, cents FROM books ORDER BY title")
	if err != nil {
		fail(w, err)
		return
	}
	books, err := pgx.CollectRows(rows, pgx.RowToStructByPos[book])
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, books)
}

func (c catalog) show(w http.ResponseWriter, r *http.Request) {
	rows, err := c.db.Query(r.Context(), "SELECT id, title, author, cents FROM books WHERE id = $1", r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	b, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[book])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		http.Error(w, "no such book", http.StatusNotFound)
	case err != nil:
		fail(w, err)
	default:
		reply(w, b)
	}
}

func (c catalog) health(w http.ResponseWriter, r *http.Request) {
	if err := c.db.Ping(r.Context()); err != nil {
		fail(w, err)
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Print(err)
	}
}

func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	http.Error(w, "the catalog cannot be read", http.StatusInternalServerError)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(ctx, schema); err != nil {
		log.Fatal(err)
	}
	c := catalog{db}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /books", c.list)
	mux.HandleFunc("GET /books/{id}", c.show)
	mux.HandleFunc("GET /healthz", c.health)
	srv := &http.Server{Addr: ":" + cmp.Or(os.Getenv("PORT"), "8080"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = srv.Shutdown(last)
	}()
	log.Printf("catalog listens on %s", srv.Addr)
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
