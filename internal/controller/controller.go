package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Config is what a controller is made of.
type Config struct {
	Store      Store
	Target     Target
	Router     Router
	Meter      Meter
	Builder    Builder                  // nil: pushes are refused
	Vault      Vault                    // nil: manifests that name secrets are refused
	Kept       func(digest string) bool // reports whether an artifact is still there (R8); nil: all are
	PreviewKey []byte                   // signs preview tokens
	Now        func() time.Time         // nil: time.Now
	Rest       func()                   // called now and then while nothing falls due by time; nil: nobody asks
	Log        *slog.Logger             // nil: discarded
}

// Controller decides and acts for all rollouts of an installation. Make one with
// [New], then either let [Controller.Run] drive it, or call [Controller.Start] and
// then Observe, Measure and Step by hand, on a clock of your own. Its methods may
// be called by many goroutines.
type Controller struct {
	Config

	deciding sync.Mutex // held by the one writer, from reading the memory to applying what was stored
	unsure   bool       // guarded by deciding: the store may hold what memory does not

	mu     sync.RWMutex // guards what follows; never held while calling out, except to log
	memory *memory
	sight  sight
	token  uint64
	want   intent

	nudge   chan struct{} // there may be something to decide
	act     chan struct{} // the wanted world has changed
	intake  *intake
	secrets secretCache
}

// intent is how far the wanted world has come.
type intent struct {
	revision uint64      // of the newest wanted world
	acked    world.Stamp // the newest one that target and router have acknowledged
}

// New returns a controller that has not started.
func New(c Config) *Controller {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rest == nil {
		c.Rest = func() {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Controller{
		Config: c, memory: newMemory(rollout.Catalog{}), nudge: make(chan struct{}, 1), act: make(chan struct{}, 1),
		intake: newIntake(), sight: newSight(),
	}
}

// Start takes the lease and reads the store. Everything that is wanted follows
// from what is stored, so that a crash needs no other repair (R19).
func (c *Controller) Start(ctx context.Context) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	token, err := c.Store.Lease(ctx)
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	if err := c.reload(ctx, world.Stamp{}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.want, c.sight = token, intent{revision: 1}, newSight()
	return nil
}

// reread reads the store anew when something may be stored that this controller was
// not told of. It may want another world, which is asked for.
func (c *Controller) reread(ctx context.Context) error {
	if err := c.reload(ctx, world.Stamp{Token: c.token, Revision: c.want.revision + 1}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want.revision++
	wake(c.act)
	return nil
}

// reload reads the memory from the store anew. Stamp is that of the next wanted
// world. The caller is the writer.
func (c *Controller) reload(ctx context.Context, stamp world.Stamp) error {
	catalog, err := c.Store.Load(ctx)
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	m := newMemory(catalog)
	if err := c.secrets.fill(ctx, c.Vault, m.running()); err != nil {
		return err
	}
	if err := c.secrets.fillAccessories(ctx, c.Vault, catalog.Accessories); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.inherit(c.memory, stamp)
	c.memory, c.unsure = m, false
	return nil
}

// now is the time of what a person does. It is stored, so it keeps no more than
// a stored time does.
func (c *Controller) now() time.Time { return c.Now().Round(0).UTC() }

// commit stores ch and then takes it into memory. After an error memory is read anew,
// so that what follows goes by what is stored: after a conflict something else is, and
// when the store's answer was lost ch may be. The caller is the writer.
func (c *Controller) commit(ctx context.Context, ch rollout.Change) error {
	if ch.Empty() {
		return nil
	}
	if c.unsure { // and so ch may rest on what is not so any more
		if err := c.reread(ctx); err != nil {
			return err
		}
		return fmt.Errorf("what is stored was not known: %w", rollout.ErrConflict)
	}
	ch.Token = c.token
	if err := c.Store.Commit(ctx, ch); err != nil {
		if final(err) {
			return err
		}
		c.unsure = true
		return errors.Join(err, c.reread(ctx))
	}
	if err := c.secrets.fill(ctx, c.Vault, ch.Versions); err != nil {
		// Stored is stored; the fleet comes up without the value until it is known.
		c.Log.Error("a secret's value is not known", slog.Any("error", err))
	}
	if err := c.secrets.fillAccessories(ctx, c.Vault, ch.Accessories); err != nil {
		c.Log.Error("the password of an accessory is not known", slog.Any("error", err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memory.apply(ch, world.Stamp{Token: c.token, Revision: c.want.revision + 1}) {
		c.want.revision++
		wake(c.act)
	}
	return nil
}

// wake tells the owner of a channel once, however often it is called.
func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
