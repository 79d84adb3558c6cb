package ledger

import (
	"context"
	"fmt"

	"titrate/examples/cofe/internal/db"
)

// Audit is what the whole ledger says about itself.
type Audit struct {
	Entries    int64            `json:"entries"`
	References int64            `json:"references"`
	Sums       map[string]int64 `json:"sums"`       // of all entries, by currency: each must be 0
	Unbalanced int64            `json:"unbalanced"` // entry sets that do not sum to 0 in each currency
	Negative   int64            `json:"negative"`   // balances below zero that may not be
	Drift      int64            `json:"drift"`      // balances that are not the sum of their entries
}

// Problems lists what is wrong, in sentences; none means the ledger holds.
func (a Audit) Problems() []string {
	var problems []string
	for currency, sum := range a.Sums {
		if sum != 0 {
			problems = append(problems, fmt.Sprintf("all entries in %s sum to %d, not 0", currency, sum))
		}
	}
	for _, c := range []struct {
		n    int64
		what string
	}{
		{a.Unbalanced, "entry sets do not sum to 0"},
		{a.Negative, "balances are negative"},
		{a.Drift, "balances are not the sum of their entries"},
	} {
		if c.n != 0 {
			problems = append(problems, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return problems
}

// Check reads the whole ledger and adds it up again. The queries see one moment
// only when q is a transaction.
func Check(ctx context.Context, q db.Querier) (Audit, error) {
	audit := Audit{Sums: map[string]int64{}}
	type sum struct {
		currency string
		minor    int64
	}
	sums, err := db.All(ctx, q, func(scan func(...any) error) (sum, error) {
		var s sum
		return s, scan(&s.currency, &s.minor)
	}, `SELECT currency, CAST(SUM(minor) AS BIGINT) FROM ledger_entries GROUP BY currency`)
	if err != nil {
		return audit, fmt.Errorf("add up the ledger: %w", err)
	}
	for _, s := range sums {
		audit.Sums[s.currency] = s.minor
	}
	counts := []struct {
		into  *int64
		query string
	}{
		{&audit.Entries, `SELECT COUNT(*) FROM ledger_entries`},
		{&audit.References, `SELECT COUNT(DISTINCT reference) FROM ledger_entries`},
		{&audit.Unbalanced, `SELECT COUNT(*) FROM (SELECT reference FROM ledger_entries GROUP BY reference, currency HAVING SUM(minor) <> 0) u`},
		{&audit.Negative, `SELECT COUNT(*) FROM ledger_balances WHERE house = 0 AND minor < 0`},
		{&audit.Drift, `SELECT COUNT(*) FROM ledger_balances b WHERE b.minor <> (SELECT COALESCE(SUM(e.minor), 0) FROM ledger_entries e
			WHERE e.account = b.account AND e.currency = b.currency)`},
	}
	for _, c := range counts {
		if err := q.QueryRowContext(ctx, c.query).Scan(c.into); err != nil {
			return audit, fmt.Errorf("audit the ledger: %w", err)
		}
	}
	return audit, nil
}
