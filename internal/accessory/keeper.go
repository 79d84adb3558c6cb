package accessory

import "context"

// Keeper is a kind whose data can be copied while it serves, and put back.
type Keeper interface {
	Kind
	// Freeze holds the data as it is now until release is called, and counts it.
	Freeze(ctx context.Context, p Place) (Frozen, error)
	// Dump returns the command that writes what f holds to the file into.
	Dump(p Place, f Frozen, into string) (Command, error)
	// Create makes an empty database, instead of one of that name. It belongs to the app.
	Create(ctx context.Context, p Place, database string) error
	// Restore returns the command that fills an empty database from the file.
	Restore(p Place, database, from string) (Command, error)
	// Count counts what a database holds.
	Count(ctx context.Context, p Place, database string) (Counted, error)
	// Drop removes a database, if it is there.
	Drop(ctx context.Context, p Place, database string) error
	// Swap gives the app database instead of its own, which is called aside from then
	// on, in one step. It ends the connections to both. What an earlier swap set aside
	// is removed.
	Swap(ctx context.Context, p Place, database, aside string) error
	// Has reports whether there is a database of that name.
	Has(ctx context.Context, p Place, database string) (bool, error)
}

// Counted is what a database holds: of Redis, databases that are not empty and keys.
type Counted struct {
	Tables  int
	Rows    int64 // of all tables
	Passing int64 // of Rows: keys that end by themselves
}

// Agrees reports whether a copy that was counted as made when it was new may be counted
// as c now: of what ends by itself there may be less.
func (c Counted) Agrees(made Counted) bool {
	return c.Rows-c.Passing == made.Rows-made.Passing && c.Rows <= made.Rows && (c.Tables == made.Tables || made.Passing > 0 && c.Tables < made.Tables)
}

// Frozen is data at one moment.
type Frozen struct {
	Counted
	Snapshot string // names the moment
	Version  string // major, of the program that holds it
	release  func()
}

// Release lets the moment go.
func (f Frozen) Release() { f.release() }
