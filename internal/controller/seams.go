// Package controller moves rollouts: it looks at the world, asks the pure core
// what follows, stores the answer, and asks the hands for the world that the
// stored states want.
package controller

import (
	"context"

	"titrate/internal/world"
)

// Target runs versions. Ensure is whole and level-triggered: what w does not
// name is drained and stopped; asking for the same stamp again is acknowledged
// without acting; a smaller stamp than one already taken is refused with an
// error that wraps world.ErrStale.
type Target interface {
	Ensure(ctx context.Context, w world.Wanted) error
	// Seen answers when there is something newer than the sequence after, or with
	// what it knows when ctx is about to end. An error means not observed.
	Seen(ctx context.Context, after uint64) (world.Seen, error)
}

// Router splits traffic by weight. Split takes the same whole world as
// [Target].Ensure, under the same rules for stamps; Served says what is split in
// fact, because asked is not served.
type Router interface {
	Split(ctx context.Context, w world.Wanted) error
	Served(ctx context.Context) (world.Served, error)
}

// Meter counts what came back. Windows returns the closed windows above the
// cursor after, oldest first, waiting for the next to close until ctx is about to
// end. An error is no verdict, never a bad one.
type Meter interface {
	Windows(ctx context.Context, after uint64) ([]world.VersionWindow, error)
}
