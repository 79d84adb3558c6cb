// Package participant is one service's half of an order's saga: an effect per
// order that happens at most once, is undone at most once, and is refused when
// its undoing came first (a late message of a saga that went back).
package participant

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/money"
)

// ErrUndone is returned for an effect whose undoing came before it.
var ErrUndone = errors.New("this order's effect has been undone")

// ErrDiffers is returned when an order asks for another effect than its first.
var ErrDiffers = errors.New("this order has another effect already")

// ErrSettled is returned when an effect that is final should be undone.
var ErrSettled = errors.New("this order's effect is settled")

// State says how far an effect is.
type State string

// The states of an effect, in life order.
const (
	Pending State = "pending" // asked for, waits for somebody outside
	Done    State = "done"
	Settled State = "settled" // final: can no longer be undone
	Undone  State = "undone"
)

// Effect is what an order does to an account here.
type Effect struct {
	Order   string         `json:"order"`
	State   State          `json:"state"`
	Account ledger.Account `json:"account"`
	Amount  money.Amount   `json:"amount"`
}

// Migrations make the table of effects.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "effects-1", SQL: []string{
		`CREATE TABLE effects (order_id TEXT PRIMARY KEY, state TEXT NOT NULL, account TEXT NOT NULL,
			currency TEXT NOT NULL, minor BIGINT NOT NULL, at BIGINT NOT NULL)`,
	}}}
}

// Open makes e pending when its order has no effect yet, and returns the state
// that it has.
func Open(ctx context.Context, tx db.Tx, e Effect) (State, error) {
	if _, err := tx.ExecContext(ctx, `INSERT INTO effects (order_id, state, account, currency, minor, at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (order_id) DO NOTHING`,
		e.Order, Pending, e.Account, e.Amount.Currency, e.Amount.Minor, db.Now()); err != nil {
		return "", fmt.Errorf("open effect of %s: %w", e.Order, err)
	}
	is, err := Of(ctx, tx, e.Order)
	switch {
	case err != nil:
		return "", err
	case is.State == Undone:
		return Undone, ErrUndone
	case is.Account != e.Account || is.Amount != e.Amount:
		return is.State, ErrDiffers
	}
	return is.State, nil
}

// Of returns an order's effect.
func Of(ctx context.Context, q db.Querier, order string) (Effect, error) {
	e := Effect{Order: order}
	err := q.QueryRowContext(ctx, `SELECT state, account, currency, minor FROM effects WHERE order_id = $1`, order).
		Scan(&e.State, &e.Account, &e.Amount.Currency, &e.Amount.Minor)
	if err != nil {
		return e, fmt.Errorf("read effect of %s: %w", order, err)
	}
	return e, nil
}

// Move takes an effect from one state to the next and posts the entries that
// belong to it; moved is false when it was not in that state.
func Move(ctx context.Context, tx db.Tx, order string, from, to State, entries []ledger.Entry) (moved bool, err error) {
	done, err := tx.ExecContext(ctx, `UPDATE effects SET state = $3, at = $4 WHERE order_id = $1 AND state = $2`, order, from, to, db.Now())
	if err != nil {
		return false, fmt.Errorf("move effect of %s: %w", order, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	if len(entries) == 0 {
		return true, nil
	}
	return true, ledger.Post(ctx, tx, string(to)+":"+order, entries)
}

// Do has the effect, once: asked again it does nothing.
func Do(ctx context.Context, tx db.Tx, e Effect, entries []ledger.Entry) error {
	state, err := Open(ctx, tx, e)
	if err != nil || state != Pending {
		return err
	}
	_, err = Move(ctx, tx, e.Order, Pending, Done, entries)
	return err
}

// Undo takes the effect back, once, with the entries that reverse returns for
// it. Where there is no effect yet it leaves a mark that refuses it later.
func Undo(ctx context.Context, tx db.Tx, order string, reverse func(Effect) []ledger.Entry) error {
	marked, err := tx.ExecContext(ctx, `INSERT INTO effects (order_id, state, account, currency, minor, at)
		VALUES ($1, $2, '', '', 0, $3) ON CONFLICT (order_id) DO NOTHING`, order, Undone, db.Now())
	if err != nil {
		return fmt.Errorf("undo effect of %s: %w", order, err)
	}
	if n, err := marked.RowsAffected(); err != nil || n == 1 {
		return err
	}
	e, err := Of(ctx, tx, order)
	if err != nil {
		return err
	}
	switch e.State {
	case Done:
		_, err = Move(ctx, tx, order, Done, Undone, reverse(e))
	case Pending:
		_, err = Move(ctx, tx, order, Pending, Undone, nil)
	case Settled:
		return ErrSettled
	case Undone:
	}
	return err
}

// Refusal turns this package's and the ledger's errors into an answer: status
// and sentence; ok is false for errors that are nobody's fault outside.
func Refusal(err error) (status int, sentence string, ok bool) {
	for _, known := range []struct {
		err    error
		status int
	}{{ledger.ErrInsufficient, http.StatusPaymentRequired}, {ErrUndone, http.StatusConflict}, {ErrDiffers, http.StatusConflict}, {ErrSettled, http.StatusConflict}} {
		if errors.Is(err, known.err) {
			return known.status, known.err.Error(), true
		}
	}
	return 0, "", false
}

// Page is a part of all effects, for reconciling.
type Page struct {
	Effects []Effect     `json:"effects"`
	Ledger  ledger.Audit `json:"ledger"` // on the first page only
}

// pageSize bounds one answer.
const pageSize = 2000

// Audit answers GET with the effects after ?after=, by order, and on the first
// page with the ledger added up again.
func Audit(d *db.DB) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, after := r.Context(), r.URL.Query().Get("after")
		var page Page
		var err error
		page.Effects, err = db.All(ctx, d.Read(), func(scan func(...any) error) (Effect, error) {
			var e Effect
			return e, scan(&e.Order, &e.State, &e.Account, &e.Amount.Currency, &e.Amount.Minor)
		}, `SELECT order_id, state, account, currency, minor FROM effects WHERE order_id > $1 ORDER BY order_id LIMIT $2`, after, pageSize)
		if err != nil {
			return err
		}
		if after == "" {
			err = d.Snapshot(ctx, func(q db.Querier) error {
				page.Ledger, err = ledger.Check(ctx, q)
				return err
			})
			if err != nil {
				return err
			}
		}
		httpx.JSON(w, http.StatusOK, page)
		return nil
	}
}
