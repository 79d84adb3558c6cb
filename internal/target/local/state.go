package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"titrate/internal/cgroup"
	"titrate/internal/durable"
	"titrate/internal/rollout"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// The supervisor's folder:
//
//	workloads/APP/ENV/WORKLOAD/state/     kept for ever: the workload's own data
//	workloads/APP/ENV/WORKLOAD/v17.fleet  fleetRecord
//	workloads/APP/ENV/WORKLOAD/ID.run     instanceRecord
//	workloads/APP/ENV/WORKLOAD/ID/        its FIFOs and its folder for temporary files
//	workloads/APP/ENV/WORKLOAD/calls.past when a function was called: keepalive.History
//	functions/BROOD/APP/ENV/ID/           the same of an environment of a function
//	functions.json                        brood
//	clients/                              the runtimes' clients, see runtimes.Write
//	hooks/SHA.json, hooks/SHA/            hookRecord, and the same of a hook
type layout struct{ root string }

func (l layout) workloads() string { return filepath.Join(l.root, "workloads") }
func (l layout) workload(k rollout.Key) string {
	return filepath.Join(l.workloads(), k.App, k.Env, k.Workload)
}
func (l layout) state(k rollout.Key) string { return filepath.Join(l.workload(k), "state") }
func (l layout) hooks() string              { return filepath.Join(l.root, "hooks") }
func (l layout) fleet(id fleetID) string {
	return filepath.Join(l.workload(id.key), id.version.String()+".fleet")
}

func (l layout) functions() string         { return filepath.Join(l.root, "functions") }
func (l layout) brood() string             { return filepath.Join(l.root, "functions.json") }
func (l layout) past(k rollout.Key) string { return filepath.Join(l.workload(k), "calls.past") }

func (l layout) instance(k rollout.Key, id string) string {
	return filepath.Join(l.workload(k), id+".run")
}

// runDir is the folder that an instance has while it lives.
func (l layout) runDir(k rollout.Key, id string) string { return filepath.Join(l.workload(k), id) }

// instanceRecord is what is known of an instance on the disk. It is there, with
// id and token, before the process is.
type instanceRecord struct {
	ID       string              `json:"id"`
	Token    string              `json:"token"` // names its processes; see tokenVar
	Key      rollout.Key         `json:"key"`
	Version  rollout.Version     `json:"version"`
	Index    int                 `json:"index"` // 0: "a"
	PID      int                 `json:"pid,omitempty"`
	Start    uint64              `json:"start,omitempty"` // field 22 of /proc/PID/stat
	Boot     string              `json:"boot"`
	Spawned  time.Time           `json:"spawned,omitzero"`
	Port     int                 `json:"port,omitempty"` // given as $PORT
	Addr     string              `json:"addr,omitempty"` // where it answers in fact
	State    world.InstanceState `json:"state"`
	Since    time.Time           `json:"since"`
	WasReady bool                `json:"was_ready,omitempty"` // at least once
	Restarts int                 `json:"restarts,omitempty"`
	Last     string              `json:"last,omitempty"` // how the process before this one ended by itself
	// Fleet without the values of its environment and secrets: how to check, drain
	// and stop a process whose wanted world has not been told again yet.
	Fleet   world.Fleet `json:"fleet"`
	Secrets []string    `json:"secrets,omitempty"` // names
	// Group keeps its limits; nil: nothing is limited, or this machine has none.
	Group cgroup.Group `json:"group,omitempty"`
	Over  bool         `json:"over,omitempty"` // its process was killed by us, for its memory
}

// fleetRecord is what outlives the instances of a version.
type fleetRecord struct {
	Key      rollout.Key     `json:"key"`
	Version  rollout.Version `json:"version"`
	Restarts int             `json:"restarts"`
	Failure  string          `json:"failure,omitempty"`
	Rollout  int64           `json:"rollout,omitempty"` // with Attempt: under which Failure happened; another one clears it (R7)
	Attempt  int             `json:"attempt,omitempty"`
	Unwanted time.Time       `json:"unwanted,omitzero"` // since when nobody wants it
	Shown    int             `json:"shown,omitempty"`   // of a function: how many instances have been shown able to start; 0: its probe has not been answered either
	Invoked  uint64          `json:"invoked,omitempty"` // of a function: real invocations that have ended, ever (R11)
}

// glob returns the paths under root that match pattern; root itself is none.
func glob(root, pattern string) ([]string, error) {
	names, err := fs.Glob(os.DirFS(root), pattern)
	for i, name := range names {
		names[i] = filepath.Join(root, name)
	}
	return names, err
}

func store(path string, record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	return durable.WriteFile(path, b)
}

// load reads a record; ok is false when there is none. A file that cannot be
// read as one is an error: what it stood for may still run.
func load(path string, record any) (ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, record)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}

// bootOf names this run of the machine together with the supervisor's folder.
// Process numbers of another run mean nothing, and those in a copy of the folder
// are of processes that belong to the original.
func bootOf(dir string) (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("name this run of the machine: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return "", fmt.Errorf("look at %s: %w", dir, err)
	}
	return fmt.Sprintf("%s-%x-%x", strings.TrimSpace(string(b)), st.Dev, st.Ino), nil
}

// instanceID returns "orders-v17-a"; after z comes aa.
func instanceID(k rollout.Key, v rollout.Version, index int) string {
	letters := ""
	for i := index; i >= 0; i = i/26 - 1 {
		letters = string(rune('a'+i%26)) + letters
	}
	return k.Workload + "-" + v.String() + "-" + letters
}

var (
	safeName   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	safeDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// check refuses a wanted world whose names cannot be names of files.
func check(w world.Wanted) error {
	for _, wl := range w.Workloads {
		if err := checkKey(wl.Key); err != nil {
			return err
		}
		for _, f := range wl.Fleets {
			if err := checkFleet(wl.Key, f); err != nil {
				return err
			}
		}
	}
	for _, a := range w.Accessories {
		if err := checkKey(a.Key); err != nil {
			return err
		}
		if err := checkAccessory(a); err != nil {
			return err
		}
	}
	for _, h := range w.Hooks {
		if err := checkKey(h.Workload); err != nil {
			return err
		}
		if err := checkFleet(h.Workload, h.Fleet); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(k rollout.Key) error {
	for _, name := range []string{k.App, k.Env, k.Workload} {
		if !safeName.MatchString(name) {
			return fmt.Errorf("%q of %s cannot name a folder", name, k)
		}
	}
	return nil
}

func checkFleet(k rollout.Key, f world.Fleet) error {
	if f.Version < 1 || f.Count < 0 {
		return fmt.Errorf("%s %s: version or count is negative", k, f.Version)
	}
	if err := checkArtifact(f.Artifact, f.Image); err != nil {
		return fmt.Errorf("%s %s: %w", k, f.Version, err)
	}
	return nil
}

func checkArtifact(digest string, img *world.Image) error {
	if !safeDigest.MatchString(digest) {
		return fmt.Errorf("%q is not a sha-256 in hex", digest)
	}
	if img != nil && !img.Engine && img.Digest != "sha256:"+digest {
		return fmt.Errorf("the image %q is not the artifact %s", img.Digest, digest)
	}
	return nil
}

func checkAccessory(a world.Accessory) error {
	if a.Spec.Image == "" {
		return nil
	}
	if a.Spec.Artifact == nil || a.Spec.Artifact.Image == nil {
		return fmt.Errorf("%s: the image %q was not looked up", a.Key, a.Spec.Image)
	}
	for name := range a.Spec.Volumes {
		if !safeName.MatchString(name) {
			return fmt.Errorf("%s: %q cannot name a folder", a.Key, name)
		}
	}
	if err := checkArtifact(a.Spec.Artifact.Digest, a.Spec.Artifact.Image); err != nil {
		return fmt.Errorf("%s: %w", a.Key, err)
	}
	return nil
}
