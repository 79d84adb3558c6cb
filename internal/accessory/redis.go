package accessory

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"titrate/internal/durable"
)

type redis struct{}

func (redis) Gentle() bool                 { return false }
func (redis) Make(Place) (*Command, error) { return nil, nil }
func (redis) URL(p Place, host string) string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", p.Password), Host: host, Path: "/0"}
	return u.String()
}

func (redis) Serve(p Place) (Command, error) {
	return redisServer(p, "appendonly yes\nrepl-diskless-sync-delay 0\n")
}

// redisServer writes the configuration to a file: a password among the arguments could be
// read by every user of the machine.
func redisServer(p Place, settings string) (Command, error) {
	program, err := redisProgram(p, "redis-server")
	if err != nil {
		return Command{}, err
	}
	if err := os.MkdirAll(p.Data(), 0o700); err != nil {
		return Command{}, fmt.Errorf("make the data folder: %w", err)
	}
	conf := filepath.Join(p.Dir, "redis.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %d\nprotected-mode yes\nrequirepass %s\ndir %q\ndaemonize no\nlogfile \"\"\n%s", p.Port, p.Password, p.Data(), settings)
	if err := durable.WriteFile(conf, []byte(text)); err != nil {
		return Command{}, fmt.Errorf("write its configuration: %w", err)
	}
	return Command{Dir: p.Data(), Argv: []string{program, conf}}, nil
}

func redisProgram(p Place, name string) (string, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("Redis is not on this machine: there is no %s\n  help    apt install redis-server, or set the connection string of another: titrate secret set %s", name, p.Spec.Secret) //nolint:staticcheck // Redis is a name
	}
	return program, nil
}

// Check signs in and asks.
func (redis) Check(ctx context.Context, p Place) error {
	got, err := askRedis(ctx, p, "PING")
	if err == nil && got != "PONG" {
		return fmt.Errorf("it answers %.100q", got)
	}
	return err
}
