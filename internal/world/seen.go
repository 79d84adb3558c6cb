package world

import (
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// Seen is what is, as one target observed it.
type Seen struct {
	Sequence  uint64                        `json:"sequence"` // grows with each change, and across restarts of the node
	Epoch     string                        `json:"epoch"`    // names the node's process
	Started   time.Time                     `json:"started"`
	Stamp     Stamp                         `json:"stamp"`  // of the world applied and persisted
	Served    Stamp                         `json:"served"` // of the routing table that every gateway loop has acknowledged
	Since     time.Time                     `json:"since"`  // when Served had been acknowledged
	Instances []Instance                    `json:"instances"`
	Fleets    []FleetSeen                   `json:"fleets"`
	Hooks     map[string]rollout.HookResult `json:"hooks,omitempty"`
	Idle      map[string]time.Time          `json:"idle,omitempty"`    // by rollout.Key.String(): since when all its versions measured 0 requests
	Sandbox   []string                      `json:"sandbox,omitempty"` // what confinement this machine cannot give, a sentence each
	DiskFull  bool                          `json:"disk_full,omitempty"`
	// Certificates are those of the hosts that want one; none without a TLS listener.
	Certificates []Certificate   `json:"certificates,omitempty"`
	Accessories  []AccessorySeen `json:"accessories,omitempty"`
	// Cuts are the attempts that have spent their damage budget (R26).
	Cuts []Damage `json:"cuts,omitempty"`
}

// Instance is one process of a version.
type Instance struct {
	ID       string          `json:"id"` // given as $TITRATE_INSTANCE: "orders-17-a"
	Key      rollout.Key     `json:"key"`
	Version  rollout.Version `json:"version"`
	State    InstanceState   `json:"state"`
	PID      int             `json:"pid,omitempty"`
	Addr     string          `json:"addr,omitempty"` // host:port
	Since    time.Time       `json:"since"`          // when State began
	Restarts int             `json:"restarts"`
	Last     string          `json:"last,omitempty"` // how the process before this one ended by itself: "exited with status 3 after 2s"
	Why      string          `json:"why,omitempty"`  // of a state that is not well: "GET :8080/healthz → connection refused ×14; the process listens on :3000"
}

// InstanceState says how far an instance has come.
type InstanceState string

// The states of an instance, in life order.
const (
	InstanceStarting InstanceState = "starting" // spawned, not yet ready
	InstanceReady    InstanceState = "ready"    // answers its health check: may be drawn
	InstanceUnready  InstanceState = "unready"  // was ready, fails its health check now
	InstanceBackoff  InstanceState = "backoff"  // exited; will be started again
	InstanceDraining InstanceState = "draining" // not drawn any more; finishes what it has
	InstanceGone     InstanceState = "gone"     // ended as asked
)

// FleetSeen is a version as a whole.
type FleetSeen struct {
	Key      rollout.Key     `json:"key"`
	Version  rollout.Version `json:"version"`
	Ready    int             `json:"ready"`
	Restarts int             `json:"restarts"`          // of all its instances ever: never un-counts
	Failure  string          `json:"failure,omitempty"` // an instance exited or could not be started before it was ready for the first time; with its last log lines
	Open     int             `json:"open"`              // requests and connections in the gateway
	Weight   rollout.Weight  `json:"weight"`            // in the table of Served
	// Of a function: its real invocations that have ended, ever (R11), and the most that
	// were at work at a time in the last five minutes, which is its N (R5).
	Invoked     uint64 `json:"invoked,omitempty"`
	Concurrency int    `json:"concurrency,omitempty"`
}

// VersionWindow is a closed window of one version. Cursors grow by the order in
// which windows closed, also across restarts of the node. A window a node could not count (it
// was down) is absent: unmeasured, not zero (R13).
type VersionWindow struct {
	Cursor  uint64          `json:"cursor"`
	Epoch   string          `json:"epoch"`
	Key     rollout.Key     `json:"key"`
	Version rollout.Version `json:"version"`
	analysis.Window
}
