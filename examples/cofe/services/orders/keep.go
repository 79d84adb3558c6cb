package orders

import (
	"context"
	"fmt"
	"time"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/outbox"
)

// claim takes up to n sagas that nobody holds and whose time has come.
func (s *saga) claim(ctx context.Context, n int) ([]place, error) {
	if n <= 0 {
		return nil, nil
	}
	now := db.Now()
	// A look that finds nothing, as nearly all do, takes no write lock.
	var waiting int
	if err := s.DB.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM sagas WHERE direction <> 'over' AND next_at <= $1 AND until < $1`, now).
		Scan(&waiting); err != nil || waiting == 0 {
		return nil, err
	}
	var found []place
	holder := s.holder(httpx.NewID())
	err := s.DB.Write(ctx, func(tx db.Tx) error {
		var err error
		// The condition stands twice: PostgreSQL checks the outer one again on
		// rows that another process has changed since.
		found, err = db.All(ctx, tx, func(scan func(...any) error) (place, error) {
			var p place
			return p, scan(&p.order.ID, &p.direction, &p.step, &p.reason, &p.tries, &p.request)
		}, `UPDATE sagas SET owner = $1, until = $3
			WHERE order_id IN (SELECT order_id FROM sagas WHERE direction <> 'over' AND next_at <= $2 AND until < $2 ORDER BY next_at LIMIT $4)
				AND direction <> 'over' AND until < $2
			RETURNING order_id, direction, step, reason, tries, request_id`, holder, now, now+lease.Milliseconds(), n)
		if err != nil {
			return err
		}
		for i := range found {
			found[i].holder = holder
			found[i].order, err = scanOrder(tx.QueryRowContext(ctx, selectOrder+` WHERE id = $1`, found[i].order.ID).Scan)
			if err != nil {
				return fmt.Errorf("read the order of a saga: %w", err)
			}
		}
		return nil
	})
	return found, err
}

// store keeps where a saga is, and renews the lease; with a wait it gives the
// lease up until then. Kept is false when another process holds the saga now.
func (s *saga) store(ctx context.Context, p place, wait time.Duration) (kept bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lease)
	defer cancel()
	now := db.Now()
	until := now + lease.Milliseconds()
	if wait > 0 || p.direction == over {
		until = 0
	}
	err = s.DB.Write(ctx, func(tx db.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE sagas SET direction = $3, step = $4, reason = $5, until = $6, tries = $7, next_at = $8
			WHERE order_id = $1 AND owner = $2 AND direction <> 'over'`,
			p.order.ID, p.holder, p.direction, p.step, p.reason, until, p.tries, now+wait.Milliseconds())
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if kept = n == 1; err != nil || !kept || p.direction != over {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE orders SET state = $2, reason = $3 WHERE id = $1`, p.order.ID, p.order.State, p.order.Reason); err != nil {
			return err
		}
		return outbox.Append(ctx, tx, "order."+string(p.order.State), p.order.ID, p.order)
	})
	if err != nil {
		return false, fmt.Errorf("store the saga of %s: %w", p.order.ID, err)
	}
	if kept && p.direction == over {
		s.tell()
	}
	return kept, nil
}

// holder names one hold of this process on a saga. Each is its own, so that a
// goroutine whose lease ran out cannot write where another of the same process
// has gone on.
func (s *saga) holder(part string) string { return s.Owner + "/" + part }

// giveAway ends this process's leases, so that another goes on at once.
func (s *saga) giveAway(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return s.DB.Write(ctx, func(tx db.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE sagas SET until = 0 WHERE owner LIKE $1 AND direction <> 'over'`, s.holder("%"))
		return err
	})
}
