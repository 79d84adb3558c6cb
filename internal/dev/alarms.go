package dev

import (
	"slices"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/world"
)

// alarms judge what was edited, beside what was committed where that runs too.
type alarms struct {
	all           []analysis.Alarm
	tried, stable *analysis.Series
	failing       map[string]bool
}

// of takes the alarms of the manifest as it stands.
func (a *alarms) of(all []analysis.Alarm, w *work) {
	if a.tried == nil || !slices.Equal(a.all, all) {
		a.all, a.tried, a.stable, a.failing = all, analysis.NewSeries(all), analysis.NewSeries(all), map[string]bool{}
		a.begin(w.edited.now, w.saved.now)
	}
}

// begin counts anew when what is judged has changed.
func (a *alarms) begin(edited, saved *version) {
	if edited == nil {
		return
	}
	from := edited.since
	if saved != nil && saved.since.After(from) {
		from = saved.since
	}
	a.tried.Begin(from)
	a.stable.Begin(from)
	clear(a.failing)
}

// judge counts a window and says what the alarms make of it.
func (d *dev) judge(w world.VersionWindow) {
	of := d.works[w.Key.Workload]
	if of == nil || of.edited.now == nil {
		return
	}
	switch {
	case w.Version == of.edited.now.number:
		of.alarms.tried.Add(w.Window)
	case of.saved.now != nil && w.Version == of.saved.now.number:
		of.alarms.stable.Add(w.Window)
		return
	default:
		return
	}
	for _, alarm := range of.alarms.all {
		r := analysis.Judge(alarm, of.alarms.tried, of.alarms.stable, nil, time.Now())
		switch {
		case r.Verdict == analysis.Fail && !of.alarms.failing[alarm.Name]:
			of.alarms.failing[alarm.Name] = true
			d.say.line("✖ %s: alarm %s: %s: a rollout would %s here", w.Key.Workload, alarm.Name, r.Text, reaction(r.Reaction))
		case r.Verdict == analysis.Pass && of.alarms.failing[alarm.Name]:
			of.alarms.failing[alarm.Name] = false
			d.say.line("✔ %s: alarm %s: %s", w.Key.Workload, alarm.Name, r.Text)
		}
	}
}

func reaction(r analysis.Reaction) string {
	switch r {
	case analysis.ReactPause:
		return "pause"
	case analysis.ReactNotify:
		return "tell, and go on"
	case analysis.ReactRollback:
	}
	return "be rolled back"
}
