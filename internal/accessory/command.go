package accessory

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
)

// command is a program of the user's own choice.
type command struct{}

func (command) Gentle() bool                             { return false }
func (command) Make(Place) (*Command, error)             { return nil, nil }
func (command) URL(p Place, host string) string          { return p.url(host) }
func (command) Check(ctx context.Context, p Place) error { return connects(ctx, p) }

// Serve runs the shell line in the data folder, which is kept.
func (command) Serve(p Place) (Command, error) {
	if err := os.MkdirAll(p.Data(), 0o700); err != nil {
		return Command{}, fmt.Errorf("make the data folder: %w", err)
	}
	return Command{Dir: p.Data(), Argv: []string{"/bin/sh", "-c", p.Spec.Run}, Env: append(p.variables(), "PORT="+strconv.Itoa(p.Port))}, nil
}

// connects asks whether it accepts connections.
func connects(ctx context.Context, p Place) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.Addr())
	if err != nil {
		return err
	}
	return c.Close()
}
