package sim

import (
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// hookRun is one hook that was asked for.
type hookRun struct {
	nature HookNature
	ends   time.Time
	runs   int
	result rollout.HookResult
}

// runHooks runs each hook that has not run yet: at most once, by its key (R24).
func (w *World) runHooks(hooks []world.Hook) {
	for _, h := range hooks {
		run := w.hooks[h.Key]
		if run != nil && !w.Bugs.HookAgain {
			continue
		}
		if run == nil {
			run = &hookRun{}
			w.hooks[h.Key] = run
			w.hookKeys = append(w.hookKeys, h.Key)
		}
		lasts := time.Duration(w.Rand.Int64N(int64(5 * time.Second)))
		if w.Nature != nil {
			run.nature = w.Nature(h.Workload, h.Fleet).Hooks
		}
		if run.nature == HookTimesOut {
			lasts = h.Timeout
		}
		run.runs++
		run.ends = w.Clock.Now().Add(lasts)
		run.result = rollout.HookResult{Running: true}
		w.changed = true
	}
}

func (h *hookRun) end() {
	h.result = rollout.HookResult{Log: "it ran"}
	switch h.nature {
	case HookFails:
		h.result.Exit = 1
	case HookTimesOut:
		h.result.TimedOut = true
	case HookIsLost:
		h.result.Lost = true
	case HookPasses:
	}
}
