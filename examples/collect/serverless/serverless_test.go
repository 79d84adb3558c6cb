// Package serverless_test holds that serverless.yml and titrate.yaml say the same.
package serverless_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"titrate/examples/collect"
	"titrate/internal/httpevent"
	"titrate/internal/importer/serverless"
	"titrate/internal/schedule"
)

// said is a function of titrate.yaml.
type said struct {
	HTTP    string        `yaml:"http"`
	Cron    string        `yaml:"cron"`
	Queue   string        `yaml:"queue"`
	Batch   int           `yaml:"batch"`
	Topic   string        `yaml:"topic"`
	Memory  string        `yaml:"memory"`
	Timeout time.Duration `yaml:"timeout"`
}

type manifest struct {
	Defaults struct {
		Memory  string `yaml:"memory"`
		Rollout string `yaml:"rollout"`
	} `yaml:"defaults"`
	Functions map[string]said `yaml:"functions"`
	Queues    map[string]struct {
		MaxReceive int    `yaml:"maxReceive"`
		DeadLetter string `yaml:"deadLetter"`
	} `yaml:"queues"`
}

// written is titrate.yaml, with the patterns of its functions expanded.
func written(t *testing.T) (manifest, map[string]said) {
	t.Helper()
	files, err := collect.Files(collect.V1, collect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := yaml.Unmarshal([]byte(files["titrate.yaml"]), &m); err != nil {
		t.Fatal(err)
	}
	all := map[string]said{}
	for name := range files {
		folder := path.Dir(name)
		for pattern, f := range m.Functions {
			if matches(t, pattern, folder) {
				all[folder] = f
			}
		}
	}
	return m, all
}

// matches reports whether a key of functions means a folder.
func matches(t *testing.T, pattern, folder string) bool {
	t.Helper()
	if root, deep := strings.CutSuffix(pattern, "/**"); deep {
		return strings.HasPrefix(folder, root+"/")
	}
	if before, rest, ok := strings.Cut(pattern, "{"); ok {
		names, after, _ := strings.Cut(rest, "}")
		return slices.ContainsFunc(strings.Split(names, ","), func(n string) bool { return before+n+after == folder })
	}
	ok, err := path.Match(pattern, folder)
	if err != nil {
		t.Fatal(err)
	}
	return ok
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
	p := read(t)
	m, all := written(t)
	if len(all) != 64 {
		t.Fatalf("titrate.yaml has %d functions", len(all))
	}
	queues, topics := map[string]string{}, map[string]string{}
	for _, q := range p.Queues {
		queues[q.ID] = q.Name
		want, receives := m.Queues[q.Name], 0
		if q.MaxReceive != nil {
			receives = *q.MaxReceive
		}
		if want.MaxReceive != receives || (want.DeadLetter != "") != (q.DeadLetter != nil) {
			t.Errorf("queue %s: %+v is not %+v", q.Name, q, want)
		}
	}
	for _, topic := range p.Topics {
		topics[topic.ID] = topic.Name
	}
	shift := regexp.MustCompile(`^Linear(\d+)PercentEvery(\d+)Minute$`).FindStringSubmatch(m.Defaults.Rollout)
	if shift == nil {
		t.Fatalf("the strategy is %s", m.Defaults.Rollout)
	}
	for _, f := range p.Functions {
		want, ok := all[f.Handler]
		if !ok || f.Key != strings.ReplaceAll(f.Handler, "/", "-") {
			t.Errorf("%s has the handler %s", f.Key, f.Handler)
			continue
		}
		if memory := megabytes(t, want.Memory, m.Defaults.Memory); f.Memory != memory {
			t.Errorf("%s: %d MB, not %d", f.Key, f.Memory, memory)
		}
		if timeout := time.Duration(f.Timeout) * time.Second; timeout != max(want.Timeout, 0) && (want.Timeout != 0 || timeout != 10*time.Second) {
			t.Errorf("%s: timeout %s, not %s", f.Key, timeout, want.Timeout)
		}
		d := f.Deployment
		switch {
		case d == nil || !d.Active || d.Shift == nil || len(d.Alarms) != 1 || d.Alarms[0].Function != f.Key || d.Alarms[0].Alarm != "functionErrors":
			t.Errorf("%s is deployed by %+v", f.Key, d)
		case d.Shift.Kind != "linear" || strconv.Itoa(d.Shift.Percent) != shift[1] || strconv.Itoa(d.Shift.Minutes) != shift[2]:
			t.Errorf("%s: %+v is not %s", f.Key, d.Shift, m.Defaults.Rollout)
		}
		if len(f.Alarms) != 1 || f.Alarms[0].Metric != "Errors" || !f.Alarms[0].Active {
			t.Errorf("%s has the alarms %+v", f.Key, f.Alarms)
		}
		if len(f.Events) != 1 {
			t.Errorf("%s has %d events", f.Key, len(f.Events))
			continue
		}
		e := f.Events[0]
		switch {
		case e.HTTP != nil:
			if route := e.HTTP.Method + " " + e.HTTP.Path; route != routeOf(t, f.Handler, want) || e.HTTP.Payload != "2.0" {
				t.Errorf("%s: %s, not %s", f.Key, route, routeOf(t, f.Handler, want))
			}
		case e.Source != nil:
			if q := queues[e.Source.From.Resource]; q != want.Queue || e.Source.BatchSize == nil || *e.Source.BatchSize != want.Batch || !e.Source.PartialResponse {
				t.Errorf("%s: %+v, not %s by %d", f.Key, e.Source, want.Queue, want.Batch)
			}
		case e.Topic != nil:
			if name := topics[e.Topic.Topic.Resource]; name == "" || name != want.Topic {
				t.Errorf("%s: %s, not %s", f.Key, name, want.Topic)
			}
		case e.Schedule != nil:
			if len(e.Schedule.Rates) != 1 || !same(t, e.Schedule.Rates[0], want.Cron) {
				t.Errorf("%s: %v, not %s", f.Key, e.Schedule.Rates, want.Cron)
			}
		default:
			t.Errorf("%s: %+v", f.Key, e)
		}
	}
}

func megabytes(t *testing.T, own, all string) int {
	t.Helper()
	if own == "" {
		own = all
	}
	n, err := strconv.Atoi(strings.TrimSuffix(own, "MB"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func routeOf(t *testing.T, folder string, f said) string {
	t.Helper()
	if f.HTTP != "by-path" {
		return f.HTTP
	}
	key, err := httpevent.ByPath("api", folder)
	if err != nil {
		t.Fatal(err)
	}
	return key
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
