// Package accessory knows databases and caches: how the data of one is made, how it is
// started and asked whether it is well, and what its connection string is. It starts
// nothing itself.
package accessory

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"titrate/internal/rollout"
)

// Place is where an accessory runs, and as what.
type Place struct {
	Spec     rollout.AccessorySpec
	App      string            // names its database and user
	Dir      string            // its own folder, absolute; the data stands in "data" below it
	Port     int               // on 127.0.0.1
	Password string            // that the app is given
	Admin    string            // of the database's administrator: no app has it
	Secrets  map[string]string // that the manifest gives it
}

// Data is the folder of the data.
func (p Place) Data() string { return filepath.Join(p.Dir, "data") }

// Making is the folder in which data is made, before it is the data.
func (p Place) Making() string { return filepath.Join(p.Dir, "making") }

// Addr is where it listens.
func (p Place) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)) }

// Port is the port that an accessory of the spec is usually at, by which others know
// it; 0: there is none.
func Port(s rollout.AccessorySpec) int {
	switch {
	case s.Use == "postgres":
		return 5432
	case s.Use == "redis":
		return 6379
	case s.Image != "" && s.Artifact != nil:
		return rollout.OwnPort(s.Port, s.Artifact.Image)
	default:
		return s.Port
	}
}

// Command is a program to be started in Dir.
type Command struct {
	Argv []string
	Env  []string // beside PATH, LANG, HOME and TMPDIR
	Dir  string
}

// Kind is one kind of accessory.
type Kind interface {
	// Make returns the command that makes the data in Place.Making, where there is none
	// in Place.Data; nil when there is nothing to run for it. It refuses data that its
	// programs could not open, and says what to type.
	Make(p Place) (*Command, error)
	// Serve returns the command that serves the data. Of an image it is the environment
	// alone.
	Serve(p Place) (Command, error)
	// Check asks the accessory whether it is well, and sees to it that the app's user and
	// database are there. It is safe to call again.
	Check(ctx context.Context, p Place) error
	// URL is the connection string for a program that reaches it at host.
	URL(p Place, host string) string
	// Gentle reports whether SIGINT, not SIGTERM, ends it without waiting for its clients.
	Gentle() bool
}

// Of returns the kind that a spec asks for.
func Of(s rollout.AccessorySpec) (Kind, error) {
	switch {
	case s.Use == "postgres":
		return postgres{}, nil
	case s.Use == "redis":
		return redis{}, nil
	case s.Image != "":
		return container{}, nil
	case s.Run != "":
		return command{}, nil
	}
	return nil, fmt.Errorf("this titrate does not know the accessory %q", s.Use)
}
