package ledger_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/db/dbtest"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/money"
)

// Whatever is posted, and refused: every entry set sums to zero, no customer's
// balance is negative, and balances are the sums of their entries.
func TestLedger_holdsUnderRandomPostings(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := dbtest.Open(t, kind, ledger.Migrations())
			reference := 0
			model := map[ledger.Account]map[money.Currency]int64{}
			rapid.Check(t, func(rt *rapid.T) {
				reference++
				entries, wanted := drawEntries(rt, reference)
				err := post(t, d, fmt.Sprintf("r-%d", reference), entries)
				switch {
				case !wanted:
					if err == nil {
						rt.Fatalf("posted, though it does not sum to 0: %v", entries)
					}
				case negative(model, entries):
					if !errors.Is(err, ledger.ErrInsufficient) {
						rt.Fatalf("%v: %v, want insufficient", entries, err)
					}
				case err != nil:
					rt.Fatalf("%v: %v", entries, err)
				default:
					apply(model, entries)
				}
			})
			holds(t, d)
			for account, balances := range model {
				got, err := ledger.Balances(t.Context(), d.Read(), account)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range got {
					if a.Minor != balances[a.Currency] {
						t.Errorf("%s has %s, want %d", account, a, balances[a.Currency])
					}
				}
			}
		})
	}
}

// drawEntries draws a set of entries that sums to zero, or one that does not.
// Customers' entries are of one sign in a set, so that the order in which they
// are applied does not matter to the model.
func drawEntries(t *rapid.T, n int) (entries []ledger.Entry, balanced bool) {
	c := rapid.SampledFrom([]money.Currency{money.KWD, money.JPY}).Draw(t, "currency")
	accounts := []ledger.Account{"customer:a", "customer:b", ledger.House("sales"), ledger.House("granted")}
	for range rapid.IntRange(1, 2).Draw(t, "moves") {
		from := rapid.SampledFrom(accounts).Draw(t, "from")
		to := rapid.SampledFrom(accounts).Draw(t, "to")
		if from == to {
			to = ledger.House("rounding")
		}
		entries = append(entries, ledger.Move(from, to, money.Amount{Minor: rapid.Int64Range(0, 500).Draw(t, "minor"), Currency: c})...)
	}
	if n%7 == 0 {
		entries[0].Amount.Minor++
		return entries, false
	}
	return entries, true
}

// negative tells, entry by entry in the order of accounts, whether a customer's
// balance would be below zero.
func negative(model map[ledger.Account]map[money.Currency]int64, entries []ledger.Entry) bool {
	now := map[ledger.Account]int64{}
	for _, e := range entries {
		if _, ok := now[e.Account]; !ok {
			now[e.Account] = model[e.Account][e.Amount.Currency]
		}
		now[e.Account] += e.Amount.Minor
		if e.Amount.Minor < 0 && now[e.Account] < 0 && e.Account[:5] != "house" {
			return true
		}
		// A row that has never been there cannot be taken from, not even 0.
	}
	return false
}

func apply(model map[ledger.Account]map[money.Currency]int64, entries []ledger.Entry) {
	for _, e := range entries {
		if model[e.Account] == nil {
			model[e.Account] = map[money.Currency]int64{}
		}
		model[e.Account][e.Amount.Currency] += e.Amount.Minor
	}
}

func post(t *testing.T, d *db.DB, reference string, entries []ledger.Entry) error {
	t.Helper()
	return d.Write(t.Context(), func(tx db.Tx) error { return ledger.Post(t.Context(), tx, reference, entries) })
}

func holds(t *testing.T, d *db.DB) {
	t.Helper()
	err := d.Snapshot(t.Context(), func(q db.Querier) error {
		audit, err := ledger.Check(t.Context(), q)
		for _, p := range audit.Problems() {
			t.Error(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPost_appliesAReferenceOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := dbtest.Open(t, kind, ledger.Migrations())
			grant := ledger.Move(ledger.House("granted"), "customer:a", money.Amount{Minor: 100, Currency: money.KWD})
			if err := post(t, d, "grant", grant); err != nil {
				t.Fatal(err)
			}
			if err := post(t, d, "grant", grant); !errors.Is(err, ledger.ErrPosted) {
				t.Fatalf("posted twice: %v", err)
			}
			holds(t, d)
		})
	}
}

// Ten takers for a balance that is enough for four.
func TestPost_neverOverdrawsUnderConcurrency(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := dbtest.Open(t, kind, ledger.Migrations())
			if err := post(t, d, "grant", ledger.Move(ledger.House("granted"), "customer:a", money.Amount{Minor: 450, Currency: money.KWD})); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			results := make(chan error, 10)
			for i := range 10 {
				all.Go(func() {
					results <- post(t, d, fmt.Sprintf("take-%d", i), ledger.Move("customer:a", ledger.House("sales"), money.Amount{Minor: 100, Currency: money.KWD}))
				})
			}
			all.Wait()
			close(results)
			taken := 0
			for err := range results {
				switch {
				case err == nil:
					taken++
				case !errors.Is(err, ledger.ErrInsufficient):
					t.Error(err)
				}
			}
			if taken != 4 {
				t.Errorf("%d of 10 took 100 from 450", taken)
			}
			holds(t, d)
		})
	}
}
