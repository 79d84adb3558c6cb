package manifest

import (
	"fmt"
	"slices"

	"titrate/internal/rollout"
)

// settleQueues gives each function's queues, of the environment resolved last, their
// settings: those of the file, else what suits all functions of the queue.
func (f *file) settleQueues(env *Environment) {
	slowest := map[string]taker{}
	for _, t := range f.takers {
		f.knownQueue(t)
		if t.needs > slowest[t.queue].needs {
			slowest[t.queue] = t
		}
	}
	f.takers = nil
	settings := map[string]rollout.Queue{}
	for name, t := range slowest {
		q := rollout.Queue{Name: name, Retention: defaultRetention}
		if i := slices.IndexFunc(f.queues, func(d declared) bool { return d.Name == name }); i >= 0 {
			q = f.queues[i].Queue
			if at := f.queues[i].says["visibility"]; q.Visibility != 0 && q.Visibility < t.needs {
				f.r.fault(at.key, Problem{
					Code: codeQueue, Path: at.path, Hint: "at least " + FormatDuration(t.needs),
					Message: fmt.Sprintf("%s hides a message for %s, but in %s %s may be at it for %s: it would be delivered twice", name, FormatDuration(q.Visibility), env.Name, short(t.path), FormatDuration(t.needs)),
				})
			}
		}
		if q.Visibility == 0 {
			q.Visibility = max(defaultVisibility, t.needs)
		}
		settings[name] = q
	}
	for _, s := range env.Services {
		if s.Function == nil {
			continue
		}
		for i := range s.Function.Triggers.Queues {
			q := &s.Function.Triggers.Queues[i].Queue
			*q = settings[q.Name]
		}
	}
}

// knownQueue reports a queue that stands nowhere, where there is a list of them.
func (f *file) knownQueue(t taker) {
	if f.queues == nil || f.troubled("queues") {
		return
	}
	var known []string
	for _, d := range f.queues {
		known = append(known, d.Name)
		if d.DeadLetter != "" {
			known = append(known, d.DeadLetter)
		}
	}
	if !slices.Contains(known, t.queue) && !f.r.full() {
		hint := didYouMean(t.queue, known)
		if hint == "" {
			hint = "add " + short(t.queue) + ": {} to queues"
		}
		f.r.fault(t.at.key, Problem{Code: codeQueue, Path: t.at.path, Message: "there is no queue " + quote(t.queue) + " in queues", Hint: hint})
	}
}

// saidQueues returns the queues as the file has them: a Visibility of 0 is not written.
func (f *file) saidQueues() []rollout.Queue {
	var out []rollout.Queue
	for _, d := range f.queues {
		out = append(out, d.Queue)
	}
	return out
}
