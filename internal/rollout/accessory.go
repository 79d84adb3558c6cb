package rollout

import "time"

// AccessorySpec is how a manifest describes a database or cache that an app needs
// beside its workloads. It is started and kept, and never shifted: no rollout moves it.
type AccessorySpec struct {
	Use     string            `json:"use,omitempty"`     // postgres or redis; empty: Image or Run
	Run     string            `json:"run,omitempty"`     // a shell line that listens on $PORT; of an image: in place of its own
	Args    []string          `json:"args,omitempty"`    // of an image: in place of its command
	Version string            `json:"version,omitempty"` // major version asked for; empty: what the machine has
	Port    int               `json:"port,omitempty"`    // fixed; 0: a free one, kept from then on. Of an image: within, and the one outside is free
	Env     map[string]string `json:"env,omitempty"`     // $PASSWORD is filled in
	Secrets map[string]string `json:"secrets,omitempty"` // name → keyed HMAC of the value
	Image   string            `json:"image,omitempty"`   // as the manifest has it
	// Artifact is what Image was at the push: pinned, until a push names another and
	// a person restarts the accessory.
	Artifact *Artifact `json:"artifact,omitempty"`
	Volumes  Volumes   `json:"volumes,omitempty"` // of an image
	Health   string    `json:"health,omitempty"`  // path that answers 2xx; empty: it accepts connections

	Secret string        `json:"secret"`          // the variable that its connection string is given in
	URL    string        `json:"url,omitempty"`   // of Image and Run: the connection string, with $HOST, $PORT, $PASSWORD and its variables
	Every  time.Duration `json:"every,omitempty"` // between backups; without At 0: none are made by themselves
	At     string        `json:"at,omitempty"`    // "03:00": when one is made each day; empty: Every says it
	Keep   int           `json:"keep,omitempty"`  // backups; the newest stay
	// Commands copy the data of Image and Run; nil: it is not copied.
	Commands *BackupCommands `json:"commands,omitempty"`
}

// BackupCommands are shell lines that copy the data of an accessory that Titrate knows
// nothing of. They run beside it, with its programs and environment.
type BackupCommands struct {
	Dump    string `json:"dump"`              // writes the data to its standard output
	Restore string `json:"restore,omitempty"` // reads that, into an accessory that is new; empty: nothing is rehearsed or restored
	Check   string `json:"check,omitempty"`   // writes what must be the same after a restore; empty: nothing is compared
}

// Runs returns the part of the spec that its process is started with.
func (s AccessorySpec) Runs() AccessorySpec {
	s.Secret, s.URL, s.Every, s.At, s.Keep, s.Commands = "", "", 0, "", 0, nil
	if s.Artifact != nil {
		same := s.Artifact.Same()
		s.Image, s.Artifact = "", &same // whatever it is called
	}
	return s
}

// Scheduled reports whether backups are made by themselves.
func (s AccessorySpec) Scheduled() bool { return s.Every > 0 || s.At != "" }

// Due is when a backup is to be made that follows one of the time since.
func (s AccessorySpec) Due(since time.Time, zone *time.Location) time.Time {
	at, err := time.Parse("15:04", s.At)
	if s.At == "" || err != nil {
		return since.Add(s.Every)
	}
	local := since.In(zone)
	for day := local.Day(); ; day++ { // where the clock is put forward, an hour later
		if due := time.Date(local.Year(), local.Month(), day, at.Hour(), at.Minute(), 0, 0, zone); due.After(since) {
			return due
		}
	}
}

// Keeping returns the spec with what other says of backups and of the secret, which
// hold at once: its process does not see them.
func (s AccessorySpec) Keeping(other AccessorySpec) AccessorySpec {
	s.Secret, s.Every, s.At, s.Keep, s.Commands = other.Secret, other.Every, other.At, other.Keep, other.Commands
	return s
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
	TaskRestart  AccessoryTaskKind = "restart"  // end it and start it with the settings that were pushed last
)

// AccessoryRecord is an accessory of an environment as it is stored. Key.Workload is
// its name. It stays, and what it stands for runs, until a person removes it.
type AccessoryRecord struct {
	Key  Key           `json:"key"`
	Spec AccessorySpec `json:"spec"`
	// Next is what was pushed since and waits for a restart: data is not given to
	// another program by surprise. Nil: Spec is what was pushed.
	Next       *AccessorySpec `json:"next,omitempty"`
	Release    Release        `json:"release"`            // the newest release that named it
	Orphaned   Release        `json:"orphaned,omitempty"` // the release whose manifest names it no more (R28); 0: it is named
	Credential string         `json:"credential"`         // keyed HMAC of its password
	Task       *AccessoryTask `json:"task,omitempty"`     // the last one that was asked for
	Unused     bool           `json:"unused,omitempty"`   // its secret is set by hand, which wins
}

// Title says in a word or two what it is, for people: an image with its digest.
func (s AccessorySpec) Title() string {
	switch {
	case s.Use != "" && s.Version != "":
		return s.Use + " " + s.Version
	case s.Use != "":
		return s.Use
	case s.Image == "":
		return s.Run
	case s.Artifact == nil || s.Artifact.Image == nil:
		return s.Image
	}
	const shown = len("sha256:") + 12
	digest := s.Artifact.Image.Digest
	return s.Image + " (" + digest[:min(shown, len(digest))] + ")"
}
