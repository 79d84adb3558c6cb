package db

import (
	"context"
	"fmt"
	"slices"
)

// Migration is one additive change of the schema. Two versions of a service run
// at once on the same data, so a change only expands (a table, a column with a
// default, an index); what is not used any more is dropped by a later release,
// when no running version reads it.
type Migration struct {
	Name string   // unique; never changed once released
	SQL  []string // statements that both databases take
	// Then runs after SQL in the same transaction: seeding, backfilling.
	Then func(ctx context.Context, tx Tx) error
}

// Migrate applies what is missing, in order. What a newer version has applied
// and this one does not know is left alone: that is a rollback, and must work.
func (d *DB) Migrate(ctx context.Context, steps ...[]Migration) error {
	return d.Write(ctx, func(tx Tx) error {
		if err := d.migrationLock(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at BIGINT NOT NULL)`); err != nil {
			return fmt.Errorf("make the table of migrations: %w", err)
		}
		for _, m := range slices.Concat(steps...) {
			if err := m.apply(ctx, tx); err != nil {
				return fmt.Errorf("migration %s: %w", m.Name, err)
			}
		}
		return nil
	})
}

func (m Migration) apply(ctx context.Context, tx Tx) error {
	done, err := tx.ExecContext(ctx, `INSERT INTO migrations (name, at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, m.Name, Now())
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	for _, statement := range m.SQL {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if m.Then != nil {
		return m.Then(ctx, tx)
	}
	return nil
}

// migrationLock lets one process migrate at a time. SQLite's write lock, which
// the transaction holds already, does that by itself.
func (d *DB) migrationLock(ctx context.Context, tx Tx) error {
	if !d.postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7461)`)
	return err
}

// All scans every row of a query by scan, and closes it.
func All[T any](ctx context.Context, q Querier, scan func(row func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
