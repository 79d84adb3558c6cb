package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the database to this program's format, one numbered file a
// transaction. A database of a newer format is refused.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS format (number INTEGER NOT NULL)`); err != nil {
		return err
	}
	var have int
	if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(number), 0) FROM format`).Scan(&have); err != nil {
		return err
	}
	if have > len(files) {
		return &FaultError{
			Code: CodeNewer, Path: path,
			What: fmt.Sprintf("the database has format %d, this program knows up to %d; nothing was changed", have, len(files)),
			Hint: "start the newer titrate again, or restore the backup made before the upgrade",
		}
	}
	for n := have; n < len(files); n++ {
		if err := apply(ctx, db, files[n], n+1); err != nil {
			return fmt.Errorf("%s: %w", files[n], err)
		}
	}
	return nil
}

func apply(ctx context.Context, db *sql.DB, file string, number int) error {
	text, err := migrations.ReadFile(file)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, string(text)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO format (number) VALUES ($1)`, number); err != nil {
		return err
	}
	return tx.Commit()
}
