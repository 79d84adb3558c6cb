// Package ledger is a double-entry ledger: an entry set moves amounts between
// accounts and sums to zero in each currency, is posted at most once, and never
// makes the balance of a customer's account negative.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/money"
)

// ErrInsufficient is returned when an account that may not be negative would be.
var ErrInsufficient = errors.New("insufficient balance")

// ErrPosted is returned when the reference of an entry set has been posted before.
var ErrPosted = errors.New("already posted")

// Account names what holds a balance. House accounts (the money's source and
// sink: revenue, equity, the card network) may be negative, all others not.
type Account string

// House returns the account of the marketplace itself with this name.
func House(name string) Account { return Account("house:" + name) }

func (a Account) house() bool { return len(a) > 6 && a[:6] == "house:" }

// Entry adds Amount to Account.
type Entry struct {
	Account Account
	Amount  money.Amount
}

// Move returns the two entries that take amount from one account to another.
func Move(from, to Account, amount money.Amount) []Entry {
	return []Entry{
		{Account: from, Amount: money.Amount{Minor: -amount.Minor, Currency: amount.Currency}},
		{Account: to, Amount: amount},
	}
}

// Migrations make the ledger's tables.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "ledger-1", SQL: []string{
		`CREATE TABLE ledger_entries (
			reference TEXT NOT NULL, position BIGINT NOT NULL, account TEXT NOT NULL,
			currency TEXT NOT NULL, minor BIGINT NOT NULL, at BIGINT NOT NULL,
			PRIMARY KEY (reference, position))`,
		`CREATE INDEX ledger_entries_account ON ledger_entries (account, currency)`,
		`CREATE TABLE ledger_balances (
			account TEXT NOT NULL, currency TEXT NOT NULL, minor BIGINT NOT NULL,
			house BIGINT NOT NULL,
			PRIMARY KEY (account, currency),
			CHECK (house = 1 OR minor >= 0))`,
	}}}
}

// Post writes one entry set under reference, which names its cause ("hold:o-17").
// After any error the caller must roll its transaction back.
func Post(ctx context.Context, tx db.Tx, reference string, entries []Entry) error {
	if err := balanced(entries); err != nil {
		return fmt.Errorf("post %s: %w", reference, err)
	}
	now := db.Now()
	for i, e := range entries {
		done, err := tx.ExecContext(ctx, `INSERT INTO ledger_entries (reference, position, account, currency, minor, at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`, reference, i, e.Account, e.Amount.Currency, e.Amount.Minor, now)
		if err != nil {
			return fmt.Errorf("post %s: %w", reference, err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("post %s: %w", reference, cmp.Or(err, ErrPosted))
		}
	}
	// Balances are locked in one order everywhere, so that two sets on the same
	// accounts cannot wait for each other.
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Account, b.Account) })
	for _, e := range entries {
		if err := add(ctx, tx, e); err != nil {
			return fmt.Errorf("post %s: %w", reference, err)
		}
	}
	return nil
}

// balanced checks that the entries sum to zero in each currency.
func balanced(entries []Entry) error {
	sums := map[money.Currency]int64{}
	for _, e := range entries {
		if _, ok := e.Amount.Currency.Exponent(); !ok {
			return fmt.Errorf("unknown currency %q", e.Amount.Currency)
		}
		sum, err := money.Add(sums[e.Amount.Currency], e.Amount.Minor)
		if err != nil {
			return err
		}
		sums[e.Amount.Currency] = sum
	}
	if len(entries) < 2 {
		return errors.New("an entry set has at least two entries")
	}
	for c, sum := range sums {
		if sum != 0 {
			return fmt.Errorf("entries in %s sum to %d, not 0", c, sum)
		}
	}
	return nil
}

func add(ctx context.Context, tx db.Tx, e Entry) error {
	house := 0
	if e.Account.house() {
		house = 1
	}
	if house == 0 && e.Amount.Minor < 0 {
		// A condition instead of the table's CHECK: PostgreSQL would refuse
		// everything else in the transaction after that.
		done, err := tx.ExecContext(ctx, `UPDATE ledger_balances SET minor = minor + $1
			WHERE account = $2 AND currency = $3 AND minor + $1 >= 0`, e.Amount.Minor, e.Account, e.Amount.Currency)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, fmt.Errorf("%s in %s: %w", e.Account, e.Amount.Currency, ErrInsufficient))
		}
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO ledger_balances (account, currency, minor, house) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, currency) DO UPDATE SET minor = ledger_balances.minor + excluded.minor`,
		e.Account, e.Amount.Currency, e.Amount.Minor, house)
	return err
}

// Balances returns what account holds, by currency.
func Balances(ctx context.Context, q db.Querier, account Account) ([]money.Amount, error) {
	return db.All(ctx, q, func(scan func(...any) error) (money.Amount, error) {
		var a money.Amount
		return a, scan(&a.Currency, &a.Minor)
	}, `SELECT currency, minor FROM ledger_balances WHERE account = $1 ORDER BY currency`, account)
}
