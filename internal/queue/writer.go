package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// group is how many changes share one sync at most.
const group = 128

// job is one change, made whole or not at all.
type job struct {
	ctx     context.Context //nolint:containedctx // the job is the call's way to the writer, and ends with it
	do      func(*tx) error
	touched []string // queues in which something may have become visible
	err     error
	done    chan struct{}
}

// writer makes all changes on one connection. The changes that wait while one
// transaction is synced go into the next together, so that many senders share a sync.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (w *writer) run(s *Store) {
	defer w.close()
	for {
		select {
		case j := <-s.jobs:
			w.commit(s, w.gather(s, j))
		case <-s.closed:
			for {
				select {
				case j := <-s.jobs:
					w.commit(s, w.gather(s, j))
				default:
					return
				}
			}
		}
	}
}

func (w *writer) close() {
	for _, st := range w.stmts {
		st.Close() //nolint:errcheck // nothing was left undone
	}
	_ = w.conn.Close() // nothing was left undone
}

func (w *writer) gather(s *Store, first *job) []*job {
	jobs := []*job{first}
	for len(jobs) < group {
		select {
		case j := <-s.jobs:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// commit makes the changes of jobs in one transaction and answers each. A change
// that fails by itself is taken back alone; when the database fails, all fail.
func (w *writer) commit(s *Store, jobs []*job) {
	err := w.transact(s, jobs)
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
		if j.err == nil {
			s.wakes.tell(j.touched)
		}
		close(j.done)
	}
}

func (w *writer) transact(s *Store, jobs []*job) error {
	// A transaction that has begun is not cut short by one of its callers.
	ctx := context.Background()
	t := &tx{ctx: ctx, w: w, now: s.now()}
	if err := t.exec(`BEGIN IMMEDIATE`); err != nil {
		return s.wrap("begin a change of queues", err)
	}
	for _, j := range jobs {
		if j.err = j.ctx.Err(); j.err != nil {
			continue
		}
		if err := w.one(t, j); err != nil {
			return errors.Join(s.wrap("change queues", err), w.undo(t))
		}
	}
	if err := t.exec(`COMMIT`); err != nil {
		return errors.Join(s.wrap("write queues to disk", err), w.undo(t))
	}
	return nil
}

// one makes one job's change. It returns an error when the transaction is lost.
func (w *writer) one(t *tx, j *job) error {
	if err := t.exec(`SAVEPOINT job`); err != nil {
		return err
	}
	t.touched = nil
	if j.err = j.do(t); j.err != nil {
		if driver(j.err) {
			return j.err
		}
		if err := t.exec(`ROLLBACK TO job`); err != nil {
			return err
		}
	}
	j.touched = t.touched
	return t.exec(`RELEASE job`)
}

// undo ends a transaction that failed. SQLite may have ended it already ("ROLLBACK
// Command" in its transaction page), so that the answer says nothing.
func (w *writer) undo(t *tx) error {
	_, err := w.conn.ExecContext(t.ctx, `ROLLBACK`)
	if err != nil && !driver(err) {
		return err
	}
	return nil
}

// change has the writer make a change, and returns when it is on disk. With an
// error of ctx it may still be made: whoever called cannot know, and sends again.
func (s *Store) change(ctx context.Context, do func(*tx) error) error {
	j := &job{ctx: ctx, do: do, done: make(chan struct{})}
	select {
	case <-s.closed:
		return ErrClosed
	default:
	}
	select {
	case s.jobs <- j:
	case <-s.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait for the writer of queues: %w", ctx.Err())
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return fmt.Errorf("wait for queues to be written: %w", ctx.Err())
	case <-s.ended:
		// It came while the store closed: it was answered, or never seen.
		select {
		case <-j.done:
			return j.err
		default:
			return ErrClosed
		}
	}
}

// tx is the transaction that a change runs in.
type tx struct {
	ctx     context.Context //nolint:containedctx // of the transaction, which no caller outlives
	w       *writer
	now     int64
	touched []string
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if st, ok := t.w.stmts[query]; ok {
		return st, nil
	}
	st, err := t.w.conn.PrepareContext(t.ctx, query)
	if err == nil {
		t.w.stmts[query] = st
	}
	return st, err
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.count(query, args...)
	return err
}

// count runs query and returns how many rows it changed.
func (t *tx) count(query string, args ...any) (int64, error) {
	st, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// one scans the first row into into, and reports whether there was one.
func (t *tx) one(query string, args []any, into ...any) (bool, error) {
	st, err := t.stmt(query)
	if err != nil {
		return false, err
	}
	err = st.QueryRowContext(t.ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
