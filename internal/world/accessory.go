package world

import (
	"fmt"
	"time"

	"titrate/internal/rollout"
)

// Accessory is a database or cache that should run: one instance, at a port that it
// keeps, with data of its own. What names it in [Fleet].Accessories starts when it
// is ready.
type Accessory struct {
	Key      rollout.Key            `json:"key"` // Workload is its name
	Spec     rollout.AccessorySpec  `json:"spec"`
	Password string                 `json:"password"`          // in the clear, as secrets of a fleet are
	Secrets  map[string]string      `json:"secrets,omitempty"` // of Spec.Secrets, in the clear
	Task     *rollout.AccessoryTask `json:"task,omitempty"`    // done once, by its ID
}

// AccessorySeen is an accessory as it is.
type AccessorySeen struct {
	Key      rollout.Key    `json:"key"`
	State    AccessoryState `json:"state"`
	Since    time.Time      `json:"since"`
	Why      string         `json:"why,omitempty"` // of a state that is not well, or what was asked for and not done
	PID      int            `json:"pid,omitempty"`
	Addr     string         `json:"addr,omitempty"` // host:port
	Restarts int            `json:"restarts,omitempty"`
	Served   bool           `json:"served,omitempty"`  // it was ready once
	Folder   string         `json:"folder"`            // with its data
	Backups  []Backup       `json:"backups,omitempty"` // oldest first
	Task     TaskSeen       `json:"task,omitzero"`     // how far the last one that was asked for has come
	// Unkept says why the last backup or rehearsal that was due could not be made.
	Unkept string `json:"unkept,omitempty"`
}

// Backup is a copy of an accessory's data.
type Backup struct {
	Name      string        `json:"name"` // when it was made: "20261127T030000Z"
	At        time.Time     `json:"at"`
	Took      time.Duration `json:"took"`
	Size      int64         `json:"size"` // bytes
	SHA256    string        `json:"sha256"`
	Version   string        `json:"version,omitempty"` // major, of what made it
	Tables    int           `json:"tables"`
	Rows      int64         `json:"rows"`               // of all tables, when it was made
	Passing   int64         `json:"passing,omitempty"`  // of Rows: keys that end by themselves
	Of        string        `json:"of,omitempty"`       // what was counted: [OfKeys]; empty: tables and their rows
	Rehearsed time.Time     `json:"rehearsed,omitzero"` // when it was last restored beside the data and compared
	Problem   string        `json:"problem,omitempty"`  // what was wrong with it then
	Checked   string        `json:"checked,omitempty"`  // of [OfDump]: what the check wrote before and after it, where that was the same
}

// OfDump says that nothing was counted: the backup is what a command wrote.
const OfDump = "dump"

// OfKeys says that the rows of a backup are keys, and its tables Redis' databases.
const OfKeys = "keys"

// Holds says what a backup held when it was made.
func (b Backup) Holds() string {
	if b.Of == OfDump {
		return fmt.Sprintf("a dump of %d bytes", b.Size)
	}
	return Holding(b.Of, b.Tables, b.Rows)
}

// Holding says what is in so many tables and rows of a kind.
func Holding(of string, tables int, rows int64) string {
	if of == OfKeys {
		return fmt.Sprintf("%d keys in %d databases", rows, tables)
	}
	return fmt.Sprintf("%d tables, %d rows", tables, rows)
}

// TaskSeen is how far a task has come.
type TaskSeen struct {
	ID    int64     `json:"id"`
	State TaskState `json:"state"`
	Why   string    `json:"why,omitempty"` // what came of it, or went wrong
	Since time.Time `json:"since"`
}

// TaskState says how far a task has come.
type TaskState string

// The states of a task, in life order.
const (
	TaskRunning TaskState = "running"
	TaskDone    TaskState = "done"
	TaskFailed  TaskState = "failed" // nothing has changed
)

// Over reports whether nothing more comes of the task.
func (s TaskState) Over() bool { return s == TaskDone || s == TaskFailed }

// AccessoryState says how far an accessory has come.
type AccessoryState string

// The states of an accessory, in life order.
const (
	AccessoryStarting AccessoryState = "starting" // its data is made, or it does not answer yet
	AccessoryReady    AccessoryState = "ready"    // it answers
	AccessoryUnready  AccessoryState = "unready"  // it did, and does not now
	AccessoryBackoff  AccessoryState = "backoff"  // it ended, or could not be started; will be started again
	AccessoryStopping AccessoryState = "stopping"
)
