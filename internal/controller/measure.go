package controller

import (
	"slices"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// member is what was measured of one workload of a live rollout, since its weight
// arrived.
type member struct {
	key       rollout.Key
	name      string // key.String(), which is asked for at each look
	candidate rollout.Version
	base      rollout.Version
	alarms    []analysis.Alarm
	among     analysis.Among

	tried, stable *analysis.Series
	baseline      *analysis.Baseline
	recent        analysis.Recent // of the candidate with all traffic: the next rollout compares with it

	readings []analysis.Reading // as judged last
	judged   time.Time
	counted  bool // windows have come since
}

func newMember(p rollout.Plan, s rollout.State, i int) *member {
	k, m := p.Key(i), p.Members[i]
	f := &member{
		key: k, name: k.String(), candidate: m.Candidate, alarms: m.Alarms, among: among(p, m),
		tried: analysis.NewSeries(m.Alarms), stable: analysis.NewSeries(m.Alarms),
	}
	f.follow(s, i)
	return f
}

// among counts the alarms that can take back a group: the more of them there are, the
// more each of them must have seen (R27). One member alone is judged by its alarms as
// they stand.
func among(p rollout.Plan, m rollout.Member) analysis.Among {
	all := analysis.Among{Steps: len(p.Steps), Silent: m.Function}
	if len(p.Members) == 1 {
		return all
	}
	for _, m := range p.Members {
		for _, a := range m.Alarms {
			if a.Reaction != analysis.ReactNotify {
				all.Tests++
			}
		}
	}
	return all
}

// follow begins to count anew when a weight has arrived (R13).
func (m *member) follow(s rollout.State, i int) {
	if i < len(s.Stable) {
		m.base = s.Stable[i]
	}
	m.tried.Begin(s.Arrived)
	m.stable.Begin(s.Arrived)
	m.counted = true
}

// freeze returns what the relative alarms of a rollout's members will compare with:
// what stable has done until the rollout's turn (R11).
func (m *memory) freeze(l *live) []rollout.BaselineRecord {
	var all []rollout.BaselineRecord
	for _, f := range l.members {
		if !slices.ContainsFunc(f.alarms, func(a analysis.Alarm) bool { return a.Relative }) {
			continue
		}
		if b := m.works[f.key].recent.Baseline(); b != nil {
			all = append(all, rollout.BaselineRecord{Rollout: l.Plan.Rollout, Key: f.key, Baseline: *b})
		}
	}
	return all
}

// compareWith gives members what was frozen for them.
func (m *memory) compareWith(frozen []rollout.BaselineRecord) {
	for _, b := range frozen {
		if l := m.live[b.Rollout]; l != nil {
			l.members[l.index(b.Key.Workload)].baseline = &b.Baseline
		}
	}
}

// count adds a window to whatever it is a measurement of.
func (m *memory) count(w world.VersionWindow) {
	if of := m.works[w.Key]; of != nil {
		of.traffic.add(w)
		if of.Stable == w.Version {
			of.recent.Add(w.Window)
			if of.Settings.Triggers != nil {
				of.lately.add(w, span(of.Settings.Alarms))
			}
		}
	}
	for _, l := range m.byKey[w.Key] {
		for _, f := range l.members {
			switch {
			case f.key != w.Key:
			case f.candidate == w.Version:
				f.tried.Add(w.Window)
				if l.carries(w.Window) {
					f.recent.Add(w.Window)
				}
				f.counted = true
				m.news.note(l.Plan.Rollout)
			case f.base == w.Version:
				f.stable.Add(w.Window)
				f.counted = true
				m.news.note(l.Plan.Rollout)
			}
		}
	}
}

// carries reports whether the candidates had all traffic in a window.
func (l *live) carries(w analysis.Window) bool {
	s := l.State
	return !s.Over() && s.Weight == rollout.Full && !s.Arrived.IsZero() && !w.Start.Before(s.Arrived)
}

// judgedAgain is how long a verdict stands when no window comes: after that
// missing windows have begun to count as missing.
const judgedAgain = time.Second

// judge returns a reading for each alarm. While the meter cannot be read there is
// no verdict, which is not a bad one (R12). Too many restarts are told with how the
// last instance ended.
func (m *member) judge(blind error, ended string, now time.Time) []analysis.Reading {
	if len(m.alarms) == 0 {
		return nil
	}
	if !m.counted && now.Sub(m.judged) < judgedAgain && (blind == nil) == (m.readings[0].Err == "") {
		return m.readings
	}
	// A new slice each time: what a stored look holds must not change under it.
	m.readings = make([]analysis.Reading, 0, len(m.alarms))
	for _, a := range m.alarms {
		if blind != nil {
			m.readings = append(m.readings, analysis.Reading{
				Alarm: a.Name, Reaction: a.Reaction, Err: blind.Error(), Min: a.Min, M: a.M, N: a.N, Text: "could not be measured: " + blind.Error(),
			})
			continue
		}
		r := analysis.JudgeAmong(m.among, a, m.tried, m.stable, m.baseline, now)
		if a.Metric == analysis.Restarts && r.Verdict == analysis.Fail && ended != "" {
			r.Text += "; " + ended
		}
		m.readings = append(m.readings, r)
	}
	m.judged, m.counted = now, false
	return m.readings
}
