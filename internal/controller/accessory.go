package controller

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// AccessoryEffect is what a delivery means for an accessory.
type AccessoryEffect struct {
	Key  rollout.Key         `json:"key"`
	What AccessoryEffectKind `json:"what"`
	Why  string              `json:"why,omitempty"`
}

// AccessoryEffectKind says what a delivery does to an accessory.
type AccessoryEffectKind string

// The effects on accessories that are worth telling.
const (
	AccessoryStarts   AccessoryEffectKind = "starts"   // it is new
	AccessoryChanges  AccessoryEffectKind = "changes"  // its settings differ
	AccessoryWaits    AccessoryEffectKind = "waits"    // what it is started with differs, and it runs on as it was until a person restarts it
	AccessoryUnused   AccessoryEffectKind = "unused"   // its secret is set by hand, which wins
	AccessoryOrphaned AccessoryEffectKind = "orphaned" // the manifest names it no more; it runs on (R28)
)

// credentialName is where the password of an accessory stands in the vault. No
// manifest can name it.
func credentialName(accessory string) string {
	return "TITRATE_ACCESSORY_" + strings.ToUpper(strings.ReplaceAll(accessory, "-", "_"))
}

// accessories takes over what the manifest says of an environment's accessories, and
// returns the accessory that gives each variable. One whose variable is set by hand
// gives none, and is not begun.
func (c *Controller) accessories(ctx context.Context, p *proposal, e manifest.Environment, artifacts map[string]rollout.Artifact) (map[string]string, error) {
	given := map[string]string{}
	unused := map[string]bool{} // by name: its secret is set by hand
	needed := secretNames(e)
	for _, a := range e.Accessories {
		byHand, err := c.isSet(ctx, e.App, e.Name, a.Secret)
		if err != nil {
			return nil, err
		}
		if unused[a.Name] = byHand; !byHand {
			needed = slices.DeleteFunc(needed, func(name string) bool { return name == a.Secret })
			needed = append(needed, sortedKeys(a.Secrets)...)
		}
	}
	slices.Sort(needed)
	if _, err := c.digests(ctx, e.App, e.Name, slices.Compact(needed)); err != nil { // all that are not set are told at once
		return nil, err
	}
	for _, a := range e.Accessories {
		byHand := unused[a.Name]
		k := rollout.Key{App: e.App, Env: e.Name, Workload: a.Name}
		if w := p.memory.works[k]; w != nil && w.named {
			return nil, problem(Conflict, fmt.Sprintf("titrate deploy --remove %s --env %s, or give the accessory another name", a.Name, e.Name),
				"a service named %s runs in %s still", a.Name, e.Name)
		}
		record, known := p.memory.accessories[k]
		before := record
		record.Key, record.Release, record.Orphaned, record.Unused = k, p.release.Number, 0, byHand
		tell := func(what AccessoryEffectKind, why string) {
			p.delivered.Accessories = append(p.delivered.Accessories, AccessoryEffect{k, what, why})
		}
		if byHand { // it goes on as it is, where there is one
			tell(AccessoryUnused, a.Secret+" is set by hand, which wins")
			if known {
				p.change.Accessories = append(p.change.Accessories, record)
			}
			continue
		}
		given[a.Secret] = a.Name
		pushed, err := c.pushedAccessory(ctx, e, a, artifacts)
		if err != nil {
			return nil, err
		}
		record.Spec, record.Next = pushed, nil
		switch {
		case !known:
			tell(AccessoryStarts, "")
		case c.surprised(before, pushed):
			record.Spec, record.Next = before.Spec.Keeping(pushed), &pushed
			tell(AccessoryWaits, waiting(k, before.Spec, pushed))
		case !bytes.Equal(encode(before.Spec), encode(pushed)):
			tell(AccessoryChanges, "")
		}
		p.change.Accessories = append(p.change.Accessories, record)
	}
	return given, nil
}

// isSet reports whether a secret has a value that a person gave it.
func (c *Controller) isSet(ctx context.Context, app, env, name string) (bool, error) {
	if c.Vault == nil {
		return false, nil
	}
	_, err := c.Vault.Digests(ctx, app, env, []string{name})
	if isNoSecret(err) {
		return false, nil
	}
	return err == nil, err
}

// orphanAccessories marks those that the manifest names no more. They run on, with
// their data, until a person removes them (R28).
func (p *proposal) orphanAccessories(d Delivery, envs []manifest.Environment) {
	for _, k := range slices.SortedFunc(maps.Keys(p.memory.accessories), compareKeys) {
		record := p.memory.accessories[k]
		e, named := d.App.Environment(k.Env)
		if k.App != d.App.Name || !released(envs, k.Env) && (named || !d.Default) ||
			slices.ContainsFunc(e.Accessories, func(a manifest.Accessory) bool { return a.Name == k.Workload }) {
			continue
		}
		p.delivered.Accessories = append(p.delivered.Accessories, AccessoryEffect{k, AccessoryOrphaned, "titrate.yaml names it no more; it runs on, with its data, until it is removed"})
		if record.Orphaned == 0 {
			record.Orphaned = p.release.Number
			p.change.Accessories = append(p.change.Accessories, record)
		}
	}
}

// credentials gives each accessory of a proposal its password, made up once.
func (c *Controller) credentials(ctx context.Context, p *proposal) error {
	for i := range p.change.Accessories {
		a := &p.change.Accessories[i]
		if a.Credential != "" {
			continue
		}
		g, ok := c.Vault.(Generator)
		if !ok {
			return problem(Unavailable, "", "there is no vault for the password of %s", a.Key)
		}
		digest, err := g.Generate(ctx, a.Key.App, a.Key.Env, credentialName(a.Key.Workload))
		if err != nil {
			return fmt.Errorf("make a password for %s: %w", a.Key, err)
		}
		a.Credential = digest
	}
	return nil
}

// byHand returns v with the variables that were set by hand since taken from their
// accessories: what a person set wins.
func (c *Controller) byHand(ctx context.Context, p *proposal, v rollout.VersionRecord) (rollout.VersionRecord, error) {
	v.Config.Secrets, v.Config.Accessories = maps.Clone(v.Config.Secrets), maps.Clone(v.Config.Accessories)
	for _, name := range sortedKeys(v.Config.Accessories) {
		set, err := c.isSet(ctx, v.Key.App, v.Key.Env, name)
		if err != nil {
			return v, err
		}
		if !set {
			continue
		}
		if v.Config.Secrets == nil {
			v.Config.Secrets = map[string]string{}
		}
		k := rollout.Key{App: v.Key.App, Env: v.Key.Env, Workload: v.Config.Accessories[name]}
		if a, known := p.memory.accessories[k]; known && !a.Unused {
			a.Unused = true
			p.change.Accessories = append(p.change.Accessories, a)
		}
		v.Config.Secrets[name] = ""
		delete(v.Config.Accessories, name)
	}
	if len(v.Config.Accessories) == 0 {
		v.Config.Accessories = nil
	}
	return v, nil
}

// wantedAccessories are those that should run: all that are stored. Nothing but a
// person takes one away.
func (m *memory) wantedAccessories(s *secretCache) []world.Accessory {
	var all []world.Accessory
	for _, k := range slices.SortedFunc(maps.Keys(m.accessories), compareKeys) {
		a := m.accessories[k]
		password, known := s.value(k, credentialName(k.Workload), a.Credential)
		if !known {
			continue // told of when it was asked for; without it nothing could use the accessory
		}
		all = append(all, world.Accessory{Key: k, Spec: a.Spec, Password: password, Secrets: s.among(k, a.Spec.Secrets), Task: a.Task})
	}
	return all
}

// fillAccessories learns the passwords and secrets of accessories.
func (s *secretCache) fillAccessories(ctx context.Context, vault Vault, accessories []rollout.AccessoryRecord) error {
	for _, a := range accessories {
		digests := map[string]string{credentialName(a.Key.Workload): a.Credential}
		maps.Copy(digests, a.Spec.Secrets)
		maps.DeleteFunc(digests, func(name, digest string) bool { _, known := s.value(a.Key, name, digest); return known })
		if len(digests) == 0 {
			continue
		}
		if vault == nil {
			return fmt.Errorf("%s has a password, and there is no vault", a.Key)
		}
		values, err := vault.Values(ctx, a.Key.App, a.Key.Env, digests)
		if err != nil {
			return fmt.Errorf("password and secrets of %s: %w", a.Key, err)
		}
		s.learn(a.Key, digests, values)
	}
	return nil
}

// AccessoryStatus is what is known of an accessory now.
type AccessoryStatus struct {
	rollout.AccessoryRecord
	Seen  world.AccessorySeen
	Known bool // Seen was observed
}

// Accessories returns the accessories of an app in an environment, empty for all, by key.
func (c *Controller) Accessories(app, env string) []AccessoryStatus {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := []AccessoryStatus{}
	for k, a := range c.memory.accessories {
		if app != "" && k.App != app || env != "" && k.Env != env {
			continue
		}
		s := AccessoryStatus{AccessoryRecord: a, Seen: c.sight.accessory(k)}
		s.Known = s.Seen.Key == k
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b AccessoryStatus) int { return cmp.Or(compareKeys(a.Key, b.Key)) })
	return all
}

// RemoveAccessory forgets an accessory that the manifest names no more, and so stops
// it. Its data stays where it is.
func (c *Controller) RemoveAccessory(ctx context.Context, k rollout.Key, who string) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	a, known := c.memory.accessories[k]
	switch {
	case !known:
		return problem(NotFound, "titrate accessory ls "+k.App, "there is no accessory %s", k)
	case a.Orphaned == 0:
		return problem(Conflict, "take it out of titrate.yaml and push", "%s is named by the manifest of %s", k, a.Release)
	}
	for _, v := range c.memory.running() {
		if v.Key.App == k.App && v.Key.Env == k.Env && slices.Contains(slices.Collect(maps.Values(v.Config.Accessories)), k.Workload) {
			return problem(Conflict, fmt.Sprintf("take %s out of its secrets and push, or set it by hand", a.Spec.Secret), "%s %s uses %s", v.Key.Workload, v.Number, k.Workload)
		}
	}
	now := c.now()
	return c.commit(ctx, rollout.Change{At: now, Dropped: []rollout.Key{k}, Events: []rollout.Event{{
		At: now, Kind: rollout.EventRemoved, App: k.App, Env: k.Env, Workload: k.Workload, Data: encode(map[string]string{"by": who, "accessory": k.Workload}),
	}}})
}
