package daemon

import (
	"context"

	"titrate/internal/store"
)

// Takes is what a program finds in a data folder that it can take over.
type Takes struct {
	Program  string       `json:"program"` // version of this program
	Data     string       `json:"data"`
	Format   int          `json:"format"` // of the folder; 0: it is new
	Database store.Format `json:"database"`
}

// CanTake reads whether this program can take over the data folder dir, before
// anything is touched: a keeper that has let go cannot be asked back. It changes
// nothing. The error says what a newer program has written there.
func CanTake(ctx context.Context, dir string) (Takes, error) {
	f := folder(dir)
	t := Takes{Program: Version(), Data: dir}
	var err error
	if t.Format, err = f.readFormat(); err != nil {
		return t, err
	}
	t.Database, err = store.Fits(ctx, f.store())
	return t, err
}
