package accessory

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// command is a program of the user's own choice.
type command struct{}

func (command) Gentle() bool                 { return false }
func (command) Make(Place) (*Command, error) { return nil, nil }

func (command) URL(p Place, host string) string {
	name, port, _ := net.SplitHostPort(host)
	return strings.NewReplacer("$HOST", name, "$PORT", port, "$PASSWORD", p.Password).Replace(p.Spec.URL)
}

// Serve runs the shell line in the data folder, which is kept.
func (command) Serve(p Place) (Command, error) {
	if err := os.MkdirAll(p.Data(), 0o700); err != nil {
		return Command{}, fmt.Errorf("make the data folder: %w", err)
	}
	c := Command{Dir: p.Data(), Argv: []string{"/bin/sh", "-c", p.Spec.Run}}
	for name, value := range p.Spec.Env {
		c.Env = append(c.Env, name+"="+value)
	}
	c.Env = append(c.Env, "PORT="+strconv.Itoa(p.Port), "PASSWORD="+p.Password)
	return c, nil
}

// Check connects.
func (command) Check(ctx context.Context, p Place) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.Addr())
	if err != nil {
		return err
	}
	return c.Close()
}
