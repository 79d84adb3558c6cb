package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"titrate/internal/rollout"
)

// App is an app that has had a release.
type App struct {
	Name    string          `json:"name"`
	Release rollout.Release `json:"release"` // the newest
	At      time.Time       `json:"at"`      // of its first release
}

// Apps returns all apps by name.
func (s *Store) Apps(ctx context.Context) ([]App, error) {
	return many(ctx, s, func(r row) (a App, err error) {
		var at int64
		err = r.Scan(&a.Name, &a.Release, &at)
		a.At = fromNano(at)
		return a, err
	}, `SELECT name, release, made FROM apps ORDER BY name`)
}

// Release returns one release, or wraps rollout.ErrUnknown.
func (s *Store) Release(ctx context.Context, app string, n rollout.Release) (rollout.ReleaseRecord, error) {
	r, err := one(ctx, s, record[rollout.ReleaseRecord], `SELECT record FROM releases WHERE app = $1 AND number = $2`, app, int64(n))
	if err != nil {
		return r, fmt.Errorf("release %s of %s: %w", n, app, err)
	}
	return r, nil
}

// Releases returns an app's releases below before (0: from the newest), newest
// first, at most limit.
func (s *Store) Releases(ctx context.Context, app string, before rollout.Release, limit int) ([]rollout.ReleaseRecord, error) {
	return many(ctx, s, record[rollout.ReleaseRecord], `SELECT record FROM releases
		WHERE app = $1 AND ($2 = 0 OR number < $2) ORDER BY number DESC LIMIT $3`, app, int64(before), limit)
}

// Rollout returns one rollout, alive or ended, or wraps rollout.ErrUnknown.
func (s *Store) Rollout(ctx context.Context, id int64) (rollout.Record, error) {
	p, err := one(ctx, s, progress, `SELECT `+progressColumns+` FROM rollouts r WHERE r.id = $1`, id)
	if err != nil {
		return p, fmt.Errorf("rollout %d: %w", id, err)
	}
	return p, nil
}

// Filter narrows what [Store.Rollouts] returns. Zero fields do not.
type Filter struct {
	App, Env, Workload string
	Release            rollout.Release
	Live               bool  // not ended
	Before             int64 // ids below
	Limit              int   // 0: 100
}

// Rollouts returns rollouts, newest first.
func (s *Store) Rollouts(ctx context.Context, f Filter) ([]rollout.Record, error) {
	var where []string
	var args []any
	and := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if f.App != "" {
		and(`r.app = $%d`, f.App)
	}
	if f.Env != "" {
		and(`r.env = $%d`, f.Env)
	}
	if f.Workload != "" {
		and(`EXISTS (SELECT 1 FROM members m WHERE m.rollout = r.id AND m.workload = $%d)`, f.Workload)
	}
	if f.Release != 0 {
		and(`r.release = $%d`, int64(f.Release))
	}
	if f.Live {
		where = append(where, `r.phase <> 'ended'`)
	}
	if f.Before != 0 {
		and(`r.id < $%d`, f.Before)
	}
	query := `SELECT ` + progressColumns + ` FROM rollouts r`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	args = append(args, f.Limit)
	return many(ctx, s, progress, fmt.Sprintf(`%s ORDER BY r.id DESC LIMIT $%d`, query, len(args)), args...)
}

// History returns a rollout's decisions, oldest first.
func (s *Store) History(ctx context.Context, id int64) ([]rollout.Look, error) {
	return many(ctx, s, look, `SELECT rollout, sequence, core, at, before, seen, after FROM history WHERE rollout = $1 ORDER BY sequence`, id)
}

// Commands returns what was asked of a rollout, oldest first.
func (s *Store) Commands(ctx context.Context, id int64) ([]rollout.Asked, error) {
	return many(ctx, s, asked, `SELECT rollout, at, command FROM commands WHERE rollout = $1 ORDER BY id`, id)
}

// Workloads returns the workloads of an app (empty: all) in an environment
// (empty: all): what is stable there, and what is orphaned.
func (s *Store) Workloads(ctx context.Context, app, env string) ([]rollout.WorkloadRecord, error) {
	return many(ctx, s, workload, `SELECT `+workloadColumns+` FROM workloads
		WHERE ($1 = '' OR app = $1) AND ($2 = '' OR env = $2) ORDER BY app, env, workload`, app, env)
}

// Version returns one version, or wraps rollout.ErrUnknown.
func (s *Store) Version(ctx context.Context, k rollout.Key, n rollout.Version) (rollout.VersionRecord, error) {
	v, err := one(ctx, s, version, `SELECT record, refused, ended FROM versions WHERE app = $1 AND env = $2 AND workload = $3 AND number = $4`,
		k.App, k.Env, k.Workload, int64(n))
	if err != nil {
		return v, fmt.Errorf("%s of %s: %w", n, k, err)
	}
	return v, nil
}

// Versions returns a workload's versions, newest first, at most limit.
func (s *Store) Versions(ctx context.Context, k rollout.Key, limit int) ([]rollout.VersionRecord, error) {
	return many(ctx, s, version, `SELECT record, refused, ended FROM versions WHERE app = $1 AND env = $2 AND workload = $3
		ORDER BY number DESC LIMIT $4`, k.App, k.Env, k.Workload, limit)
}

// Promotions returns what became stable of a workload, newest first, at most limit.
func (s *Store) Promotions(ctx context.Context, k rollout.Key, limit int) ([]rollout.Promotion, error) {
	return many(ctx, s, promotion, `SELECT `+promotionColumns+` FROM promotions WHERE app = $1 AND env = $2 AND workload = $3
		ORDER BY rollout DESC LIMIT $4`, k.App, k.Env, k.Workload, limit)
}

// Events returns the events after an id, of an app (empty: all), oldest first, at
// most limit.
func (s *Store) Events(ctx context.Context, after int64, app string, limit int) ([]rollout.Event, error) {
	return many(ctx, s, event, `SELECT id, at, kind, app, env, workload, rollout, release, data FROM events
		WHERE id > $1 AND ($2 = '' OR app = $2) ORDER BY id LIMIT $3`, after, app, limit)
}

// LastEvent returns the newest event's id; 0 when there has been none.
func (s *Store) LastEvent(ctx context.Context) (int64, error) {
	return one(ctx, s, func(r row) (id int64, err error) { return id, r.Scan(&id) }, sqlNumber)
}

// EventsKept returns which events there are: those after the first id, up to the last.
func (s *Store) EventsKept(ctx context.Context) (after, last int64, err error) {
	ids, err := one(ctx, s, func(r row) (ids [2]int64, err error) {
		err = r.Scan(&ids[0], &ids[1])
		return ids, err
	}, `SELECT COALESCE((SELECT MIN(id) FROM events) - 1, value), value FROM sequences WHERE name = 'event'`)
	return ids[0], ids[1], err
}

// Push returns one push, or wraps rollout.ErrUnknown.
func (s *Store) Push(ctx context.Context, id int64) (rollout.Push, error) {
	p, err := one(ctx, s, record[rollout.Push], `SELECT record FROM pushes WHERE id = $1`, id)
	if err != nil {
		return p, fmt.Errorf("push %d: %w", id, err)
	}
	return p, nil
}

// Pushes returns an app's pushes (empty: all), newest first, at most limit.
func (s *Store) Pushes(ctx context.Context, app string, limit int) ([]rollout.Push, error) {
	return many(ctx, s, record[rollout.Push], `SELECT record FROM pushes WHERE ($1 = '' OR app = $1) ORDER BY id DESC LIMIT $2`, app, limit)
}
