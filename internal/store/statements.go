package store

import (
	"context"
	"database/sql"
)

// The statements of a commit. They are prepared once: a second with ten thousand
// decisions has no time to parse SQL.
const (
	sqlToken    = `SELECT value FROM sequences WHERE name = 'token'`
	sqlNumber   = `SELECT value FROM sequences WHERE name = 'event'`
	sqlSequence = `INSERT INTO sequences (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE sequences.value < excluded.value`

	sqlApp = `INSERT INTO apps (name, release, made) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET release = excluded.release`
	sqlRelease  = `INSERT INTO releases (app, number, at, record) VALUES ($1, $2, $3, $4)`
	sqlVersion  = `INSERT INTO versions (app, env, workload, number, release, made, refused, ended, record) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	sqlWorkload = `INSERT INTO workloads (app, env, workload, release, orphaned, stable, newest, settings) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (app, env, workload) DO UPDATE SET release = excluded.release, orphaned = excluded.orphaned,
		stable = excluded.stable, newest = excluded.newest, settings = excluded.settings`
	sqlAccessory = `INSERT INTO accessories (app, env, name, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (app, env, name) DO UPDATE SET record = excluded.record`
	sqlDrop   = `DELETE FROM accessories WHERE app = $1 AND env = $2 AND name = $3`
	sqlRemove = `DELETE FROM workloads WHERE app = $1 AND env = $2 AND workload = $3`
	sqlStable = `UPDATE workloads SET stable = $4 WHERE app = $1 AND env = $2 AND workload = $3`
	sqlPromo  = `INSERT INTO promotions (app, env, workload, rollout, version, release, previous, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	sqlRefuse = `UPDATE versions SET refused = $5, ended = $6 WHERE app = $1 AND env = $2 AND workload = $3 AND number = $4`

	sqlOpen = `INSERT INTO rollouts (id, app, env, release, kind, phase, outcome, revision, opened, moved, opened_by, retries, plan, state)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	sqlMember = `INSERT INTO members (app, env, workload, rollout, version) VALUES ($1, $2, $3, $4, $5)`
	sqlBase   = `UPDATE members SET baseline = $5 WHERE app = $1 AND env = $2 AND workload = $3 AND rollout = $4`
	sqlDecide = `UPDATE rollouts SET phase = $3, outcome = $4, moved = $5, state = $6, revision = revision + 1 WHERE id = $1 AND revision = $2`
	sqlRecord = `INSERT INTO history (rollout, sequence, core, at, before, seen, after) VALUES ($1, $2, $3, $4, $5, $6, $7)`

	sqlCommand = `INSERT INTO commands (id, rollout, at, command) VALUES ($1, $2, $3, $4)`
	sqlEvent   = `INSERT INTO events (id, at, kind, app, env, workload, rollout, release, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	sqlPush    = `INSERT INTO pushes (id, app, stage, at, record) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, record = excluded.record`
)

type statements map[string]*sql.Stmt

func (st *statements) prepare(ctx context.Context, db *sql.DB) error {
	*st = statements{}
	for _, text := range []string{
		sqlToken, sqlNumber, sqlSequence, sqlApp, sqlRelease, sqlVersion, sqlWorkload, sqlRemove, sqlAccessory, sqlDrop, sqlStable, sqlPromo,
		sqlRefuse, sqlOpen, sqlMember, sqlBase, sqlDecide, sqlRecord, sqlCommand, sqlEvent, sqlPush,
	} {
		s, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // closed with the store
		if err != nil {
			return err
		}
		(*st)[text] = s
	}
	return nil
}

func (st *statements) close() {
	for _, s := range *st {
		_ = s.Close() // closing the pool after it reports what matters
	}
	*st = nil
}
