package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"titrate/internal/rollout"
)

// Format is what a database was written as.
type Format struct {
	Number int `json:"number"` // of the last migration; 0: there is no database
	Core   int `json:"core"`   // newest rollout.CoreVersion that decided about a rollout in progress; 0: there is none
}

// Fits reads which format the database in folder has, without its lock and without
// changing it, also while another process has it open. A [FaultError] with
// [CodeNewer] says that this program must not take it over: it would not know the
// tables, or would go on with rollouts whose states it does not know.
func Fits(ctx context.Context, folder string) (Format, error) {
	path := filepath.Join(folder, "titrate.db")
	switch err := examine(path, filepath.Join(folder, "reserve")); {
	case errors.Is(err, os.ErrNotExist):
		return Format{}, nil
	case err != nil:
		return Format{}, err
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return Format{}, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = db.Close() }() // it was only read
	s, f := &Store{path: path}, Format{}
	files, err := migrationFiles()
	if err != nil {
		return f, err
	}
	f.Number, err = formatOf(ctx, db, path, len(files))
	var fault *FaultError
	if errors.As(err, &fault) {
		return f, err
	}
	if err != nil {
		return f, s.wrap("read the database's format", err)
	}
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(h.core), 0) FROM history h JOIN rollouts r ON r.id = h.rollout WHERE r.phase <> 'ended'`).Scan(&f.Core)
	if err != nil {
		return f, s.wrap("read who decided last", err)
	}
	if f.Core > rollout.CoreVersion {
		return f, &FaultError{
			Code: CodeNewer, Path: path,
			What: fmt.Sprintf("rollouts in progress were decided by core %d, this program's is %d; nothing was changed", f.Core, rollout.CoreVersion),
			Hint: "wait until they have ended, or end them: titrate status, titrate rollout abort; then try again",
		}
	}
	return f, nil
}
