package accessory

import "context"

// container is a program of an image, which the target runs: only what it is told
// is known here.
type container struct{}

func (container) Gentle() bool                             { return false } // by the signal that its image names
func (container) Make(Place) (*Command, error)             { return nil, nil }
func (container) URL(p Place, host string) string          { return p.url(host) }
func (container) Check(ctx context.Context, p Place) error { return connects(ctx, p) }
func (container) Serve(p Place) (Command, error)           { return Command{Env: p.variables()}, nil }
