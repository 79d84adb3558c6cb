package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the database to this program's format, one numbered file a
// transaction. A newer format is left as it is, and refused unless it says that this
// program can go on with it.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	files, err := migrationFiles()
	if err != nil {
		return err
	}
	for _, table := range []string{`format (number INTEGER NOT NULL)`, `format_since (number INTEGER PRIMARY KEY, since INTEGER NOT NULL)`} {
		if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+table); err != nil {
			return err
		}
	}
	have, err := formatOf(ctx, db, path, len(files))
	if err != nil {
		return err
	}
	for n := have; n < len(files); n++ {
		if err := apply(ctx, db, files[n], n+1); err != nil {
			return fmt.Errorf("%s: %w", files[n], err)
		}
	}
	return nil
}

func migrationFiles() ([]string, error) { return fs.Glob(migrations, "migrations/*.sql") }

// formatOf is the database's format. One that is newer than known is an error unless
// each step beyond says that a program which knows up to known can go on.
func formatOf(ctx context.Context, db *sql.DB, path string, known int) (have int, err error) {
	if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(number), 0) FROM format`).Scan(&have); err != nil || have <= known {
		return have, err
	}
	var steps int
	err = db.QueryRowContext(ctx, `SELECT COUNT(*) FROM format_since WHERE number > $1 AND since <= $1`, known).Scan(&steps)
	if err == nil && steps == have-known {
		return have, nil
	}
	return have, &FaultError{
		Code: CodeNewer, Path: path,
		What: fmt.Sprintf("the database has format %d, this program knows up to %d; nothing was changed", have, known),
		Hint: "start the newer titrate again, or restore the backup made before the upgrade",
	}
}

// sinceForm is the first line of a migration that older programs need not know of: a
// new table, or a column with a default.
var sinceForm = regexp.MustCompile(`^-- since (\d+)\n`)

// since is the oldest format whose programs can go on after a migration.
func since(text []byte, number int) int {
	if m := sinceForm.FindSubmatch(text); m != nil {
		number, _ = strconv.Atoi(string(m[1]))
	}
	return number
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
	if _, err := tx.ExecContext(ctx, `INSERT INTO format_since (number, since) VALUES ($1, $2)`, number, since(text, number)); err != nil {
		return err
	}
	return tx.Commit()
}
