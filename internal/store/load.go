package store

import (
	"context"
	"database/sql"
	"fmt"

	"titrate/internal/rollout"
)

const (
	workloadColumns  = `app, env, workload, release, orphaned, stable, newest, settings`
	promotionColumns = `app, env, workload, rollout, version, release, previous, at`
)

// Load returns all that is alive, as of one moment.
func (s *Store) Load(ctx context.Context) (rollout.Catalog, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return rollout.Catalog{}, s.wrap("begin", err)
	}
	defer tx.Rollback()
	c, err := load(ctx, tx)
	if err != nil {
		return rollout.Catalog{}, s.wrap("load", err)
	}
	return c, nil
}

func load(ctx context.Context, tx *sql.Tx) (c rollout.Catalog, err error) {
	if c.Releases, err = loadReleases(ctx, tx); err != nil {
		return c, err
	}
	if c.Workloads, err = list(ctx, tx, workload, `SELECT `+workloadColumns+` FROM workloads ORDER BY app, env, workload`); err != nil {
		return c, err
	}
	if c.Promotions, err = list(ctx, tx, promotion, `SELECT `+promotionColumns+` FROM (
			SELECT p.*, ROW_NUMBER() OVER (PARTITION BY app, env, workload ORDER BY rollout DESC) AS rank FROM promotions p
		) AS ranked WHERE rank <= $1 ORDER BY rollout, app, env, workload`, rollout.KeptPromotions); err != nil {
		return c, err
	}
	// Of a removed workload the newest version tells which numbers were given.
	if c.Versions, err = list(ctx, tx, version, `SELECT v.record, v.refused, v.ended FROM versions v WHERE v.refused <> ''
			OR EXISTS (SELECT 1 FROM workloads w WHERE w.app = v.app AND w.env = v.env AND w.workload = v.workload AND v.number IN (w.stable, w.newest))
			OR v.number = (SELECT MAX(o.number) FROM versions o WHERE o.app = v.app AND o.env = v.env AND o.workload = v.workload)
			OR EXISTS (SELECT 1 FROM members m JOIN rollouts r ON r.id = m.rollout
				WHERE m.app = v.app AND m.env = v.env AND m.workload = v.workload AND m.version = v.number AND r.phase <> 'ended')
			OR EXISTS (SELECT 1 FROM (
				SELECT p.*, ROW_NUMBER() OVER (PARTITION BY app, env, workload ORDER BY rollout DESC) AS rank FROM promotions p
				) AS ranked WHERE ranked.app = v.app AND ranked.env = v.env AND ranked.workload = v.workload
				AND v.number IN (ranked.version, ranked.previous) AND rank <= $1)`, rollout.KeptPromotions); err != nil {
		return c, err
	}
	if c.Live, err = list(ctx, tx, progress, `SELECT `+progressColumns+` FROM rollouts r WHERE r.phase <> 'ended' ORDER BY r.id`); err != nil {
		return c, err
	}
	if c.Baselines, err = list(ctx, tx, baseline, `SELECT m.rollout, m.app, m.env, m.workload, m.baseline FROM members m
			JOIN rollouts r ON r.id = m.rollout WHERE r.phase <> 'ended' AND m.baseline <> '' ORDER BY m.rollout, m.workload`); err != nil {
		return c, err
	}
	if c.Commands, err = loadCommands(ctx, tx, c.Live); err != nil {
		return c, err
	}
	if c.Pushes, err = list(ctx, tx, record[rollout.Push], `SELECT record FROM pushes WHERE stage IN ('accepted', 'building') ORDER BY id`); err != nil {
		return c, err
	}
	if c.Accessories, err = list(ctx, tx, record[rollout.AccessoryRecord], `SELECT record FROM accessories ORDER BY app, env, name`); err != nil {
		return c, err
	}
	return c, loadSequences(ctx, tx, &c)
}

func loadReleases(ctx context.Context, tx *sql.Tx) (map[string]rollout.Release, error) {
	type app struct {
		name    string
		release rollout.Release
	}
	apps, err := list(ctx, tx, func(r row) (a app, err error) {
		return a, r.Scan(&a.name, &a.release)
	}, `SELECT name, release FROM apps`)
	releases := make(map[string]rollout.Release, len(apps))
	for _, a := range apps {
		releases[a.name] = a.release
	}
	return releases, err
}

// loadCommands returns what has been asked of live rollouts and not been answered.
func loadCommands(ctx context.Context, tx *sql.Tx, live []rollout.Record) ([]rollout.Asked, error) {
	all, err := list(ctx, tx, asked, `SELECT c.rollout, c.at, c.command FROM commands c JOIN rollouts r ON r.id = c.rollout
		WHERE r.phase <> 'ended' ORDER BY c.id`)
	if err != nil {
		return nil, err
	}
	answered := make(map[int64]int64, len(live))
	for _, p := range live {
		answered[p.Plan.Rollout] = p.State.Command
	}
	var open []rollout.Asked
	for _, a := range all {
		if a.Command.ID > answered[a.Rollout] {
			open = append(open, a)
		}
	}
	return open, nil
}

func loadSequences(ctx context.Context, tx *sql.Tx, c *rollout.Catalog) error {
	for name, into := range map[string]*int64{"rollout": &c.Rollout, "command": &c.Command, "push": &c.Push} {
		if err := tx.QueryRowContext(ctx, `SELECT value FROM sequences WHERE name = $1`, name).Scan(into); err != nil {
			return fmt.Errorf("sequence %s: %w", name, err)
		}
	}
	var watched int64 // a database that no controller has watched with has none
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(value), 0) FROM sequences WHERE name = 'watched'`).Scan(&watched); err != nil {
		return fmt.Errorf("sequence watched: %w", err)
	}
	c.Watched = fromNano(watched)
	return nil
}
