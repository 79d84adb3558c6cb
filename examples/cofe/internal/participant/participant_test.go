package participant_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/db/dbtest"
	"titrate/examples/cofe/internal/ledger"
	"titrate/examples/cofe/internal/money"
	"titrate/examples/cofe/internal/participant"
)

func hold(order string, minor int64) (participant.Effect, []ledger.Entry) {
	e := participant.Effect{Order: order, Account: "customer:a", Amount: money.Amount{Minor: minor, Currency: money.KWD}}
	return e, ledger.Move("customer:a", ledger.Account("held:"+order), e.Amount)
}

func release(e participant.Effect) []ledger.Entry {
	return ledger.Move(ledger.Account("held:"+e.Order), e.Account, e.Amount)
}

// However doing and undoing arrive (twice, late, in the wrong order), an order's
// money is held at most once, and not at all once it has been undone.
func TestEffect_isThereAtMostOnceAndNotAfterItsUndoing(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			d := dbtest.Open(t, kind, ledger.Migrations(), participant.Migrations())
			if err := d.Write(ctx, func(tx db.Tx) error {
				return ledger.Post(ctx, tx, "grant", ledger.Move(ledger.House("granted"), "customer:a", money.Amount{Minor: 1_000_000, Currency: money.KWD}))
			}); err != nil {
				t.Fatal(err)
			}
			orders := 0
			rapid.Check(t, func(rt *rapid.T) {
				orders++
				order := fmt.Sprintf("o-%d", orders)
				done, undone := false, false
				for _, what := range rapid.SliceOfN(rapid.SampledFrom([]string{"do", "undo", "other"}), 1, 6).Draw(rt, "messages") {
					err := d.Write(ctx, func(tx db.Tx) error {
						switch what {
						case "undo":
							return participant.Undo(ctx, tx, order, release)
						case "other":
							e, entries := hold(order, 7)
							return participant.Do(ctx, tx, e, entries)
						default:
							e, entries := hold(order, 5)
							return participant.Do(ctx, tx, e, entries)
						}
					})
					switch {
					case what == "undo" && err != nil:
						rt.Fatalf("undo: %v", err)
					case what == "undo":
						undone, done = true, false
					case undone && !errors.Is(err, participant.ErrUndone):
						rt.Fatalf("done after its undoing: %v", err)
					case !undone && err == nil:
						done = true
					case !undone && !errors.Is(err, participant.ErrDiffers):
						rt.Fatalf("do: %v", err)
					}
				}
				held, err := ledger.Balances(ctx, d.Read(), ledger.Account("held:"+order))
				if err != nil {
					rt.Fatal(err)
				}
				if has := len(held) > 0 && held[0].Minor > 0; has != done {
					rt.Fatalf("held %v, want %v", held, done)
				}
			})
			if err := d.Snapshot(ctx, func(q db.Querier) error {
				audit, err := ledger.Check(ctx, q)
				for _, p := range audit.Problems() {
					t.Error(p)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestEffect_thatIsSettledStays(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := dbtest.Open(t, "sqlite", ledger.Migrations(), participant.Migrations())
	err := d.Write(ctx, func(tx db.Tx) error {
		e, _ := hold("o-1", 5)
		if err := participant.Do(ctx, tx, e, nil); err != nil {
			return err
		}
		if moved, err := participant.Move(ctx, tx, "o-1", participant.Done, participant.Settled, nil); err != nil || !moved {
			t.Errorf("settle: %v %v", moved, err)
		}
		if moved, err := participant.Move(ctx, tx, "o-1", participant.Done, participant.Settled, nil); err != nil || moved {
			t.Errorf("settle again: %v %v", moved, err)
		}
		if err := participant.Undo(ctx, tx, "o-1", release); !errors.Is(err, participant.ErrSettled) {
			t.Errorf("undo what is settled: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
