// Package dbtest opens a database for a test: SQLite always, PostgreSQL where
// TITRATE_TEST_POSTGRES names one.
package dbtest

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
)

// T is the part of testing.T that is needed.
type T interface {
	Helper()
	Fatal(args ...any)
	Skip(args ...any)
	TempDir() string
	Cleanup(func())
	Context() context.Context
}

// Kinds are the databases, for a subtest each.
func Kinds() []string { return []string{"sqlite", "postgres"} }

// Address returns a fresh database's address and the name of its service.
func Address(t T, kind string) (address, service string) {
	t.Helper()
	if kind == "sqlite" {
		return "sqlite:" + filepath.Join(t.TempDir(), "cofe.db"), "test"
	}
	address = os.Getenv("TITRATE_TEST_POSTGRES")
	if address == "" {
		t.Skip("no PostgreSQL: set TITRATE_TEST_POSTGRES to its URL")
	}
	return address, "cofe_" + strings.ToLower(httpx.NewID()[:12])
}

// Open opens a fresh database with these migrations.
func Open(t T, kind string, migrations ...[]db.Migration) *db.DB {
	t.Helper()
	address, service := Address(t, kind)
	d, err := db.Open(t.Context(), address, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if kind == "postgres" {
			ctx := context.WithoutCancel(t.Context())
			if err := d.Write(ctx, func(tx db.Tx) error {
				_, err := tx.ExecContext(ctx, `DROP SCHEMA `+service+` CASCADE`)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if err := d.Migrate(t.Context(), migrations...); err != nil {
		t.Fatal(err)
	}
	return d
}
