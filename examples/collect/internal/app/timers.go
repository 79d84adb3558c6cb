package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"titrate/examples/collect/internal/ledger"
)

// stuck is how long a pickup may wait in one state before it is put into its queue
// once more.
const stuck = time.Minute

// Requeue puts pickups that have long been in a state into its queue again: an answer
// to a customer may have been lost between the ledger and the queue.
func (a *App) Requeue(ctx context.Context, s ledger.State) error {
	waiting, err := a.Ledger.Find(ctx, ledger.Query{State: s, Before: a.Now().Add(-stuck), Unsettled: s.Over(), Limit: 100})
	if err != nil {
		return fmt.Errorf("look for %s pickups: %w", s, err)
	}
	for _, p := range waiting {
		if err := a.Bus.Send(ctx, Next(s), Message{p.ID}); err != nil {
			return err
		}
	}
	return nil
}

// Expire cancels pickups that have been in a state for longer than a time.
func (a *App) Expire(ctx context.Context, s ledger.State, after time.Duration) error {
	late, err := a.Ledger.Find(ctx, ledger.Query{State: s, Before: a.Now().Add(-after), Limit: 100})
	if err != nil {
		return fmt.Errorf("look for late pickups: %w", err)
	}
	for _, p := range late {
		if err := a.Step(ctx, ledger.Entry{Pickup: p.ID, From: []ledger.State{s}, State: ledger.Cancelled, Note: map[string]string{"why": "it was " + string(s) + " for too long"}}); err != nil {
			return err
		}
	}
	return nil
}

// Figures are what a report says.
type Figures map[string]string

// Report writes the figures that a summary gives for the time at which a timer was due.
// Delivered twice it is written once, although the figures have moved on meanwhile.
func (a *App) Report(ctx context.Context, name string, at time.Time, of func(s ledger.Summary) Figures) error {
	s, err := a.Ledger.Summary(ctx)
	if err != nil {
		return fmt.Errorf("report %s: %w", name, err)
	}
	note := map[string]string{"name": name, "at": at.Format(time.RFC3339), "edition": Edition}
	maps.Copy(note, of(s))
	_, err = a.Ledger.Append(ctx, ledger.Entry{Request: "report:" + name + ":" + at.Format(time.RFC3339), Kind: ledger.Report, Note: note})
	if Other(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("report %s: %w", name, err)
	}
	return nil
}

// Count writes a number.
func Count[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// Fils writes an amount in dinars, which have a thousand fils.
func Fils(n int64) string { return fmt.Sprintf("%d.%03d KWD", n/1000, n%1000) }

// Counts writes a count for each name.
func Counts[K ~string](m map[K]int) Figures {
	f := Figures{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		f[string(k)] = strconv.Itoa(m[k])
	}
	return f
}
