package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"titrate/internal/durable"
)

// Record is what a data folder knows of its backups.
type Record struct {
	Every time.Duration `json:"every,omitempty"` // how often there is to be one; 0: nobody has said
	Since time.Time     `json:"since,omitzero"`  // when Every was said
	Last  time.Time     `json:"last,omitzero"`   // when the last one was whole
	File  string        `json:"file,omitempty"`  // which
}

func recordPath(dir string) string { return filepath.Join(dir, "backup.json") }

// ReadRecord reads the record of the data folder dir: a zero one where there is none.
func ReadRecord(dir string) (r Record, err error) {
	b, err := os.ReadFile(recordPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read when the last backup was made: %w", err)
	}
	return r, nil
}

// Store writes the record of the data folder dir.
func (r Record) Store(dir string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("note the backup: %w", err)
	}
	return durable.WriteFile(recordPath(dir), append(b, '\n'))
}

// Due says since when there ought to be a newer backup, and whether there is not: half
// as long again as Every is allowed for.
func (r Record) Due(now time.Time) (since time.Time, late bool) {
	if since = r.Last; since.Before(r.Since) && r.Last.IsZero() {
		since = r.Since
	}
	return since, r.Every > 0 && now.Sub(since) > r.Every+r.Every/2
}
