// Package doctor looks at a data folder and at the machine around it, and says what
// is wrong, where, why it matters and what to type next. It changes nothing, needs no
// server, and asks one that is up.
package doctor

import (
	"context"
	"time"
)

// Level is how a finding is meant.
type Level string

// The levels, from good to bad.
const (
	OK    Level = "ok"    // looked at, and as it should be
	Info  Level = "info"  // something that this machine has or has not; nothing is wrong
	Warn  Level = "warn"  // it works, and will not for ever
	Fault Level = "fault" // it does not work
)

// Finding is what one look has found.
type Finding struct {
	Check string `json:"check"`           // what was looked at: one word, which stays the same
	Level Level  `json:"level"`           //
	What  string `json:"what"`            // in one sentence
	Where string `json:"where,omitempty"` // the file, address or process
	Why   string `json:"why,omitempty"`   // what follows from it
	Help  string `json:"help,omitempty"`  // what to type next
}

// Config says what to look at.
type Config struct {
	Dir          string // the data folder
	API, Gateway string // addresses where nothing is up
	Env          []string
	Now          func() time.Time
	Kept         func() bool // whether something keeps this machine's clock right; nil: the kernel is asked
}

// Report is everything that was found.
type Report struct {
	Data     string    `json:"data"`
	Version  string    `json:"version"` // of this program
	Healthy  bool      `json:"healthy"` // there is no fault
	Findings []Finding `json:"findings"`
}

// Examine looks at everything. It does not fail: what cannot be looked at is a
// finding.
func Examine(ctx context.Context, cfg Config, version string) Report {
	p := &patient{Config: cfg, version: version}
	if p.Kept == nil {
		p.Kept = kernelKeeps
	}
	for _, look := range []func(context.Context){
		p.folder, p.secrets, p.space, p.format, p.database, p.processes, p.addresses, p.clock, p.certificates, p.backups, p.disk,
		p.git, p.confinement, p.engine,
	} {
		look(ctx)
	}
	r := Report{Data: cfg.Dir, Version: version, Healthy: true, Findings: p.found}
	for _, f := range p.found {
		r.Healthy = r.Healthy && f.Level != Fault
	}
	return r
}

// patient is what is looked at, and what was found so far.
type patient struct {
	Config
	version string
	found   []Finding
	gone    bool // there is no data folder
}

func (p *patient) note(f Finding) { p.found = append(p.found, f) }
