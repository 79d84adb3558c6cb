package service

import (
	"cmp"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// Config is all that a service takes from its environment; nothing else reads it.
type Config struct {
	Address  string // host:port to listen on; empty for a worker
	Database string // DATABASE_URL
	Version  string
	Instance string
	Getenv   func(string) string
}

// Environment reads the configuration of the service with this name.
func Environment(name string, getenv func(string) string) Config {
	c := Config{
		Database: getenv("DATABASE_URL"),
		Version:  cmp.Or(getenv("TITRATE_VERSION"), "dev"),
		Instance: cmp.Or(getenv("TITRATE_INSTANCE"), name),
		Getenv:   getenv,
	}
	if port := getenv("PORT"); port != "" {
		c.Address = net.JoinHostPort(cmp.Or(getenv("HOST"), "127.0.0.1"), port)
	}
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(cmp.Or(getenv("TITRATE_STATE"), filepath.Join("data", name)), "cofe.db")
	}
	return c
}

// URL returns the address of another service, without a slash at its end.
func (c Config) URL(name string) (string, error) {
	key := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	address := cmp.Or(c.Getenv("TITRATE_URL_"+key), c.Getenv(key+"_URL"))
	if address == "" {
		return "", fmt.Errorf("the address of %s is not set: TITRATE_URL_%s or %s_URL", name, key, key)
	}
	return strings.TrimRight(address, "/"), nil
}
