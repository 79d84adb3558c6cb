package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Snapshot writes the database in folder, as it is at one moment, to a file that is not
// there yet. Whoever has the store open goes on meanwhile.
func Snapshot(ctx context.Context, folder, to string) error {
	path := filepath.Join(folder, "titrate.db")
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	db, err := connect(path, 1, "")
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // only read
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == lib.SQLITE_FULL { // not this disk, but that of the copy
		return fmt.Errorf("copy the database: %w: %w", err, syscall.ENOSPC)
	}
	return (&Store{path: path}).wrap("copy the database", err)
}
