package local

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"titrate/internal/durable"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Backups of an accessory stand beside its files, where its own processes can neither
// see nor change them: NAME.dump and, written last, NAME.json that describes it.

const backupName = "20060102T150405Z"

func (h *held) backupDir() string { return filepath.Join(h.dir, "backups") }

func (h *held) backupFile(name string) string { return filepath.Join(h.backupDir(), name+".dump") }

// backups lists what there is, oldest first. A description that cannot be read is
// told of, and its backup left alone.
func (h *held) backups() []world.Backup {
	paths, _ := filepath.Glob(filepath.Join(h.backupDir(), "*.json")) // the pattern is right
	var all []world.Backup
	for _, path := range paths {
		var b world.Backup
		if there, err := load(path, &b); err != nil || !there {
			h.s.cfg.Log.Error("the description of a backup is damaged", append(h.attrs(), slog.String("file", path), slog.Any("error", err))...)
			continue
		}
		all = append(all, b)
	}
	// One of the future was made before the clock was set right: all others are newer.
	future := func(b world.Backup) int {
		if b.At.After(h.s.cfg.Now().Add(time.Minute)) {
			return 0
		}
		return 1
	}
	slices.SortFunc(all, func(a, b world.Backup) int {
		return cmp.Or(future(a)-future(b), strings.Compare(a.Name, b.Name))
	})
	return all
}

// keepBackup takes a dump into the store of backups under its name.
func (h *held) keepBackup(dump string, b world.Backup) (world.Backup, error) {
	if err := os.MkdirAll(h.backupDir(), 0o700); err != nil {
		return b, fmt.Errorf("keep a backup: %w", err)
	}
	f, err := os.Open(dump)
	if err != nil {
		return b, fmt.Errorf("keep a backup: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if b.Size, err = io.Copy(sum, f); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(dump, h.backupFile(b.Name))
	}
	if err != nil {
		return b, fmt.Errorf("keep a backup: %w", err)
	}
	b.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return b, h.describe(b)
}

// describe writes a backup's description, and syncs the folder with it.
func (h *held) describe(b world.Backup) error {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("describe a backup: %w", err)
	}
	return durable.WriteFile(strings.TrimSuffix(h.backupFile(b.Name), ".dump")+".json", text)
}

// intact reports what is wrong with the file of a backup.
func (h *held) intact(b world.Backup) error {
	f, err := os.Open(h.backupFile(b.Name))
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != b.SHA256 {
		return fmt.Errorf("%s has changed since it was made: its sha-256 is %.12s… and was %.12s…", h.backupFile(b.Name), got, b.SHA256)
	}
	return nil
}

// pruneBackups removes the oldest until keep are left, and dumps that were interrupted
// before they were described. The newest that a rehearsal found good is never removed.
func (h *held) pruneBackups(keep int) {
	all := h.backups()
	dumps, _ := filepath.Glob(h.backupFile("*")) // the pattern is right
	for _, dump := range dumps {
		if _, err := os.Stat(strings.TrimSuffix(dump, ".dump") + ".json"); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(dump) // tried again at the next backup
		}
	}
	good := ""
	for _, b := range all {
		if !b.Rehearsed.IsZero() && b.Problem == "" {
			good = b.Name
		}
	}
	for i := 0; i < len(all)-keep; i++ {
		if all[i].Name == good {
			continue
		}
		// The description goes first: what it does not describe is no backup.
		for _, path := range []string{strings.TrimSuffix(h.backupFile(all[i].Name), ".dump") + ".json", h.backupFile(all[i].Name)} {
			if err := os.Remove(path); err != nil {
				h.s.cfg.Log.Error("remove an old backup", append(h.attrs(), slog.Any("error", err))...)
			}
		}
	}
}

// newest returns the backup of that name, or the newest when there is none; ok is false
// when it is not there.
func newest(all []world.Backup, name string) (b world.Backup, ok bool) {
	if name == "" && len(all) > 0 {
		return all[len(all)-1], true
	}
	i := slices.IndexFunc(all, func(b world.Backup) bool { return b.Name == name })
	if i < 0 {
		return b, false
	}
	return all[i], true
}

// due returns when the next backup is to be made: the next time of the schedule after
// the newest, or after the data was made.
func (h *held) due(spec rollout.AccessorySpec) time.Time {
	since := h.made()
	if b, ok := newest(h.backups(), ""); ok {
		since = b.At
	}
	if since.After(h.s.cfg.Now().Add(time.Minute)) { // by a clock that was wrong: nobody knows when
		return time.Time{}
	}
	return spec.Due(since, time.Local)
}

// made is when the data was made: at the first start, which leaves a file of that time.
func (h *held) made() time.Time {
	for _, path := range []string{filepath.Join(h.files(), "data", "PG_VERSION"), filepath.Join(h.dir, madeFile)} {
		if st, err := os.Stat(path); err == nil {
			return st.ModTime()
		}
	}
	return h.s.cfg.Now()
}

const madeFile = "made"

// markMade leaves the file that tells when the data was made.
func (h *held) markMade() error {
	f, err := os.OpenFile(filepath.Join(h.dir, madeFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note when its data was made: %w", err)
	}
	return f.Close()
}
