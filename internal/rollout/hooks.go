package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// hookGrace is how long after its timeout the node may take to say how a hook
// ended. After that it counts as lost: it may have run.
const hookGrace = 30 * time.Second

// askHooks asks for the hooks of one moment in every member that moves, and
// reports whether there are any that this attempt has not asked for yet.
func (l *look) askHooks(s State, kind HookKind) (State, bool) {
	asked := false
	for i := range l.plan.Members {
		command := l.hook(s, kind, i)
		if command == "" || !s.moves(l.plan, i) {
			continue
		}
		h := HookRecord{Kind: kind, Member: i, Command: command, Attempt: s.Attempt, Step: s.Step, Asked: l.now}
		h.Key = l.hookKey(h)
		if slices.ContainsFunc(s.Hooks, func(old HookRecord) bool { return old.Key == h.Key }) {
			continue
		}
		s.Hooks = append(slices.Clip(s.Hooks), h) // never into what the caller holds
		asked = true
	}
	return s, asked
}

// hook is member i's command at a moment, or empty.
func (l *look) hook(s State, kind HookKind, i int) string {
	hooks := &l.plan.Members[i].Hooks
	switch kind {
	case HookRelease:
		return hooks.Release
	case HookPreTraffic:
		return hooks.PreTraffic
	case HookStep:
		return l.plan.Steps[s.Step].Hook
	case HookPostTraffic:
		return hooks.PostTraffic
	case HookOnRollback:
		return hooks.OnRollback
	}
	return ""
}

// hookKey makes a hook run at most once: a release hook once per release and
// environment, whatever rollout or attempt asks; the others once per attempt.
func (l *look) hookKey(h HookRecord) string {
	p, workload := l.plan, l.plan.Members[h.Member].Workload
	switch h.Kind {
	case HookRelease:
		return fmt.Sprintf("%s/%s/%s/%s/release", p.App, p.Env, p.Release, workload)
	case HookStep:
		return fmt.Sprintf("%s/%s/rollout-%d.%d/%s/step-%d", p.App, p.Env, p.Rollout, h.Attempt, workload, h.Step+1)
	case HookPreTraffic, HookPostTraffic, HookOnRollback:
	}
	return fmt.Sprintf("%s/%s/rollout-%d.%d/%s/%s", p.App, p.Env, p.Rollout, h.Attempt, workload, h.Kind)
}

// noteHooks writes down how hooks ended.
func (l *look) noteHooks(s State) State {
	owned := false
	for i, h := range s.Hooks {
		if h.Done {
			continue
		}
		result, known := l.seen.Hooks[h.Key]
		// After a break it may have ended long ago: the next look shows it.
		late := l.now.Sub(h.Asked) >= l.plan.HookTimeout+hookGrace && l.seen.Unwatched.IsZero()
		switch {
		case known && result.Lost, (!known || result.Running) && late:
			h.Problem = "no exit record: it may have run"
			h.Done = s.Over() // nobody is asked any more
		case !known || result.Running:
			continue
		case result.TimedOut:
			h.Done, h.Problem = true, "timed out after "+span(l.plan.HookTimeout)
		default:
			h.Done, h.Exit, h.Problem = true, result.Exit, ""
		}
		if h == s.Hooks[i] {
			continue
		}
		if !owned {
			s.Hooks, owned = slices.Clone(s.Hooks), true
		}
		s.Hooks[i] = h
	}
	return s
}

// awaitHooks waits for the hooks of this attempt.
func awaitHooks(_ *look, s State) (State, bool) { return s, s.awaitsHooks() }

// awaitsHooks reports whether a hook that this attempt depends on runs. One that
// is lost is no longer awaited: a person is.
func (s State) awaitsHooks() bool {
	return slices.ContainsFunc(s.Hooks, func(h HookRecord) bool { return !h.Done && h.Problem == "" && s.counts(h) })
}

// hooksRun reports whether any hook may still run.
func (s State) hooksRun() bool {
	return slices.ContainsFunc(s.Hooks, func(h HookRecord) bool { return !h.Done })
}

// counts reports whether a hook is of this attempt, or of all as release hooks are.
func (s State) counts(h HookRecord) bool {
	return h.Kind == HookRelease || h.Attempt == s.Attempt
}

// hookFaults reports hooks that failed, and asks about those that may have run
// (R24). A release hook that failed before a retry is asked about, too: it does not
// run again, and whoever tries again may have mended what it left.
func (l *look) hookFaults(s State, report func(fault) bool) bool {
	for _, h := range s.Hooks {
		if !s.counts(h) || h.Waived || h.Exit == 0 && h.Problem == "" {
			continue
		}
		name := l.hookName(h)
		earlier := h.Attempt < s.Attempt
		f := fault{cause: h.Key, member: h.Member, asks: !h.Done || earlier}
		switch {
		case h.Problem == "":
			f.why = fmt.Sprintf("%s exited %d%s", name, h.Exit, lastLine(l.seen.Hooks[h.Key].Log))
		case h.Done:
			f.why = name + " " + h.Problem
		default:
			f.why = name + " left " + h.Problem
		}
		if earlier {
			f.why += "; it does not run again"
		}
		if !report(f) {
			return false
		}
	}
	return true
}

// hookName names a hook for people.
func (l *look) hookName(h HookRecord) string {
	return fmt.Sprintf("the %s hook of %s", h.Kind, l.plan.Members[h.Member].Workload)
}

func lastLine(log string) string {
	log = strings.TrimSpace(log)
	if log == "" {
		return ""
	}
	return ": " + log[strings.LastIndexByte(log, '\n')+1:]
}
