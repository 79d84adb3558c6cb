package store

import (
	"context"
	"fmt"
	"time"

	"titrate/internal/rollout"
)

// Retention says how long things are kept. What is in progress, stable, newest
// or within the rollback window is always kept, whatever its age.
type Retention struct {
	History     time.Duration // decisions of rollouts that ended: 90 days
	HistoryRows int64         // … and at most so many of them: 500,000
	Evidence    int           // of each workload the last so many refused rollouts keep their history: 20
	Events      time.Duration // 30 days
	EventRows   int64         // 200,000
	Records     time.Duration // ended rollouts, old versions and releases, pushes: 365 days
}

func (r Retention) withDefaults() Retention {
	const day = 24 * time.Hour
	return Retention{
		History: or(r.History, 90*day), HistoryRows: or(r.HistoryRows, 500_000), Evidence: or(r.Evidence, 20),
		Events: or(r.Events, 30*day), EventRows: or(r.EventRows, 200_000), Records: or(r.Records, 365*day),
	}
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// pruned is how many rows go in one transaction: decisions do not wait long.
const pruned = 2000

// The rollouts whose history may not go: those in progress and the evidence of
// the last $1 refused of each workload.
const keptEvidence = `SELECT id FROM rollouts WHERE phase <> 'ended' UNION
	SELECT rollout FROM (SELECT m.rollout, ROW_NUMBER() OVER (PARTITION BY m.app, m.env, m.workload ORDER BY m.rollout DESC) AS rank
		FROM members m JOIN rollouts r ON r.id = m.rollout WHERE r.outcome IN ('rolled-back', 'aborted', 'failed')) AS ranked WHERE rank <= $1`

// Prune removes what the retention no longer keeps, a little at a time, and makes
// the reserve again if there is room. It is to be called now and then.
func (s *Store) Prune(ctx context.Context, now time.Time) error {
	r := s.retention
	history, events, records := nano(now.Add(-r.History)), nano(now.Add(-r.Events)), nano(now.Add(-r.Records))
	evidence := int64(r.Evidence)
	steps := []struct {
		what, query string
		args        []any
	}{
		{"events", `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < $1
			OR id <= (SELECT value FROM sequences WHERE name = 'event') - $2 ORDER BY id LIMIT $3)`, []any{events, r.EventRows, pruned}},
		{"history", `DELETE FROM history WHERE rollout IN (SELECT DISTINCT h.rollout FROM history h JOIN rollouts o ON o.id = h.rollout
			WHERE o.moved < $2 AND h.rollout NOT IN (` + keptEvidence + `) LIMIT $3)`, []any{evidence, history, 100}},
		{"history rows", `DELETE FROM history WHERE (SELECT COUNT(*) FROM history) > $2 AND rollout IN (
			SELECT DISTINCT rollout FROM history WHERE rollout NOT IN (` + keptEvidence + `) ORDER BY rollout LIMIT $3)`, []any{evidence, r.HistoryRows, 10}},
		{"commands", `DELETE FROM commands WHERE id IN (SELECT c.id FROM commands c JOIN rollouts o ON o.id = c.rollout
			WHERE o.phase = 'ended' AND o.moved < $1 LIMIT $2)`, []any{history, pruned}},
		{"rollouts", `DELETE FROM rollouts WHERE id IN (SELECT id FROM rollouts WHERE phase = 'ended' AND moved < $2
			AND id NOT IN (` + keptEvidence + `) ORDER BY id LIMIT $3)`, []any{evidence, records, pruned}},
		{"members", `DELETE FROM members WHERE NOT EXISTS (SELECT 1 FROM rollouts r WHERE r.id = members.rollout)`, nil},
		{"promotions", `DELETE FROM promotions WHERE at < $1 AND rollout NOT IN (SELECT rollout FROM (SELECT p.rollout,
			ROW_NUMBER() OVER (PARTITION BY app, env, workload ORDER BY rollout DESC) AS rank FROM promotions p) AS ranked WHERE rank <= $2)`, []any{records, rollout.KeptPromotions}},
		{"versions", `DELETE FROM versions WHERE made < $1 AND refused = ''
			AND NOT EXISTS (SELECT 1 FROM workloads w WHERE w.app = versions.app AND w.env = versions.env AND w.workload = versions.workload
				AND versions.number IN (w.stable, w.newest))
			AND NOT EXISTS (SELECT 1 FROM members m WHERE m.app = versions.app AND m.env = versions.env AND m.workload = versions.workload
				AND m.version = versions.number)
			AND NOT EXISTS (SELECT 1 FROM promotions p WHERE p.app = versions.app AND p.env = versions.env AND p.workload = versions.workload
				AND versions.number IN (p.version, p.previous))`, []any{records}},
		{"releases", `DELETE FROM releases WHERE at < $1 AND number < (SELECT release FROM apps WHERE name = releases.app)
			AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.app = releases.app AND v.release = releases.number)
			AND NOT EXISTS (SELECT 1 FROM workloads w WHERE w.app = releases.app AND w.release = releases.number)
			AND NOT EXISTS (SELECT 1 FROM rollouts r WHERE r.app = releases.app AND r.release = releases.number)`, []any{records}},
		{"pushes", `DELETE FROM pushes WHERE at < $1 AND stage IN ('delivered', 'failed')`, []any{records}},
	}
	for _, step := range steps {
		if err := s.pruneAll(ctx, step.query, step.args); err != nil {
			return fmt.Errorf("prune %s: %w", step.what, err)
		}
	}
	// A full disk is no reason to fail here: decisions go on from what was freed.
	_ = s.reserve.make()
	return nil
}

// pruneAll repeats a delete until it finds nothing, letting decisions in between.
func (s *Store) pruneAll(ctx context.Context, query string, args []any) error {
	for {
		n, err := s.pruneSome(ctx, query, args)
		if err != nil {
			return s.wrap("delete", err)
		}
		if n == 0 {
			return nil
		}
	}
}

func (s *Store) pruneSome(ctx context.Context, query string, args []any) (int64, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	r, err := s.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
