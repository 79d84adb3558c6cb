package rollout

import "time"

// AccessorySpec is how a manifest describes a database or cache that an app needs
// beside its workloads. It is started and kept, and never shifted: no rollout moves it.
type AccessorySpec struct {
	Use     string            `json:"use,omitempty"`     // postgres or redis; empty: Run
	Run     string            `json:"run,omitempty"`     // a shell line that listens on $PORT
	Version string            `json:"version,omitempty"` // major version asked for; empty: what the machine has
	Port    int               `json:"port,omitempty"`    // fixed; 0: a free one, kept from then on
	Env     map[string]string `json:"env,omitempty"`
	Secret  string            `json:"secret"`          // the variable that its connection string is given in
	URL     string            `json:"url,omitempty"`   // of Run: the connection string, with $HOST, $PORT and $PASSWORD
	Every   time.Duration     `json:"every,omitempty"` // between backups; 0: none are made by themselves
	Keep    int               `json:"keep,omitempty"`  // backups; the newest stay
}

// AccessoryTask is something that a person asked to be done once with the data of an
// accessory.
type AccessoryTask struct {
	ID     int64             `json:"id"` // grows; the newest is what counts
	Kind   AccessoryTaskKind `json:"kind"`
	Backup string            `json:"backup,omitempty"` // of rehearse and restore; empty: the newest
	At     time.Time         `json:"at"`
	By     string            `json:"by"`
}

// AccessoryTaskKind says what is to be done.
type AccessoryTaskKind string

// The kinds of task.
const (
	TaskBackup   AccessoryTaskKind = "backup"   // write a backup down
	TaskRehearse AccessoryTaskKind = "rehearse" // restore a backup beside the data, compare, and throw it away
	TaskRestore  AccessoryTaskKind = "restore"  // put a backup in the place of the data, which is kept aside
)

// AccessoryRecord is an accessory of an environment as it is stored. Key.Workload is
// its name. It stays, and what it stands for runs, until a person removes it.
type AccessoryRecord struct {
	Key        Key            `json:"key"`
	Spec       AccessorySpec  `json:"spec"`
	Release    Release        `json:"release"`            // the newest release that named it
	Orphaned   Release        `json:"orphaned,omitempty"` // the release whose manifest names it no more (R28); 0: it is named
	Credential string         `json:"credential"`         // keyed HMAC of its password
	Task       *AccessoryTask `json:"task,omitempty"`     // the last one that was asked for
	Unused     bool           `json:"unused,omitempty"`   // its secret is set by hand, which wins
}
