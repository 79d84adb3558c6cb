// Package db opens a service's own data: a SQLite file or a PostgreSQL schema,
// by one URL and with one SQL text for both. Several instances and two versions
// of a service share it.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// DB is a service's data.
type DB struct {
	write    *sql.DB // SQLite: one connection, so that writers of one process queue here and not in busy loops
	read     *sql.DB
	postgres bool
}

// Querier is a transaction or a pool to read from.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Tx is a transaction that writes.
type Tx interface {
	Querier
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Open opens the data of service at address: "sqlite:PATH" or "postgres://…"
// (a schema named after the service is made there).
func Open(ctx context.Context, address, service string) (*DB, error) {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		return openSQLite(ctx, path)
	}
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		return openPostgres(ctx, address, service)
	}
	return nil, fmt.Errorf("DATABASE_URL: %q is neither sqlite:PATH nor postgres://…", address)
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	// In WAL mode synchronous=NORMAL keeps every commit through the death of
	// the process; only a power cut may lose the last ones. That is one fsync
	// a checkpoint instead of one a transaction.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(8000)" +
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_pragma=cache_size(-4000)"
	write, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	// The writer goes first: it makes the file and its WAL.
	if err := write.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close())
	}
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(4)
	read.SetMaxIdleConns(4)
	return &DB{write: write, read: read}, nil
}

func openPostgres(ctx context.Context, address, service string) (*DB, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if config.RuntimeParams["search_path"] == "" {
		config.RuntimeParams["search_path"] = service
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8)
	d := &DB{write: pool, read: pool, postgres: true}
	// Two instances may start at once: CREATE SCHEMA IF NOT EXISTS alone races.
	err = d.Write(ctx, func(tx Tx) error {
		if err := d.migrationLock(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS `+pgx.Identifier{config.RuntimeParams["search_path"]}.Sanitize())
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the schema %s: %w", service, err), pool.Close())
	}
	return d, nil
}

// Close ends all connections.
func (d *DB) Close() error {
	if d.postgres {
		return d.write.Close()
	}
	return errors.Join(d.read.Close(), d.write.Close())
}

// Read returns the pool to read from, outside of any transaction.
func (d *DB) Read() Querier { return d.read }

// Snapshot runs fn in a transaction that sees one moment and holds up no writer.
func (d *DB) Snapshot(ctx context.Context, fn func(q Querier) error) error {
	options := &sql.TxOptions{ReadOnly: true}
	if d.postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	tx, err := d.read.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	defer tx.Rollback()
	return fn(tx)
}

// Write runs fn in one transaction that writes: it commits when fn returns nil.
// SQLite takes the write lock at once; PostgreSQL runs at READ COMMITTED and
// fn is called again after a deadlock, so fn must do nothing outside of tx.
func (d *DB) Write(ctx context.Context, fn func(tx Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := d.once(ctx, fn)
		if err == nil || attempt == 3 || !transient(err) {
			return err
		}
		select {
		case <-time.After(time.Duration(5<<attempt) * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

func (d *DB) once(ctx context.Context, fn func(tx Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// transient tells a deadlock or serialisation failure, after which PostgreSQL
// asks for the transaction to be run again.
func transient(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}

// Now is a time as it is stored: milliseconds since 1970, UTC.
func Now() int64 { return time.Now().UnixMilli() }
