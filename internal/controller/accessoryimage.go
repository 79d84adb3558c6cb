package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// accessoryImages looks up the images of the app's accessories, and adds what they are
// to the delivery. One that cannot be had does not hold up a push when the accessory
// has one by that name: it runs on with it.
func (c *Controller) accessoryImages(ctx context.Context, p rollout.Push, d Delivery, envs []manifest.Environment, logins map[string]Login, progress io.Writer) error {
	for _, a := range d.App.Accessories {
		if a.Image == "" {
			continue
		}
		used, err := c.used(ctx, a, envs)
		if err != nil {
			return err
		}
		if !used {
			continue
		}
		built, err := c.Builder.Build(ctx, BuildRequest{
			App: d.App.Name, Repo: d.App.Name, Commit: d.commitOf(d.App.Name), Push: p.ID, Logins: logins, Progress: progress,
			Accessory: true, Services: []manifest.Service{{Name: a.Name, Image: a.Image, Run: manifest.Run{Line: a.Run, Args: a.Args}}},
		})
		if err == nil {
			maps.Copy(d.Artifact, built)
			for _, dir := range unkept(built[a.Name], a) {
				fmt.Fprintf(progress, "note    %s keeps nothing of %s when it starts again: add volumes: { data: %s }\n", a.Name, dir, dir)
			}
			continue
		}
		if !errors.Is(err, ErrBuild) {
			return fmt.Errorf("look up the image of %s: %w", a.Name, err)
		}
		c.mu.RLock()
		known, has := c.memory.pin(d.App, a)
		c.mu.RUnlock()
		if !has {
			return &Problem{Kind: BuildFailed, Message: err.Error(), Hint: "titrate logs --build " + d.App.Name}
		}
		_, why, _ := strings.Cut(err.Error(), "\n") // after what it means for a service
		fmt.Fprintf(progress, "note    %s could not be looked up, and stays what it was\n%s\n", a.Image, why)
		d.Artifact[a.Name] = known
	}
	return nil
}

// unkept lists the folders that an image says it keeps data in and that are in no volume
// of the accessory.
func unkept(art rollout.Artifact, a manifest.Accessory) []string {
	if art.Image == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(art.Image.Volumes), func(dir string) bool {
		for _, v := range a.Volumes {
			if dir == v.Path || strings.HasPrefix(dir, v.Path+"/") || strings.HasPrefix(v.Path, strings.TrimSuffix(dir, "/")+"/") {
				return true
			}
		}
		return false
	})
}

// used reports whether one of the environments uses an accessory: elsewhere its secret
// is set by hand.
func (c *Controller) used(ctx context.Context, a manifest.Accessory, envs []manifest.Environment) (bool, error) {
	for _, e := range envs {
		byHand, err := c.isSet(ctx, e.App, e.Name, a.Secret)
		if err != nil || !byHand {
			return true, err
		}
	}
	return false, nil
}

// pin returns what the image of an accessory was at an earlier push, when it was
// written as it is now.
func (m *memory) pin(app manifest.App, a manifest.Accessory) (rollout.Artifact, bool) {
	for _, e := range app.Environments {
		record := m.accessories[rollout.Key{App: app.Name, Env: e.Name, Workload: a.Name}]
		for _, s := range []*rollout.AccessorySpec{record.Next, &record.Spec} {
			if s != nil && s.Artifact != nil && s.Image == a.Image && s.Run == a.Run && slices.Equal(s.Args, a.Args) {
				return *s.Artifact, true
			}
		}
	}
	return rollout.Artifact{}, false
}

// pinned adds to artifacts those of accessories that are not among them, as they were
// at an earlier push; new ones are taken to have one.
func (m *memory) pinned(app manifest.App, artifacts map[string]rollout.Artifact) map[string]rollout.Artifact {
	for _, a := range app.Accessories {
		if _, built := artifacts[a.Name]; built || a.Image == "" {
			continue
		}
		if artifacts == nil {
			artifacts = map[string]rollout.Artifact{}
		}
		artifacts[a.Name], _ = m.pin(app, a)
	}
	return artifacts
}

// pushedAccessory is an accessory of an environment as it was pushed: with what its
// image is, and the digests of its secrets.
func (c *Controller) pushedAccessory(ctx context.Context, e manifest.Environment, a manifest.Accessory, artifacts map[string]rollout.Artifact) (rollout.AccessorySpec, error) {
	s := a.AccessorySpec
	if s.Image != "" {
		art, built := artifacts[a.Name]
		if !built {
			return s, problem(Invalid, "", "%s has no artifact", a.Name)
		}
		s.Artifact = &art
	}
	var err error
	s.Secrets, err = c.digests(ctx, e.App, e.Name, sortedKeys(s.Secrets))
	return s, err
}

// surprised reports whether an accessory that holds data would be given another program,
// or other settings of its program, without a person having said so. What PostgreSQL and
// Redis do with theirs is known: they refuse what would hurt it.
func (c *Controller) surprised(before rollout.AccessoryRecord, pushed rollout.AccessorySpec) bool {
	if bytes.Equal(encode(before.Spec.Runs()), encode(pushed.Runs())) || pushed.Use != "" && pushed.Use == before.Spec.Use {
		return false
	}
	seen := c.sight.accessory(before.Key)
	fresh := seen.Key == before.Key && !seen.Served && seen.State != world.AccessoryReady && seen.State != world.AccessoryUnready
	return !fresh
}

// waiting says what an accessory runs, and how it is given what was pushed.
func waiting(k rollout.Key, before, pushed rollout.AccessorySpec) string {
	was, is := before.Title(), pushed.Title()
	if was == is {
		is = "its new settings"
	}
	return fmt.Sprintf("%s runs on; to take %s: titrate accessory restart %s --env %s", was, is, k.Workload, k.Env)
}

// Waiting says what of an accessory was pushed and waits for a restart; empty: nothing.
func (s AccessoryStatus) Waiting() string {
	if s.Next == nil {
		return ""
	}
	return waiting(s.Key, s.Spec, *s.Next)
}
