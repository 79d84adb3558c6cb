package dev

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/internal/gateway"
	"titrate/internal/manifest"
	"titrate/internal/pipeline"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// work is a service with what runs of it.
type work struct {
	edited, saved slot // as it stands in the folder; as it was committed, with --split
	alarms        alarms
}

// slot is one place for a version, and the one that is to take it once it is ready.
type slot struct {
	now, next *version
	refused   string // print of the last one that did not come up: not tried again as it is
}

// newest is what has the place, or is to have it.
func (s *slot) newest() *version {
	if s.next != nil {
		return s.next
	}
	return s.now
}

// version is one build of a service with its settings.
type version struct {
	number  rollout.Version
	print   string // the same for the same build and settings
	service manifest.Service
	fleet   world.Fleet
	route   world.Workload // hosts and routes
	at      time.Time      // of the save that led to it
	since   time.Time      // when it had its place
	waits   rollout.Version
}

// reload builds what stands in a repository where something was saved, and lets what
// differs take its place. What is wrong is said, and what runs goes on. The other
// repositories are built where what the manifest asks of them is new.
func (d *dev) reload(ctx context.Context, saved *repo, at time.Time) {
	if saved.own() && !d.reread(ctx) {
		return
	}
	for _, r := range d.here() {
		if r != saved && r.base == d.base && reflect.DeepEqual(r.asked, d.saved) {
			continue
		}
		if err := d.rebuild(ctx, r, at); err != nil {
			d.say.fault(err)
			if r.own() {
				return
			}
		}
	}
}

// reread takes in the manifest, and begins to watch the repositories that are new in it.
func (d *dev) reread(ctx context.Context) bool {
	a, err := d.read(d.Root)
	if err != nil {
		d.say.fault(err)
		return false
	}
	if a.name != d.saved.name {
		d.say.line("✖ the app is called %s now: end titrate dev and start it again", a.name)
		return false
	}
	d.saved = a
	for name := range d.works {
		if !slices.Contains(names(a.services), name) {
			delete(d.works, name)
			d.say.line("↓ %s is in the manifest no more", name)
		}
	}
	d.further()
	for _, r := range d.here() {
		if err := d.watch(ctx, r); err != nil {
			d.say.fault(err)
		}
	}
	return true
}

// rebuild builds one repository.
func (d *dev) rebuild(ctx context.Context, r *repo, at time.Time) error {
	if d.Split > 0 {
		if err := d.committed(ctx, r, at); err != nil {
			return err
		}
	}
	d.build(ctx, d.saved, r, r.dir, at, func(w *work) *slot { return &w.edited })
	r.asked = d.saved
	d.apply()
	return nil
}

// build gives each service of a repository whose build or settings are new a version
// to come.
func (d *dev) build(ctx context.Context, a *app, r *repo, root string, at time.Time, in func(*work) *slot) {
	job := pipeline.Job{App: a.name, Label: env, Source: root, Progress: &progress{d.say}, Logins: map[string]pipeline.Login{}}
	for host, r := range a.logins {
		if password, ok := d.value(a, r.Password); ok { // without it the registry may still answer, or says no
			job.Logins[host] = pipeline.Login{Username: r.Username, Password: password}
		}
	}
	var services []manifest.Service
	for _, s := range a.services {
		if s.Repo == r.name && d.wanted(s.Name) {
			services = append(services, s)
			w := pipeline.Workload{Name: s.Name, Build: s.Build, Image: s.Image, Run: s.Run}
			if f := s.Function; f != nil {
				w.Function = &pipeline.FunctionBuild{Runtime: f.Run.Runtime, Handler: f.Run.Handler, Layers: f.Layers}
			}
			job.Workloads = append(job.Workloads, w)
		}
	}
	if len(services) == 0 {
		return
	}
	results, err := d.builder.Build(ctx, job)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		d.say.fault(err)
	}
	for i, r := range results {
		if r.Err != nil {
			continue
		}
		v, err := d.version(a, services[i], r.Artifact, at)
		if err != nil {
			d.say.fault(err)
			continue
		}
		w := d.works[v.service.Name]
		if w == nil {
			w = &work{}
			d.works[v.service.Name] = w
		}
		d.offer(w, in(w), v)
	}
}

// version is what a build and its settings make together. It has no number yet.
func (d *dev) version(a *app, s manifest.Service, built pipeline.Artifact, at time.Time) (*version, error) {
	secrets, err := d.secrets(a, s)
	if err != nil {
		return nil, err
	}
	vars := map[string]string{}
	for name, value := range s.Env {
		vars[name] = value
	}
	for name, value := range a.vars {
		if _, secret := secrets[name]; !secret {
			vars[name] = value
		}
	}
	v := &version{service: s, at: at}
	v.fleet = world.Fleet{
		Count: 1, Artifact: built.Digest, Command: built.Command, Image: built.Image, Env: vars, Secrets: secrets, Port: s.Port, Health: s.Health, Worker: s.Worker,
		StartTimeout: s.StartTimeout, Drain: drain, Addresses: s.Addresses,
		Limits: s.Limits, ReadOnly: s.ReadOnly,
	}
	for _, o := range a.services {
		if o.Name != s.Name && !o.Worker && d.wanted(o.Name) {
			v.fleet.Uses = append(v.fleet.Uses, o.Name)
		}
	}
	v.route = world.Workload{Key: d.key(s.Name), Worker: s.Worker}
	if !s.Worker {
		v.route.Ports = []int{rollout.OwnPort(s.Port, built.Image)}
	}
	if s.Host != "" {
		v.route.Hosts = a.hosts(s)
	}
	v.route.Paths = s.Routes
	if s.Route != "" {
		v.route.Routes = []string{s.Route}
	}
	if f := s.Function; f != nil {
		run := f.Run
		run.Runtime, run.Handler = cmp.Or(run.Runtime, built.Runtime), cmp.Or(run.Handler, built.Handler)
		v.fleet.Function, v.fleet.Scale, v.route.Triggers, v.route.Ports = &run, f.Scale, &f.Triggers, nil
	}
	text, err := json.Marshal(struct {
		Fleet world.Fleet
		Route world.Workload
	}{v.fleet, v.route})
	if err != nil {
		return nil, fmt.Errorf("compare versions: %w", err)
	}
	sum := sha256.Sum256(text)
	v.print = hex.EncodeToString(sum[:])
	return v, nil
}

// offer lets a version come, unless it is there already.
func (d *dev) offer(w *work, s *slot, v *version) {
	if s == &w.edited {
		w.alarms.of(v.service.Alarms, w)
	}
	if n := s.newest(); n != nil && n.print == v.print || s.refused == v.print {
		return
	}
	if d.Split > 0 && len(d.Faults) == 0 { // there is no edited one beside the committed one that is like it
		switch n := w.saved.newest(); {
		case s == &w.saved && w.edited.now != nil && w.edited.now.print == v.print:
			w.saved, w.edited = w.edited, slot{}
			return
		case s == &w.edited && n != nil && n.print == v.print:
			w.edited = slot{}
			return
		}
	}
	s.refused = ""
	d.count++
	if err := keepVersion(d.Dir, d.count); err != nil {
		d.say.fault(err)
	}
	v.number, v.fleet.Version = d.count, d.count
	if s == &w.edited && len(d.Faults) > 0 {
		d.mu.Lock()
		d.faulty[versionOf{v.service.Name, v.number}] = true
		d.mu.Unlock()
	}
	s.next = v
	if v.service.Port != 0 && s.now != nil { // only one process can listen there
		v.waits, s.now = s.now.number, nil
	}
}

// settle takes in how the processes are.
func (d *dev) settle() {
	seen, _ := d.supervisor.Seen()
	changed := false
	for name, w := range d.works {
		for _, s := range []*slot{&w.edited, &w.saved} {
			if s.next == nil {
				continue
			}
			alive := func(v rollout.Version) bool {
				return slices.ContainsFunc(seen.Instances, func(i world.Instance) bool {
					return i.Key == d.key(name) && i.Version == v && i.State != world.InstanceGone
				})
			}
			if s.next.waits != 0 {
				if !alive(s.next.waits) {
					s.next.waits, changed = 0, true
				}
				continue
			}
			i := slices.IndexFunc(seen.Fleets, func(f world.FleetSeen) bool { return f.Key == d.key(name) && f.Version == s.next.number })
			switch {
			case i < 0:
			case seen.Fleets[i].Ready > 0:
				s.next.since = time.Now()
				d.say.line("✔ %s %s%s, %.1f s after it was saved", name, s.next.number, d.role(w, s), time.Since(s.next.at).Seconds())
				s.now, s.next, changed = s.next, nil, true
				w.alarms.begin(w.edited.now, w.saved.now)
			case seen.Fleets[i].Failure != "":
				d.say.line("✖ %s did not come up%s: %s", name, stays(s), seen.Fleets[i].Failure)
				s.refused, s.next, changed = s.next.print, nil, true
			}
		}
	}
	if changed {
		d.apply()
	}
}

func stays(s *slot) string {
	if s.now == nil {
		return ""
	}
	return fmt.Sprintf("; %s goes on", s.now.number)
}

func (d *dev) role(w *work, s *slot) string {
	switch {
	case d.Split == 0:
		return ""
	case s == &w.saved:
		return " (committed)"
	}
	return " (edited)"
}

// apply asks for the world that follows: first of the gateway, so that what is to
// stop has no traffic any more.
func (d *dev) apply() {
	d.revision++
	wanted := world.Wanted{Stamp: world.Stamp{Token: 1, Revision: d.revision}}
	for _, name := range slices.Sorted(maps.Keys(d.works)) {
		if w, ok := d.world(d.works[name]); ok {
			wanted.Workloads = append(wanted.Workloads, w)
		}
	}
	if err := d.gateway.Apply(gateway.TableOf(wanted)); err != nil {
		d.say.fault(err)
		return
	}
	d.callable(wanted)
	if err := d.events.Apply(wanted); err != nil {
		d.say.fault(err)
	}
	if err := d.supervisor.Apply(wanted); err != nil {
		d.say.fault(err)
	}
}

// world is what should be of one service.
func (d *dev) world(w *work) (out world.Workload, ok bool) {
	for _, v := range []*version{w.saved.now, w.saved.next, w.edited.next, w.edited.now} {
		if v != nil {
			out, ok = v.route, true
		}
	}
	for _, v := range []*version{w.saved.now, w.saved.next, w.edited.now, w.edited.next} {
		if v != nil && v.waits == 0 {
			out.Fleets = append(out.Fleets, v.fleet)
		}
	}
	switch {
	case w.saved.now != nil && w.edited.now != nil:
		out.Split = []world.Share{{Version: w.saved.now.number, Weight: rollout.Full - d.Split}, {Version: w.edited.now.number, Weight: d.Split}}
	case w.edited.now != nil:
		out.Split = []world.Share{{Version: w.edited.now.number, Weight: rollout.Full}}
	case w.saved.now != nil:
		out.Split = []world.Share{{Version: w.saved.now.number, Weight: rollout.Full}}
	}
	return out, ok
}

// lastVersion is the last number that was given: processes that a killed run left
// must not be taken for new ones.
func lastVersion(dir string) (rollout.Version, error) {
	text, err := os.ReadFile(filepath.Join(dir, "version"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	n, nerr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err = errors.Join(err, nerr); err != nil {
		return 0, fmt.Errorf("read the last version: %w", err)
	}
	return rollout.Version(n), nil
}

func keepVersion(dir string, v rollout.Version) error {
	if err := os.WriteFile(filepath.Join(dir, "version"), []byte(strconv.Itoa(int(v))), 0o600); err != nil {
		return fmt.Errorf("keep the last version: %w", err)
	}
	return nil
}
