package controller

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

func isNoSecret(err error) bool { return errors.Is(err, ErrNoSecret) }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// configOf is what a service's process is given in an environment.
func configOf(e manifest.Environment, s manifest.Service, digests, accessories map[string]string) rollout.VersionConfig {
	c := rollout.VersionConfig{Env: s.Env, Addresses: s.Addresses, Port: s.Port, Health: s.Health, Worker: s.Worker, Limits: s.Limits, ReadOnly: s.ReadOnly, Volumes: s.Volumes}
	if f := s.Function; f != nil {
		run := f.Run
		c.Function = &run
	}
	for _, name := range s.Secrets {
		if accessory, from := accessories[name]; from {
			if c.Accessories == nil {
				c.Accessories = map[string]string{}
			}
			c.Accessories[name] = accessory
			continue
		}
		if c.Secrets == nil {
			c.Secrets = map[string]string{}
		}
		c.Secrets[name] = digests[name]
	}
	for _, o := range e.Services {
		if o.Name != s.Name {
			c.Uses = append(c.Uses, o.Name)
		}
	}
	return c
}

// digestOf names what a version's process sees. Its fellow workloads are left
// out: a new service in the app must not move all the others (R1).
func digestOf(v rollout.VersionRecord) string {
	v.Config.Uses = nil
	sum := sha256.Sum256(encode(struct {
		Artifact rollout.Artifact
		Config   rollout.VersionConfig
	}{v.Artifact.Same(), v.Config}))
	return hex.EncodeToString(sum[:])
}

// changed lists what differs between two versions, for people.
func changed(before *rollout.VersionRecord, after rollout.VersionRecord) []string {
	if before == nil {
		return nil
	}
	var what []string
	if before.Artifact.Digest != after.Artifact.Digest {
		what = append(what, "artifact")
	}
	if b, a := before.Artifact.Image, after.Artifact.Image; (b != nil) != (a != nil) || b != nil && b.Engine != a.Engine {
		what = append(what, "image")
	}
	if !slices.Equal(before.Artifact.Command, after.Artifact.Command) {
		what = append(what, "command")
	}
	// A variable may have been text and hold an address now.
	env := append(differing("env ", before.Config.Env, after.Config.Env), differing("env ", before.Config.Addresses, after.Config.Addresses)...)
	slices.Sort(env)
	what = append(what, slices.Compact(env)...)
	what = append(what, differing("secret ", before.Config.Secrets, after.Config.Secrets)...)
	what = append(what, differing("accessory in ", before.Config.Accessories, after.Config.Accessories)...)
	if before.Config.Health != after.Config.Health {
		what = append(what, "health")
	}
	if before.Config.Port != after.Config.Port {
		what = append(what, "port")
	}
	if before.Config.Worker != after.Config.Worker {
		what = append(what, "worker")
	}
	what = append(what, changedLimits(before.Config.Limits, after.Config.Limits)...)
	if before.Config.ReadOnly != after.Config.ReadOnly {
		what = append(what, "readOnly")
	}
	what = append(what, differing("volume ", before.Config.Volumes, after.Config.Volumes)...)
	what = append(what, changedFunction(before.Config.Function, after.Config.Function)...)
	return what
}

func changedLimits(before, after rollout.Limits) []string {
	var what []string
	if before.Memory != after.Memory {
		what = append(what, "limit memory")
	}
	if before.CPU != after.CPU {
		what = append(what, "limit cpu")
	}
	if before.Processes != after.Processes {
		what = append(what, "limit processes")
	}
	return what
}

func changedFunction(before, after *rollout.Function) []string {
	switch {
	case before == nil && after == nil:
		return nil
	case before == nil || after == nil:
		return []string{"function"}
	}
	var what []string
	if before.Runtime != after.Runtime {
		what = append(what, "runtime")
	}
	if before.Handler != after.Handler {
		what = append(what, "handler")
	}
	if before.Timeout != after.Timeout {
		what = append(what, "timeout")
	}
	if !bytes.Equal(before.Probe, after.Probe) {
		what = append(what, "probe")
	}
	return what
}

func differing[V comparable](prefix string, a, b map[string]V) []string {
	var names []string
	for name, value := range a {
		if other, ok := b[name]; !ok || other != value {
			names = append(names, prefix+name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, prefix+name)
		}
	}
	slices.Sort(names)
	return names
}

// stable returns the stable version, or nil.
func (w *work) stable() *rollout.VersionRecord { return w.versions[w.Stable] }

// base returns the version that a changed config builds on: the newest one that
// is not refused, else what is stable; nil when there is neither.
func (w *work) base() *rollout.VersionRecord {
	if v := w.versions[w.Newest]; v != nil && v.Refused == "" {
		return v
	}
	return w.stable()
}

// sameAs returns the newest version with a digest that may not be tried again, or
// that is the newest of all; nil when there is neither.
func (w *work) sameAs(digest string) *rollout.VersionRecord {
	var found *rollout.VersionRecord
	for _, v := range w.versions {
		if v.Digest == digest && (v.Refused != "" || v.Number == w.Newest) && (found == nil || v.Number > found.Number) {
			found = v
		}
	}
	return found
}

// candidateOf returns the version that a rollout tries of this workload.
func (w *work) candidateOf(l *live) *rollout.VersionRecord {
	if i := l.index(w.Key.Workload); i >= 0 {
		return w.versions[l.Plan.Members[i].Candidate]
	}
	return nil
}

// newest returns the newest version of a workload.
func (m *memory) newest(k rollout.Key) (*rollout.VersionRecord, bool) {
	w := m.works[k]
	if w == nil {
		return nil, false
	}
	v, ok := w.versions[w.Newest]
	return v, ok
}

// peek returns a copy of a workload, empty when there is none yet: what is
// proposed for it may never be stored.
func (m *memory) peek(k rollout.Key) *work {
	if w := m.works[k]; w != nil {
		return &work{WorkloadRecord: w.WorkloadRecord, named: w.named, versions: w.versions, promoted: w.promoted}
	}
	return &work{WorkloadRecord: rollout.WorkloadRecord{Key: k}, versions: map[rollout.Version]*rollout.VersionRecord{}}
}

// in returns the workloads of an app in an environment (empty: in all), by key.
func (m *memory) in(app, env string) []*work {
	var all []*work
	for k, w := range m.works {
		if w.named && (app == "" || k.App == app) && (env == "" || k.Env == env) {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *work) int { return compareKeys(a.Key, b.Key) })
	return all
}
