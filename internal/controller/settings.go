package controller

import (
	"slices"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

// settingsOf is what holds for all versions of a service.
func settingsOf(s manifest.Service) rollout.Settings {
	set := rollout.Settings{Instances: s.Scale, Worker: s.Worker, Drain: s.Drain, StartTimeout: s.StartTimeout, Shield500: s.Shield500}
	if s.Host != "" {
		set.Hosts = []string{s.Host}
	}
	set.Paths, set.Match, set.Maintenance = s.Routes, s.Match, s.Maintenance
	if s.Route != "" {
		set.Routes = []string{s.Route}
	}
	if f := s.Function; f != nil {
		triggers := f.Triggers
		set.Scale, set.Triggers, set.Alarms = f.Scale, &triggers, slices.Clone(s.Alarms)
	}
	return set
}

// settings returns what holds while a workload's stable version is the one that it
// is: a candidate that came with fewer instances takes none from it (R5), and one that
// takes no requests takes neither host nor route (R28).
func (w *work) settings() rollout.Settings { return holding(w.Settings) }

func holding(s rollout.Settings) rollout.Settings {
	if b := s.Before; b != nil {
		s.Instances = max(s.Instances, b.Instances)
		if s.Worker && !b.Worker {
			s.Worker, s.Hosts, s.Routes, s.Paths = false, b.Hosts, b.Routes, b.Paths
		}
	}
	s.Before = nil
	return s
}

// spared returns what stable keeps of the settings it had, old, when a version comes
// with others; nil when they take nothing from it.
func spared(old, others rollout.Settings) *rollout.Settings {
	old = holding(old)
	if old.Instances > others.Instances || others.Worker && !old.Worker {
		return &old
	}
	return nil
}

// outstays reports whether a workload is where the manifest does not put it any
// more, until another takes its place or it is removed or promoted (R28).
func (w *work) outstays() bool { return w.Orphaned != 0 || w.Settings.Worker && !w.settings().Worker }

// settle adds what holds for the version that l promotes. The settings may have come
// with a later push, which waits or has failed: then it keeps the instances that it
// was planned with, and its host and route while it takes requests (R5, R28).
func (m *memory) settle(ch *rollout.Change, l *live, w *work, i int) {
	if w.Settings.Before == nil {
		return
	}
	record, held := w.WorkloadRecord, w.settings()
	held.Instances = l.Plan.Members[i].Instances
	if v := w.versions[l.Plan.Members[i].Candidate]; v != nil && v.Config.Worker {
		held.Worker, held.Hosts, held.Routes, held.Paths = true, nil, nil, nil
	}
	record.Settings.Before = spared(held, record.Settings)
	ch.Workloads = append(ch.Workloads, record)
}
