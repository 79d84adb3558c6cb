package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func (s *server) registerAccessories(api huma.API) {
	const path = "/apps/{app}/environments/{env}/accessories"
	huma.Register(api, operation(http.MethodGet, path, "accessories", "The databases and caches of an environment"), handle(s, func(_ context.Context, in *EnvPath) ([]client.Accessory, error) {
		return s.wireAccessories(in.App, in.Env), nil
	}))
	huma.Register(api, operation(http.MethodDelete, path+"/{name}", "removeAccessory", "Stop an accessory that no manifest names; its data stays"),
		func(ctx context.Context, in *struct {
			EnvPath
			Name string `path:"name" maxLength:"64"`
		},
		) (*struct{}, error) {
			if err := s.Controller.RemoveAccessory(ctx, rollout.Key{App: in.App, Env: in.Env, Workload: in.Name}, who(ctx)); err != nil {
				return nil, s.problem(ctx, err)
			}
			return nil, nil
		})
	huma.Register(api, operation(http.MethodPost, path+"/{name}/tasks", "askAccessory", "Back an accessory's data up, rehearse a backup, restore one, or restart the accessory"), handle(s, s.askAccessory))
}

func (s *server) askAccessory(ctx context.Context, in *struct {
	EnvPath
	Name string `path:"name" maxLength:"64"`
	Body client.TaskRequest
},
) (client.Task, error) {
	if p := s.allow(ctx, tasks[in.Body.Kind], in.Body.Kind); p != nil {
		return client.Task{}, p
	}
	k := rollout.Key{App: in.App, Env: in.Env, Workload: in.Name}
	t, err := s.Controller.AskAccessory(ctx, k, rollout.AccessoryTask{Kind: rollout.AccessoryTaskKind(in.Body.Kind), Backup: in.Body.Backup, By: who(ctx)})
	if err != nil {
		return client.Task{}, err
	}
	return *wireTask(&t, world.TaskSeen{}), nil
}

// wireTask tells of a task, and how far it has come when that is known.
func wireTask(t *rollout.AccessoryTask, seen world.TaskSeen) *client.Task {
	if t == nil {
		return nil
	}
	w := client.Task{ID: t.ID, Kind: string(t.Kind), Backup: t.Backup, By: t.By, At: t.At, State: "asked"}
	if seen.ID == t.ID {
		w.State, w.Why = string(seen.State), seen.Why
	}
	return &w
}

func wireBackups(all []world.Backup) []client.Backup {
	var out []client.Backup
	for _, b := range all {
		out = append(out, client.Backup{
			Name: b.Name, At: b.At, Seconds: b.Took.Seconds(), Size: b.Size, SHA256: b.SHA256, Tables: b.Tables, Rows: b.Rows, Holds: b.Holds(), Rehearsed: b.Rehearsed, Problem: b.Problem,
		})
	}
	return out
}

func (s *server) wireAccessories(app, env string) []client.Accessory {
	out := []client.Accessory{}
	for _, a := range s.Controller.Accessories(app, env) {
		w := client.Accessory{
			Name: a.Key.Workload, Use: a.Spec.Use, State: "unknown", Secret: a.Spec.Secret, Unused: a.Unused, Orphaned: int(a.Orphaned),
			Why: a.Seen.Why, Addr: a.Seen.Addr, Since: a.Seen.Since, Restarts: a.Seen.Restarts, Folder: a.Seen.Folder,
			Backups: wireBackups(a.Seen.Backups), Unkept: a.Seen.Unkept, Waiting: a.Waiting(), At: a.Spec.At, Task: wireTask(a.Task, a.Seen.Task),
		}
		if a.Spec.Every > 0 {
			w.Every = manifest.FormatDuration(a.Spec.Every)
		}
		switch {
		case a.Spec.Image != "":
			w.Use, w.Image = "image", a.Spec.Title()
		case w.Use == "":
			w.Use = "run"
		}
		if a.Known {
			w.State = string(a.Seen.State)
		}
		out = append(out, w)
	}
	return out
}
