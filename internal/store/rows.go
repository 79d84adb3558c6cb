package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"titrate/internal/rollout"
)

// row is a *sql.Row or the present one of *sql.Rows.
type row interface{ Scan(dest ...any) error }

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// list runs a query and reads each of its rows.
func list[T any](ctx context.Context, db querier, read func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := read(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// one runs a query and reads its only row; without one it wraps rollout.ErrUnknown.
func one[T any](ctx context.Context, s *Store, read func(row) (T, error), query string, args ...any) (T, error) {
	all, err := list(ctx, s.read, read, query, args...)
	if err != nil {
		var none T
		return none, s.wrap("read", err)
	}
	if len(all) == 0 {
		var none T
		return none, rollout.ErrUnknown
	}
	return all[0], nil
}

// many is list on the read pool, with the store's errors.
func many[T any](ctx context.Context, s *Store, read func(row) (T, error), query string, args ...any) ([]T, error) {
	all, err := list(ctx, s.read, read, query, args...)
	return all, s.wrap("read", err)
}

// record reads one column of JSON.
func record[T any](r row) (T, error) {
	var v T
	var text string
	if err := r.Scan(&text); err != nil {
		return v, err
	}
	return v, decode(text, &v)
}

func decode(text string, v any) error {
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("stored JSON: %w", err)
	}
	return nil
}

const progressColumns = `r.plan, r.state, r.revision, r.opened, r.opened_by, r.retries`

func progress(r row) (p rollout.Record, err error) {
	var plan, state string
	var opened int64
	if err := r.Scan(&plan, &state, &p.Revision, &opened, &p.By, &p.Retries); err != nil {
		return p, err
	}
	p.Opened = fromNano(opened)
	return p, errors.Join(decode(plan, &p.Plan), decode(state, &p.State))
}

func workload(r row) (w rollout.WorkloadRecord, err error) {
	var settings string
	if err := r.Scan(&w.Key.App, &w.Key.Env, &w.Key.Workload, &w.Release, &w.Orphaned, &w.Stable, &w.Newest, &settings); err != nil {
		return w, err
	}
	return w, decode(settings, &w.Settings)
}

// version reads a record and the columns of it that change.
func version(r row) (v rollout.VersionRecord, err error) {
	var text, refused string
	var ended rollout.Outcome
	if err := r.Scan(&text, &refused, &ended); err != nil {
		return v, err
	}
	err = decode(text, &v)
	v.Refused, v.Ended = refused, ended
	return v, err
}

func promotion(r row) (p rollout.Promotion, err error) {
	var at int64
	err = r.Scan(&p.Key.App, &p.Key.Env, &p.Key.Workload, &p.Rollout, &p.Version, &p.Release, &p.From, &at)
	p.At = fromNano(at)
	return p, err
}

func baseline(r row) (b rollout.BaselineRecord, err error) {
	var text string
	if err := r.Scan(&b.Rollout, &b.Key.App, &b.Key.Env, &b.Key.Workload, &text); err != nil {
		return b, err
	}
	return b, decode(text, &b.Baseline)
}

func asked(r row) (a rollout.Asked, err error) {
	var at int64
	var text string
	if err := r.Scan(&a.Rollout, &at, &text); err != nil {
		return a, err
	}
	a.At = fromNano(at)
	return a, decode(text, &a.Command)
}

func look(r row) (d rollout.Look, err error) {
	var at int64
	var before, seen, after string
	if err := r.Scan(&d.Rollout, &d.Sequence, &d.Core, &at, &before, &seen, &after); err != nil {
		return d, err
	}
	d.At = fromNano(at)
	return d, errors.Join(decode(before, &d.Before), decode(seen, &d.Seen), decode(after, &d.After))
}

func event(r row) (e rollout.Event, err error) {
	var at int64
	var data string
	err = r.Scan(&e.ID, &at, &e.Kind, &e.App, &e.Env, &e.Workload, &e.Rollout, &e.Release, &data)
	e.At = fromNano(at)
	if data != "" {
		e.Data = []byte(data)
	}
	return e, err
}
