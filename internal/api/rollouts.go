package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
	"titrate/internal/rollout"
	"titrate/internal/store"
	"titrate/internal/world"
)

// RolloutPath is the part of an address that names a rollout.
type RolloutPath struct {
	ID int64 `path:"id" minimum:"1" doc:"number of the rollout"`
}

func (s *server) registerRollouts(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/rollouts", "rollouts", "Rollouts, newest first"), handle(s, s.rollouts))
	huma.Register(api, operation(http.MethodGet, "/rollouts/{id}", "rollout", "One rollout"), handle(s, s.rollout))
	huma.Register(api, operation(http.MethodGet, "/rollouts/{id}/history", "history", "Its stored decisions, oldest first"), handle(s, s.history))
	huma.Register(api, operation(http.MethodGet, "/rollouts/{id}/explain", "explain", "Why it is where it is"), handle(s, s.explain))
	huma.Register(api, operation(http.MethodPost, "/rollouts/{id}/replay", "replay", "Feed its history through the core again"), handle(s, s.replay))
	huma.Register(api, operation(http.MethodPost, "/rollouts/{id}/commands", "command", "Steer it; answers when that is stored and has been looked at"), handle(s, s.command))
}

func filterOf(k rollout.Key, limit int) store.Filter {
	return store.Filter{App: k.App, Env: k.Env, Workload: k.Workload, Limit: limit}
}

func (s *server) rollouts(ctx context.Context, in *struct {
	App      string `query:"app"`
	Env      string `query:"env"`
	Workload string `query:"workload"`
	Release  int    `query:"release" minimum:"0"`
	Version  int    `query:"version" minimum:"0" doc:"only those that move a candidate of that version"`
	Active   bool   `query:"active" doc:"only those without an outcome"`
	Limit    int    `query:"limit" default:"50" minimum:"1" maximum:"500"`
},
) ([]client.Rollout, error) {
	f := store.Filter{App: in.App, Env: in.Env, Workload: in.Workload, Release: rollout.Release(in.Release), Live: in.Active, Limit: 500}
	rs, err := s.Store.Rollouts(ctx, f)
	if err != nil {
		return nil, err
	}
	out := []client.Rollout{}
	for _, r := range rs {
		if in.Active && r.State.Over() || in.Version != 0 && !moves(r.Plan, rollout.Version(in.Version)) || len(out) == in.Limit {
			continue
		}
		out = append(out, s.wireRollout(r))
	}
	return out, nil
}

func moves(p rollout.Plan, v rollout.Version) bool {
	for _, m := range p.Members {
		if m.Candidate == v {
			return true
		}
	}
	return false
}

func (s *server) rollout(ctx context.Context, in *RolloutPath) (client.Rollout, error) {
	r, err := s.Store.Rollout(ctx, in.ID)
	if err != nil {
		return client.Rollout{}, err
	}
	return s.wireRollout(r), nil
}

func (s *server) history(ctx context.Context, in *RolloutPath) ([]client.Look, error) {
	if _, err := s.Store.Rollout(ctx, in.ID); err != nil {
		return nil, err
	}
	looks, err := s.Store.History(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := []client.Look{}
	for _, l := range looks {
		out = append(out, client.Look{
			Revision: l.Sequence, At: l.At, Core: l.Core, From: string(l.Before.Phase), To: string(l.After.Phase),
			Step: l.After.Step + 1, Weight: percent(l.After.Weight), Why: l.After.Why,
		})
	}
	return out, nil
}

func (s *server) explain(ctx context.Context, in *RolloutPath) (client.Explanation, error) {
	e, err := s.Controller.Explain(ctx, in.ID)
	if err != nil {
		return client.Explanation{}, err
	}
	r, err := s.Store.Rollout(ctx, in.ID)
	if err != nil {
		return client.Explanation{}, err
	}
	out := client.Explanation{Rollout: s.wireRollout(r), Summary: e.Summary, Next: e.Next, Sentences: []client.Sentence{}}
	for _, st := range e.Story {
		out.Sentences = append(out.Sentences, client.Sentence{At: st.At, Text: st.Text})
	}
	out.Requests = s.failures(ctx, r)
	return out, nil
}

// sampleLines is how many log lines go with an explanation.
const sampleLines = 5

// failures are the last lines in which the candidate of a rollout that went back
// said what was wrong: what an alarm cannot say.
func (s *server) failures(ctx context.Context, r rollout.Record) []string {
	if r.State.Outcome != rollout.RolledBack && r.State.Outcome != rollout.Failed && r.State.Back == nil {
		return nil
	}
	at := 0
	if b := r.State.Back; b != nil && b.Member > 0 {
		at = b.Member
	}
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	k, v := r.Plan.Key(at), r.Plan.Members[at].Candidate
	var bad []string
	said := map[string]bool{} // each complaint once
	// Lines that cannot be read must not hide the explanation.
	_ = s.Node.Logs(ctx, world.LogQuery{App: k.App, Env: k.Env, Workload: k.Workload, Version: v, Since: r.Opened, Last: 2000}, func(l world.LogLine) bool {
		if complains(l) && !said[message(l.Text)] {
			said[message(l.Text)] = true
			bad = append(bad, l.Text)
		}
		return true
	})
	return bad[max(0, len(bad)-sampleLines):]
}

var moment = regexp.MustCompile(`[0-9][0-9:./TZ+-]*`)

// message is a log line without its times and other numbers, by which it is known
// again.
func message(text string) string { return moment.ReplaceAllString(text, "#") }

func complains(l world.LogLine) bool {
	text := strings.ToLower(l.Text)
	for _, word := range []string{"panic", "error", "fatal", "exception"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return l.Stream == "stderr"
}

func (s *server) replay(ctx context.Context, in *RolloutPath) (client.Replay, error) {
	got, err := s.Controller.Replay(ctx, in.ID)
	if err != nil {
		return client.Replay{}, err
	}
	return client.Replay{Rollout: got.Rollout, Looks: got.Looks, Agrees: got.Agrees(), Differs: strings.Join(got.Problems, "; ")}, nil
}

func (s *server) command(ctx context.Context, in *struct {
	RolloutPath
	Body client.CommandRequest
},
) (client.Rollout, error) {
	if p := s.allow(ctx, verbs[in.Body.Verb], in.Body.Verb); p != nil {
		return client.Rollout{}, p
	}
	cmd := rollout.Command{Verb: rollout.Verb(in.Body.Verb), By: who(ctx), Weight: rollout.Percent(in.Body.Weight), Step: max(in.Body.Step-1, 0), Reason: in.Body.Reason}
	if in.Body.For != "" {
		d, err := time.ParseDuration(in.Body.For)
		if err != nil || d <= 0 {
			return client.Rollout{}, problem(http.StatusUnprocessableEntity, "T0803", fmt.Sprintf("%q is no duration\n  help    30m, 2h", in.Body.For))
		}
		cmd.For = d
	}
	r, err := s.Controller.Command(ctx, in.ID, cmd)
	if err != nil {
		return client.Rollout{}, err
	}
	if r.Plan.Rollout != in.ID || r.State.Over() { // a retry of what had ended, or nothing to do
		return s.wireRollout(r), nil
	}
	return s.obeyed(ctx, in.ID, r.State.Command)
}

// obeyIn is how long a command's answer waits until it has been looked at. It is
// stored by then: a server that is slow carries it out later.
const obeyIn = 5 * time.Second

// obeyLook is how often it is looked for: a command that changes nothing which
// people need to hear of makes no event.
const obeyLook = 50 * time.Millisecond

// obeyed waits until a command after the one numbered before was carried out or
// refused.
func (s *server) obeyed(ctx context.Context, id, before int64) (client.Rollout, error) {
	r, err := Obeyed(ctx, s.Store, id, before)
	if err != nil {
		return client.Rollout{}, err
	}
	return s.wireRollout(r), nil
}

// Obeyed waits until a command of a rollout after the one numbered before was carried out
// or refused, for a while, and returns the rollout as it stands then.
func Obeyed(ctx context.Context, st *store.Store, id, before int64) (rollout.Record, error) {
	deadline, tick := time.NewTimer(obeyIn), time.NewTicker(obeyLook)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		heard := st.Heard()
		r, err := st.Rollout(ctx, id)
		if err != nil || r.State.Command > before {
			return r, err
		}
		select {
		case <-heard:
		case <-tick.C:
		case <-deadline.C:
			return r, nil
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}
