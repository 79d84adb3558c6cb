package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// LogPath is where keeper, server and node of the data folder dir log when they are
// in the background.
func LogPath(dir string) string { return folder(dir).at("logs", "titrate.log") }

// maxLog is how large the log grows; so much of what was before is kept beside it.
const maxLog = 16 << 20

// BoundLog makes the log of the data folder dir the one before, LogPath(dir).1, when
// it has grown too large. Processes that have it open go on in the empty file: it is
// copied and cut, not renamed, for they append and share no lock. A line that is
// written just as it is cut may be lost.
func BoundLog(dir string) error { return boundLog(LogPath(dir), maxLog) }

func boundLog(path string, most int64) error {
	log, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it logs elsewhere
	}
	if err != nil {
		return fmt.Errorf("bound the log: %w", err)
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil || info.Size() <= most {
		return err
	}
	before, err := os.OpenFile(path+".1", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("bound the log: %w", err)
	}
	_, err = io.Copy(before, io.NewSectionReader(log, max(0, info.Size()-most), 2*most))
	// Cut even so: a full disk, of all, must not keep the log.
	return errors.Join(err, before.Close(), log.Truncate(0))
}

// boundLogs bounds the log until ctx ends.
func boundLogs(ctx context.Context, dir string) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := BoundLog(dir); err != nil {
			return err
		}
	}
}
