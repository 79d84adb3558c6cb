package db_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/db/dbtest"
)

func step(name string, sql ...string) []db.Migration {
	return []db.Migration{{Name: name, SQL: sql}}
}

// Instances of two versions start at the same time on the same data: each
// change is applied once, and the older one does not mind the newer's.
func TestMigrate_isSafeForTwoVersionsAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := dbtest.Open(t, kind)
			v1 := step("one", `CREATE TABLE things (id BIGINT PRIMARY KEY)`, `INSERT INTO things (id) VALUES (1)`)
			v2 := step("two", `ALTER TABLE things ADD COLUMN name TEXT NOT NULL DEFAULT 'x'`)
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					steps := [][]db.Migration{v1, v2}
					if err := d.Migrate(t.Context(), steps[:1+i%2]...); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			var n int
			if err := d.Read().QueryRowContext(t.Context(), `SELECT COUNT(*) FROM things WHERE name = 'x'`).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d things, %v", n, err)
			}
		})
	}
}

func TestWrite_keepsNothingOfAnError(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := dbtest.Open(t, kind, step("one", `CREATE TABLE things (id BIGINT PRIMARY KEY)`))
			stop := errors.New("stop")
			err := d.Write(t.Context(), func(tx db.Tx) error {
				if _, err := tx.ExecContext(t.Context(), `INSERT INTO things (id) VALUES ($1)`, 1); err != nil {
					return err
				}
				return stop
			})
			if !errors.Is(err, stop) {
				t.Errorf("error %v", err)
			}
			var n int
			if err := d.Snapshot(t.Context(), func(q db.Querier) error {
				return q.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM things`).Scan(&n)
			}); err != nil || n != 0 {
				t.Errorf("%d things, %v", n, err)
			}
		})
	}
}

func TestOpen_refusesAnAddressThatIsNone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "mysql://x", "postgres://%zz", "cofe.db"} {
		if d, err := db.Open(context.Background(), address, "test"); err == nil {
			t.Errorf("%q was opened", address)
			d.Close()
		}
	}
}
