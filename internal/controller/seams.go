// Package controller moves rollouts: it looks at the world, asks the pure core
// what follows, stores the answer, and asks the hands for the world that the
// stored states want.
package controller

import (
	"context"
	"errors"
	"io"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
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

// Store remembers. It is written by one controller at a time; every other
// process reads.
type Store interface {
	// Lease makes the caller the one writer and returns its token, greater than
	// any before. Calling it again takes the lease anew.
	Lease(ctx context.Context) (uint64, error)
	// Load returns all that is alive.
	Load(ctx context.Context) (rollout.Catalog, error)
	// Commit stores c, all or nothing and durably before it returns. It wraps
	// rollout.ErrConflict when a decision's revision is not the stored one, and
	// rollout.ErrFenced when a newer lease has been taken; nothing is stored then.
	Commit(ctx context.Context, c rollout.Change) error
	// Rollout returns one rollout, alive or ended, or wraps rollout.ErrUnknown.
	Rollout(ctx context.Context, id int64) (rollout.Record, error)
	// History returns a rollout's decisions, oldest first.
	History(ctx context.Context, id int64) ([]rollout.Look, error)
	// Release returns one release, or wraps rollout.ErrUnknown.
	Release(ctx context.Context, app string, n rollout.Release) (rollout.ReleaseRecord, error)
}

// Builder turns a commit into artifacts. Building the same request again gives
// the same artifacts, and costs little: what did not change is not built again.
type Builder interface {
	// Build returns an artifact for each of b.Services. An error that wraps
	// ErrBuild is the user's: it is told in one sentence and nothing moves; any
	// other is ours.
	Build(ctx context.Context, b BuildRequest) (map[string]rollout.Artifact, error)
}

// BuildRequest is what a [Builder] is asked for.
type BuildRequest struct {
	App      string
	Repo     string // as the push named it
	Commit   string
	Push     int64 // under which the logs are kept
	Services []manifest.Service
	// Accessory says that Services are the images of accessories.
	Accessory bool
	Logins    map[string]Login // to registries of images, by host as the manifest has it
	Progress  io.Writer        // lines for the person who pushed; never nil
}

// Login is what a registry of images is shown. The password is in the clear.
type Login struct{ Username, Password string }

// ErrBuild is wrapped by what a [Builder] returns when the code could not be
// built: a fault of the pushed code, not of the platform.
var ErrBuild = errors.New("build failed")

// Vault knows the values of secrets, by the keyed digest of each value, so that
// a version is given for ever what it was made with.
type Vault interface {
	// Digests returns the keyed HMAC of the present value of each name, or wraps
	// ErrNoSecret naming those that are not set.
	Digests(ctx context.Context, app, env string, names []string) (map[string]string, error)
	// Values returns the value of each name whose digest is given, or wraps
	// ErrNoSecret when one is kept no longer.
	Values(ctx context.Context, app, env string, digests map[string]string) (map[string]string, error)
}

// Generator is a [Vault] that can make a value up, for the password of an accessory.
type Generator interface {
	// Generate returns the digest of the value of a name, which it makes when there is
	// none; calling it again changes nothing.
	Generate(ctx context.Context, app, env, name string) (digest string, err error)
}

// ErrNoSecret is wrapped by a [Vault] that has no value for a name.
var ErrNoSecret = errors.New("secret not set")
