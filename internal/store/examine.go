package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	// The driver registers itself under the name "sqlite".
	_ "modernc.org/sqlite"
)

// examine looks at the file before SQLite does: SQLite would take an empty file
// for a new database. It returns os.ErrNotExist only where none has ever been.
func examine(path, reserve string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		for _, beside := range []string{path + "-wal", reserve} {
			if _, err := os.Stat(beside); err == nil {
				return &FaultError{
					Code: CodeMissing, Path: path,
					What: "the database is gone, but " + filepath.Base(beside) + " beside it is there; nothing was changed",
					Hint: "restore a backup, or begin anew: rm " + beside,
				}
			}
		}
		return os.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer f.Close()
	header := make([]byte, 100)
	if _, err := io.ReadFull(f, header); err != nil {
		return corrupt(path, errors.New("it is shorter than a database's header"))
	}
	if string(header[:16]) != "SQLite format 3\x00" {
		return corrupt(path, errors.New("it does not begin as a database does"))
	}
	return examineLength(f, header, path)
}

// examineLength compares the length that the header states with the file's. With
// a write-ahead log beside it the file may rightly lag, and SQLite judges.
func examineLength(f *os.File, header []byte, path string) error {
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return nil
	}
	size := int64(binary.BigEndian.Uint16(header[16:]))
	if size == 1 {
		size = 65536
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("examine the database: %w", err)
	}
	if want := size * int64(binary.BigEndian.Uint32(header[28:])); info.Size() < want {
		return corrupt(path, fmt.Errorf("it has %d of %d bytes", info.Size(), want))
	}
	return nil
}

// checkedWhole is the size up to which each page is checked when the database is
// opened: larger ones would hold up the start.
const checkedWhole = 64 << 20

func (s *Store) check(ctx context.Context) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("examine the database: %w", err)
	}
	if info.Size() > checkedWhole {
		return nil
	}
	var said string
	if err := s.write.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&said); err != nil {
		return s.wrap("check the database", err)
	}
	if said != "ok" {
		return corrupt(s.path, errors.New(said))
	}
	return nil
}

// create makes the database under a temporary name and renames it, so that a
// database under its own name is always whole.
func create(ctx context.Context, path string) error {
	temp := path + ".new"
	for _, old := range []string{temp, temp + "-wal", temp + "-shm"} {
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	db, err := connect(temp, 1, "_txlock=immediate")
	if err != nil {
		return err
	}
	err = migrate(ctx, db, path)
	if err == nil {
		_, err = db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
