package local

import (
	"context"
	"errors"
	"fmt"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Databases that stand beside the data while a copy is tried or put back.
const (
	rehearsal   = "titrate_rehearsal"
	restoration = "titrate_restoration"
)

// databases copies the data of a server that holds several databases.
type databases struct {
	keeping
	k accessory.Keeper
}

func (d databases) dump(ctx context.Context, b *world.Backup, into string) error {
	f, err := d.k.Freeze(ctx, d.p)
	if err != nil {
		return err
	}
	defer f.Release()
	b.Tables, b.Rows, b.Version = f.Tables, f.Rows, f.Version
	c, err := d.k.Dump(d.p, f, into)
	if err != nil {
		return err
	}
	return d.run(ctx, c, "the dump")
}

func (databases) tries() error { return nil }

func (d databases) try(ctx context.Context, b world.Backup) error {
	err := d.restored(ctx, b, rehearsal)
	if derr := d.k.Drop(context.WithoutCancel(ctx), d.p, rehearsal); err == nil {
		err = derr
	}
	return err
}

func (d databases) restore(ctx context.Context, b world.Backup, t rollout.AccessoryTask) (string, error) {
	// Named after the task: one that was interrupted after the swap is found done.
	aside := accessory.Aside(d.p, t.At.UTC().Format(backupName))
	done := fmt.Sprintf("backup %s is in place; what was there before is the database %s, until the next restore", b.Name, aside)
	if has, err := d.k.Has(ctx, d.p, aside); err != nil || has {
		return done, err
	}
	if err := d.restored(ctx, b, restoration); err != nil {
		return "", errors.Join(fmt.Errorf("backup %s: %w; the data is as it was", b.Name, err), d.k.Drop(context.WithoutCancel(ctx), d.p, restoration))
	}
	return done, d.k.Swap(ctx, d.p, restoration, aside)
}

// restored fills a database of that name from a backup, and checks what it holds.
func (d databases) restored(ctx context.Context, b world.Backup, database string) error {
	if err := d.h.intact(b); err != nil {
		return err
	}
	if err := d.k.Create(ctx, d.p, database); err != nil {
		return fmt.Errorf("make a database for it: %w", err)
	}
	c, err := d.k.Restore(d.p, database, d.h.backupFile(b.Name))
	if err != nil {
		return err
	}
	if err := d.run(ctx, c, "the restore", d.h.backupFile(b.Name)); err != nil {
		return err
	}
	got, err := d.k.Count(ctx, d.p, database)
	if err != nil {
		return fmt.Errorf("count what was restored: %w", err)
	}
	return agrees(b, got)
}
