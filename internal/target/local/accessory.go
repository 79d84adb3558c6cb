package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// accessoryRecord is what is known of an accessory on the disk, beside its data. It is
// there, with its token, before a process is.
type accessoryRecord struct {
	Key      rollout.Key           `json:"key"`
	Token    string                `json:"token"`
	Admin    string                `json:"admin"`            // the password of its administrator, which no app has
	Port     int                   `json:"port"`             // kept: what uses it was given it
	Making   bool                  `json:"making,omitempty"` // PID makes the data, and does not serve it
	PID      int                   `json:"pid,omitempty"`
	Start    uint64                `json:"start,omitempty"`
	Boot     string                `json:"boot"`
	State    world.AccessoryState  `json:"state"`
	Since    time.Time             `json:"since"`
	Restarts int                   `json:"restarts,omitempty"`
	Served   bool                  `json:"served,omitempty"` // it was ready once: what it holds counts
	Task     world.TaskSeen        `json:"task,omitzero"`
	Spec     rollout.AccessorySpec `json:"spec"` // as it was started, to be asked and ended before a world is known
}

// held is an accessory of this machine, from the wish for it until it has ended. Its
// data outlives it.
type held struct {
	s    *Supervisor
	key  rollout.Key
	dir  string
	stop chan struct{} // closed when it is to end
	// again asks for an end and another start.
	again chan struct{}

	// Of live alone.
	proc  *process
	out   *outputs
	fails int

	redact *redactor

	// Guarded by Supervisor.mu.
	want world.Accessory
	told bool // want is of an applied world
	rec  accessoryRecord
	why  string
	kept []world.Backup
	// unkept says why a backup that was due could not be made.
	unkept string
	tries  int // starts, also those that failed
	// betweens is done once before the next start, when nothing serves.
	betweens func()
	begun    bool
	ended    bool
}

func (s *Supervisor) accessoryDir(k rollout.Key) string {
	return filepath.Join(s.cfg.Data, "accessories", k.App, k.Env, k.Workload)
}

func (s *Supervisor) newHeld(k rollout.Key) *held {
	return &held{
		s: s, key: k, dir: s.accessoryDir(k), stop: make(chan struct{}), again: make(chan struct{}, 1), redact: newRedactor(nil),
		rec: accessoryRecord{Key: k, Token: rand.Text(), Admin: rand.Text(), Boot: s.boot, State: world.AccessoryStarting, Since: s.cfg.Now()},
	}
}

func (h *held) file() string { return filepath.Join(h.dir, "accessory.json") }

// files is the folder that the accessory's own processes can see and write.
func (h *held) files() string { return filepath.Join(h.dir, "files") }

// settleAccessories makes those that are held agree with the wanted world. While all
// is stopped they go last: what drains needs them. The caller holds mu.
func (s *Supervisor) settleAccessories() {
	for _, f := range s.fleets {
		if s.stopping && len(f.instances) > 0 {
			return
		}
	}
	want := map[rollout.Key]bool{}
	for _, a := range s.wanted.Accessories {
		want[a.Key] = true
		h := s.accessories[a.Key]
		if h == nil || h.ended {
			h = s.newHeld(a.Key)
			if _, err := load(h.file(), &h.rec); err != nil {
				// Its port and the administrator's password stand there: a new one would
				// not open the data.
				h.why = "its record cannot be read: " + err.Error()
				s.cfg.Log.Error("read the record of an accessory", slog.Any("error", err))
			}
			h.rec.PID, h.rec.Start = 0, 0 // what lived has been taken back
			s.accessories[a.Key] = h
		}
		h.want, h.told = a, true
		h.redact.add(map[string]string{"password": a.Password, "admin": h.rec.Admin})
		h.redact.add(a.Secrets)
		// One that never came up holds nothing that could be lost: it takes what might mend it.
		runs := h.rec.PID != 0 || h.rec.State == world.AccessoryBackoff
		if runs && !h.rec.served() && !reflect.DeepEqual(h.rec.Spec.Runs(), a.Spec.Runs()) {
			h.anew()
		}
	}
	for k, h := range s.accessories {
		if !want[k] && !closed(h.stop) {
			close(h.stop)
		}
		if h.ended {
			delete(s.accessories, k)
		}
	}
}

// served reports whether it was ready once.
func (r accessoryRecord) served() bool {
	return r.Served || r.State == world.AccessoryReady || r.State == world.AccessoryUnready
}

// anew asks for an end and another start.
func (h *held) anew() {
	select {
	case h.again <- struct{}{}:
	default: // it is asked for already
	}
}

// beginAccessories begins the lives that have not begun. The caller holds mu.
func (s *Supervisor) beginAccessories(ctx context.Context) {
	for _, h := range s.accessories {
		if !h.begun {
			h.begun = true
			s.wg.Go(func() { h.live(ctx) })
		}
	}
}

// adoptAccessories takes back those whose process lives. The others are started again
// once a world is applied.
func (s *Supervisor) adoptAccessories(ctx context.Context, sp *spawned) error {
	paths, err := glob(filepath.Join(s.cfg.Data, "accessories"), "*/*/*/accessory.json")
	if err != nil {
		return err
	}
	for _, path := range paths {
		var rec accessoryRecord
		if _, err := load(path, &rec); err != nil || rec.Token == "" {
			s.cfg.Log.Error("the record of an accessory is damaged", slog.String("file", path), slog.Any("error", err))
			continue
		}
		proc := s.find(rec.Boot, rec.PID, rec.Start, rec.Token, sp)
		s.mu.Lock()
		s.taken[rec.Port] = true
		s.mu.Unlock()
		if proc == nil {
			continue
		}
		if rec.Making {
			family{token: rec.Token, pid: proc.pid, start: proc.start}.end(ctx, 0, s.hurry)
			proc.letGo()
			continue
		}
		h := s.newHeld(rec.Key)
		h.rec, h.proc, h.begun = rec, proc, true
		h.rec.PID, h.rec.Start = proc.pid, proc.start
		h.want = world.Accessory{Key: rec.Key, Spec: rec.Spec}
		h.redact.add(map[string]string{"admin": rec.Admin})
		s.wg.Go(proc.watch)
		if err := h.openOutputs(); err != nil {
			s.cfg.Log.Error("read what an accessory writes", append(h.attrs(), slog.Any("error", err))...)
		}
		s.mu.Lock()
		s.accessories[rec.Key] = h
		s.mu.Unlock()
		s.cfg.Log.Info("an accessory was taken back", append(h.attrs(), slog.Int("pid", proc.pid))...)
		s.wg.Go(func() { h.live(ctx) })
	}
	return nil
}

// place is where the accessory runs. The caller holds mu.
func (h *held) place() accessory.Place {
	return accessory.Place{
		Spec: h.want.Spec, App: h.key.App, Dir: h.files(), Port: h.rec.Port, Password: h.want.Password, Admin: h.rec.Admin, Secrets: h.want.Secrets,
	}
}

// connections returns, by variable, the connection strings of the accessories that a
// version of workload k is given, and which of them is not ready and why.
func (s *Supervisor) connections(k rollout.Key, names map[string]string) (urls map[string]string, waits string) {
	urls = map[string]string{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, variable := range slices.Sorted(maps.Keys(names)) {
		name := names[variable]
		h := s.accessories[rollout.Key{App: k.App, Env: k.Env, Workload: name}]
		if h == nil || !h.told || h.rec.Port == 0 {
			waits = "waits for the accessory " + name + ", which has not been started"
			continue
		}
		if h.rec.State != world.AccessoryReady {
			waits = strings.TrimSuffix(fmt.Sprintf("waits for the accessory %s, which is %s: %s", name, h.rec.State, h.why), ": ")
		}
		kind, err := accessory.Of(h.want.Spec)
		if err != nil {
			waits = "waits for the accessory " + name + ": " + err.Error()
			continue
		}
		p := h.place()
		urls[variable] = kind.URL(p, p.Addr())
	}
	return urls, waits
}

// lateAnyway is how long an instance that served before waits for an accessory: then
// it starts all the same, because it may serve without.
const lateAnyway = 10 * time.Second

// awaitConnections waits until the accessories that names are ready. It returns why
// they are not when patience is over, and "" otherwise.
func (s *Supervisor) awaitConnections(ctx context.Context, stop <-chan struct{}, k rollout.Key, names map[string]string, patience time.Duration, tell func(string)) string {
	if len(names) == 0 {
		return ""
	}
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		_, waits := s.connections(k, names)
		tell(waits)
		if waits == "" {
			return ""
		}
		select {
		case <-ctx.Done():
			return ""
		case <-stop:
			return ""
		case <-over.C:
			return waits
		case <-changed:
		}
	}
}

// seen tells of the accessory. The caller holds mu.
func (h *held) seen() world.AccessorySeen {
	a := world.AccessorySeen{Key: h.key, State: h.rec.State, Since: h.rec.Since, Why: h.why, PID: h.rec.PID, Restarts: h.rec.Restarts, Served: h.rec.served(), Folder: h.dir, Backups: h.kept, Task: h.rec.Task, Unkept: h.unkept}
	if h.rec.Port != 0 {
		a.Addr = accessory.Place{Port: h.rec.Port}.Addr()
	}
	return a
}

func (h *held) attrs() []any {
	return []any{slog.String("app", h.key.App), slog.String("env", h.key.Env), slog.String("accessory", h.key.Workload)}
}
