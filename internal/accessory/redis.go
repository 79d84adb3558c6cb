package accessory

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"titrate/internal/durable"
)

type redis struct{}

func (redis) Gentle() bool                 { return false }
func (redis) Make(Place) (*Command, error) { return nil, nil }
func (redis) URL(p Place, host string) string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", p.Password), Host: host, Path: "/0"}
	return u.String()
}

// Serve writes its configuration to a file: a password among the arguments could be
// read by every user of the machine.
func (redis) Serve(p Place) (Command, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return Command{}, fmt.Errorf("Redis is not on this machine\n  help    apt install redis-server, or set the connection string of another: titrate secret set %s", p.Spec.Secret) //nolint:staticcheck // Redis is a name
	}
	if err := os.MkdirAll(p.Data(), 0o700); err != nil {
		return Command{}, fmt.Errorf("make the data folder: %w", err)
	}
	conf := filepath.Join(p.Dir, "redis.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %d\nprotected-mode yes\nrequirepass %s\ndir %q\nappendonly yes\ndaemonize no\nlogfile \"\"\n", p.Port, p.Password, p.Data())
	if err := durable.WriteFile(conf, []byte(text)); err != nil {
		return Command{}, fmt.Errorf("write its configuration: %w", err)
	}
	return Command{Dir: p.Data(), Argv: []string{program, conf}}, nil
}

// Check signs in and sends PING, in RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/
func (redis) Check(ctx context.Context, p Place) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	} else {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	}
	if _, err := fmt.Fprintf(c, "AUTH %s\r\nPING\r\n", p.Password); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	for _, want := range []string{"+OK", "+PONG"} {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if got := strings.TrimSpace(line); got != want {
			return fmt.Errorf("it answers %.100q", got)
		}
	}
	return nil
}
