package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// examine looks at the file before SQLite does, which takes one that was cut to
// nothing for a new database, and throws a log away whose database is gone.
func examine(path string) error {
	log, err := os.Stat(path + "-wal")
	logged := err == nil && log.Size() > 0
	file, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && logged:
		return broken(path, errors.New("it is gone, but its log is there"))
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the database of queues: %w", err)
	case file.Size() == 0 && !logged:
		return broken(path, errors.New("it is empty"))
	}
	return nil
}

// checkedWhole is the size up to which each page is checked when the store is
// opened: larger ones would hold up the start.
const checkedWhole = 64 << 20

func (s *Store) check(ctx context.Context) error {
	if file, err := os.Stat(s.path); err == nil && file.Size() > checkedWhole {
		return nil
	}
	var said string
	if err := s.write.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&said); err != nil {
		return s.wrap("check the database of queues", err)
	}
	if said != "ok" {
		return broken(s.path, errors.New(said))
	}
	return nil
}
