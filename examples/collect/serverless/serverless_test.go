// Package serverless_test holds that serverless.yml and titrate.yaml say the same.
package serverless_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/examples/collect"
	"titrate/internal/importer/serverless"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/schedule"
)

// written are the functions of titrate.yaml, by folder.
func written(t *testing.T) map[string]manifest.Service {
	t.Helper()
	files, err := collect.Files(collect.V1, collect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	app, problems := manifest.Parse([]byte(files["titrate.yaml"]), "titrate.yaml", manifest.Folders(slices.Collect(maps.Keys(files)))...)
	if app == nil {
		t.Fatal(problems)
	}
	all := map[string]manifest.Service{}
	for _, s := range app.Environments[0].Services {
		if s.Function != nil {
			all[s.Function.Path] = s
		}
	}
	return all
}

func read(t *testing.T) *serverless.Project {
	t.Helper()
	p, err := serverless.Read(os.DirFS("."), serverless.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestServerless_isCarriedWhole(t *testing.T) {
	t.Parallel()
	p := read(t)
	for _, l := range p.Lost {
		// The reader lists the cloud's queues and topics, and has what functions need of them.
		resource := strings.TrimPrefix(l.Key, "resources.Resources.")
		if slices.ContainsFunc(p.Queues, func(q serverless.Queue) bool { return q.ID == resource }) ||
			slices.ContainsFunc(p.Topics, func(t serverless.Topic) bool { return t.ID == resource }) {
			continue
		}
		t.Errorf("%s:%d: %s: %s", l.File, l.Line, l.Key, l.Why)
	}
	if p.Service != "collect" || p.Provider.Stage != "production" || len(p.Functions) != 64 || len(p.Queues) != 9 || len(p.Topics) != 4 {
		t.Errorf("%s in %s: %d functions, %d queues, %d topics", p.Service, p.Provider.Stage, len(p.Functions), len(p.Queues), len(p.Topics))
	}
}

func TestServerless_saysWhatTitrateYAMLSays(t *testing.T) {
	t.Parallel()
	p, all := read(t), written(t)
	if len(all) != 64 {
		t.Fatalf("titrate.yaml has %d functions", len(all))
	}
	queues, topics := map[string]serverless.Queue{}, map[string]string{}
	for _, q := range p.Queues {
		queues[q.ID] = q
	}
	for _, topic := range p.Topics {
		topics[topic.ID] = topic.Name
	}
	for _, f := range p.Functions {
		want, ok := all[f.Handler]
		if !ok || f.Key != want.Name {
			t.Errorf("%s has the handler %s", f.Key, f.Handler)
			continue
		}
		if int64(f.Memory)<<20 != want.Limits.Memory || time.Duration(f.Timeout)*time.Second != want.Function.Run.Timeout {
			t.Errorf("%s: %d MB and %d s, not %d bytes and %s", f.Key, f.Memory, f.Timeout, want.Limits.Memory, want.Function.Run.Timeout)
		}
		deployed(t, f, want)
		if len(f.Events) != 1 {
			t.Errorf("%s has %d events", f.Key, len(f.Events))
			continue
		}
		e, on := f.Events[0], want.Function.Triggers
		switch {
		case e.HTTP != nil:
			if route := e.HTTP.Method + " " + e.HTTP.Path; !slices.Equal(on.Routes, []string{route}) || e.HTTP.Payload != "2.0" {
				t.Errorf("%s: %s, not %v", f.Key, route, on.Routes)
			}
		case e.Source != nil:
			queued(t, f.Key, *e.Source, queues, on.Queues)
		case e.Topic != nil:
			if name := topics[e.Topic.Topic.Resource]; !slices.Equal(on.Topics, []string{name}) {
				t.Errorf("%s: %s, not %v", f.Key, name, on.Topics)
			}
		case e.Schedule != nil:
			if len(e.Schedule.Rates) != 1 || len(on.Schedules) != 1 || !same(t, e.Schedule.Rates[0], on.Schedules[0].Expression) {
				t.Errorf("%s: %v, not %+v", f.Key, e.Schedule.Rates, on.Schedules)
			}
		default:
			t.Errorf("%s: %+v", f.Key, e)
		}
	}
}

// deployed checks how a function is released, and what takes it back.
func deployed(t *testing.T, f serverless.Function, want manifest.Service) {
	t.Helper()
	d := f.Deployment
	if d == nil || !d.Active || d.Type != want.Strategy || len(d.Alarms) != 1 || d.Alarms[0].Function != f.Key || d.Alarms[0].Alarm != "functionErrors" {
		t.Errorf("%s is deployed by %+v, not by %s", f.Key, d, want.Strategy)
	}
	if len(f.Alarms) != 1 || f.Alarms[0].Metric != "Errors" || !f.Alarms[0].Active || len(want.Alarms) != 1 || want.Alarms[0].Name != "errors" {
		t.Errorf("%s has the alarms %+v, not %+v", f.Key, f.Alarms, want.Alarms)
	}
}

// queued checks the queue that calls a function.
func queued(t *testing.T, key string, s serverless.Source, queues map[string]serverless.Queue, on []rollout.QueueTrigger) {
	t.Helper()
	q := queues[s.From.Resource]
	if len(on) != 1 || on[0].Queue.Name != q.Name || s.BatchSize == nil || on[0].Batch != *s.BatchSize || on[0].Whole == s.PartialResponse {
		t.Errorf("%s: %+v, not %+v", key, s, on)
		return
	}
	receives, dead := 0, ""
	if q.MaxReceive != nil {
		receives, dead = *q.MaxReceive, queues[q.DeadLetter.Resource].Name
	}
	if want := on[0].Queue; want.MaxReceive != receives || want.DeadLetter != dead || q.Visibility == nil || want.Visibility != time.Duration(*q.Visibility)*time.Second {
		t.Errorf("queue %s: %+v, not %+v", q.Name, q, want)
	}
}

// same reports whether two expressions are due at the same times.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	if a == "" || b == "" {
		return false
	}
	x, err := schedule.Parse(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := schedule.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 27, 23, 50, 0, 0, time.UTC)
	for range 50 {
		n, ok := x.Next(at, time.UTC)
		if m, also := y.Next(at, time.UTC); ok != also || !n.Equal(m) {
			return false
		}
		at = n
	}
	return true
}
