package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"titrate/internal/rollout"
)

// Commit stores c in one transaction. See the controller's Store for the promise.
// On a full disk it gives up the reserve once and tries again; from then on only
// decisions and commands are taken, until there is room for the reserve again. That
// the world is watched, which is stored again and again, is not worth the reserve.
func (s *Store) Commit(ctx context.Context, c rollout.Change) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.reserve.low() && takesRoom(c) {
		if err := s.reserve.make(); err != nil {
			return full(s.path, err)
		}
	}
	err := s.commit(ctx, c)
	if noRoom(err) && !beat(c) && s.reserve.free() {
		s.log.Warn("the disk is full: the reserve is given up", slog.String("path", s.reserve.path))
		err = s.commit(ctx, c)
	}
	if err == nil && len(c.Events) > 0 {
		s.tell()
	}
	return err
}

// beat reports whether c says no more than that the world is watched.
func beat(c rollout.Change) bool {
	c.Watched = time.Time{}
	return c.Empty()
}

// takesRoom reports whether c begins something new, which a full disk refuses.
func takesRoom(c rollout.Change) bool {
	return len(c.Releases)+len(c.Versions)+len(c.Opened) > 0
}

func (s *Store) commit(ctx context.Context, c rollout.Change) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return s.wrap("begin", err)
	}
	defer tx.Rollback()
	t := &writer{ctx: ctx, tx: tx, stmts: s.stmts}
	t.fence(c.Token)
	t.catalog(c)
	t.opened(c.Opened)
	t.looks(c.Looks)
	t.outcomes(c)
	for _, a := range c.Commands {
		t.exec(sqlCommand, a.Command.ID, a.Rollout, nano(a.At), t.text(a.Command))
		t.grow("command", a.Command.ID)
	}
	t.events(c.Events)
	if !c.Watched.IsZero() {
		t.grow("watched", nano(c.Watched))
	}
	if t.err != nil {
		return s.wrap("store", t.err)
	}
	return s.wrap("commit", tx.Commit())
}

// writer runs the statements of one transaction and keeps the first error: after
// it the rest does nothing.
type writer struct {
	ctx   context.Context //nolint:containedctx // a writer lives within one call
	tx    *sql.Tx
	stmts statements
	err   error
}

// statement returns a prepared statement within the transaction, which closes it.
func (w *writer) statement(text string) *sql.Stmt {
	return w.tx.StmtContext(w.ctx, w.stmts[text])
}

func (w *writer) exec(text string, args ...any) int64 {
	if w.err != nil {
		return 0
	}
	r, err := w.statement(text).ExecContext(w.ctx, args...)
	if err != nil {
		w.err = err
		return 0
	}
	n, err := r.RowsAffected()
	w.err = err
	return n
}

func (w *writer) number(text string) (n int64) {
	if w.err == nil {
		w.err = w.statement(text).QueryRowContext(w.ctx).Scan(&n)
	}
	return n
}

func (w *writer) text(v any) string {
	b, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = err
	}
	return string(b)
}

// grow remembers the highest number given, which must not be given again even
// after what had it is pruned.
func (w *writer) grow(sequence string, n int64) { w.exec(sqlSequence, sequence, n) }

func (w *writer) fence(token uint64) {
	if newest := w.number(sqlToken); w.err == nil && uint64(newest) != token {
		w.err = fmt.Errorf("%w: this writer has %d, the newest is %d", rollout.ErrFenced, token, newest)
	}
}

func (w *writer) catalog(c rollout.Change) {
	for _, p := range c.Pushes {
		w.exec(sqlPush, p.ID, p.App, string(p.Stage), nano(p.At), w.text(p))
		w.grow("push", p.ID)
	}
	for _, r := range c.Releases {
		w.exec(sqlRelease, r.App, int64(r.Number), nano(r.At), w.text(r))
		w.exec(sqlApp, r.App, int64(r.Number), nano(r.At))
	}
	for _, v := range c.Versions {
		w.exec(sqlVersion, v.Key.App, v.Key.Env, v.Key.Workload, int64(v.Number), int64(v.Release), nano(v.Made), v.Refused, string(v.Ended), w.text(v))
	}
	for _, l := range c.Workloads {
		w.exec(sqlWorkload, l.Key.App, l.Key.Env, l.Key.Workload, int64(l.Release), int64(l.Orphaned), int64(l.Stable), int64(l.Newest), w.text(l.Settings))
	}
	for _, a := range c.Accessories {
		w.exec(sqlAccessory, a.Key.App, a.Key.Env, a.Key.Workload, w.text(a))
	}
	for _, k := range c.Dropped {
		w.exec(sqlDrop, k.App, k.Env, k.Workload)
	}
	for _, k := range c.Removed {
		w.exec(sqlRemove, k.App, k.Env, k.Workload)
	}
}

func (w *writer) opened(opened []rollout.Record) {
	for _, p := range opened {
		w.exec(sqlOpen, p.Plan.Rollout, p.Plan.App, p.Plan.Env, int64(p.Plan.Release), string(p.Plan.Kind), string(p.State.Phase),
			string(p.State.Outcome), p.Revision, nano(p.Opened), nano(p.Opened), p.By, p.Retries, w.text(p.Plan), w.text(p.State))
		for i, m := range p.Plan.Members {
			k := p.Plan.Key(i)
			w.exec(sqlMember, k.App, k.Env, k.Workload, p.Plan.Rollout, int64(m.Candidate))
		}
		w.grow("rollout", p.Plan.Rollout)
	}
}

func (w *writer) looks(looks []rollout.Look) {
	for _, d := range looks {
		after := w.text(d.After)
		n := w.exec(sqlDecide, d.Rollout, d.Sequence, string(d.After.Phase), string(d.After.Outcome), nano(d.At), after)
		if w.err == nil && n != 1 {
			w.err = fmt.Errorf("rollout %d at revision %d: %w", d.Rollout, d.Sequence, rollout.ErrConflict)
		}
		w.exec(sqlRecord, d.Rollout, d.Sequence, d.Core, nano(d.At), w.text(d.Before), w.text(d.Seen), after)
		if w.err != nil {
			return
		}
	}
}

func (w *writer) outcomes(c rollout.Change) {
	for _, b := range c.Baselines {
		w.exec(sqlBase, b.Key.App, b.Key.Env, b.Key.Workload, b.Rollout, w.text(b.Baseline))
	}
	for _, p := range c.Promotions {
		w.exec(sqlPromo, p.Key.App, p.Key.Env, p.Key.Workload, p.Rollout, int64(p.Version), int64(p.Release), int64(p.From), nano(p.At))
		w.exec(sqlStable, p.Key.App, p.Key.Env, p.Key.Workload, int64(p.Version))
	}
	for _, r := range c.Refusals {
		w.exec(sqlRefuse, r.Key.App, r.Key.Env, r.Key.Workload, int64(r.Version), r.Why, string(r.Ended))
	}
}

func (w *writer) events(events []rollout.Event) {
	if len(events) == 0 {
		return
	}
	id := w.number(sqlNumber)
	for _, e := range events {
		id++
		w.exec(sqlEvent, id, nano(e.At), string(e.Kind), e.App, e.Env, e.Workload, e.Rollout, int64(e.Release), string(e.Data))
	}
	w.grow("event", id)
}

func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
