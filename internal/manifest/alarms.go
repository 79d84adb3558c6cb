package manifest

import (
	"fmt"
	"slices"
	"strings"

	"titrate/internal/analysis"
)

// judged is what kind of workload alarms watch.
type judged int

const (
	ofService  judged = iota
	ofWorker          // takes no requests
	ofFunction        // is called
)

// blind says why a metric never has data of a workload of that kind; empty: it has.
func (k judged) blind(m analysis.Metric) (why, hint string) {
	switch {
	case k == ofWorker && aboutRequests(m):
		return "is a worker", "workers have cpu, memory and restarts"
	case k != ofFunction && m.OfFunctions():
		return "is no function", "services have 5xx, 4xx, errors, p50 … p999, rps, cpu, memory and restarts"
	}
	return "", ""
}

// defaults are the alarms of a workload about which nothing was said.
func (k judged) defaults() []analysis.Alarm {
	if k == ofFunction {
		return analysis.FunctionDefaults()
	}
	return analysis.Defaults()
}

// alarms merges alarms by name. Those that would never have data and were meant for
// all workloads fall away: about requests of a worker, about calls of a service.
func (c candidate) alarms(kind judged) []analysis.Alarm {
	merged := map[string]alarmEntry{}
	spoken := false
	for i, l := range c.layers {
		set := pick(alarmSet{}, "alarms", l)
		spoken = spoken || l["alarms"].key != nil && !c.meantForFunctions(kind, set)
		if set.none {
			clear(merged)
		}
		for name, a := range set.by {
			if a.alarm == nil {
				delete(merged, name)
				continue
			}
			if why, hint := kind.blind(a.alarm.Metric); c.mine[i] && why != "" {
				code := codeWorker
				if a.alarm.Metric.OfFunctions() {
					code = codeForFunctions
				}
				c.f.r.fault(a.key, Problem{Code: code, Path: a.path, Message: fmt.Sprintf("%s %s: %s never has data", c.workload.name, why, a.alarm.Metric), Hint: hint})
			}
			merged[name] = a
		}
	}
	var out []analysis.Alarm
	for _, a := range merged {
		out = append(out, *a.alarm)
	}
	if !spoken {
		out = kind.defaults()
	}
	out = slices.DeleteFunc(out, func(a analysis.Alarm) bool { why, _ := kind.blind(a.Metric); return why != "" })
	if len(out) == 0 {
		return nil
	}
	slices.SortFunc(out, func(a, b analysis.Alarm) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// meantForFunctions reports whether all alarms of a table are about calls, of a
// workload that is no function: then nothing was said about it.
func (c candidate) meantForFunctions(kind judged, set alarmSet) bool {
	if kind == ofFunction || set.none || len(set.by) == 0 {
		return false
	}
	for _, a := range set.by {
		if a.alarm == nil || !a.alarm.Metric.OfFunctions() {
			return false
		}
	}
	return true
}

// aboutRequests reports whether a metric counts or times requests.
func aboutRequests(m analysis.Metric) bool {
	return m != analysis.CPU && m != analysis.Memory && m != analysis.Restarts
}
