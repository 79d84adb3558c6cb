package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"titrate/client"
	"titrate/internal/analysis"
	"titrate/internal/certificate"
	"titrate/internal/controller"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func percent(w rollout.Weight) float64 { return float64(w) / 100 }

// environments returns an app's environments with their workloads as they stand.
func (s *server) environments(ctx context.Context, app string) ([]client.Environment, error) {
	shares := s.shares(ctx)
	envs := []client.Environment{}
	for _, st := range s.Controller.Status(app, "") {
		if len(envs) == 0 || envs[len(envs)-1].Name != st.Key.Env {
			envs = append(envs, client.Environment{Name: st.Key.Env})
		}
		w := s.wireWorkload(st, shares[st.Key])
		if r, ok, err := s.lastRollout(ctx, st); err != nil {
			return nil, err
		} else if ok {
			wire := s.wireRollout(r)
			w.Rollout = &wire
		}
		e := &envs[len(envs)-1]
		e.Workloads = append(e.Workloads, w)
	}
	for i := range envs {
		if as := s.wireAccessories(app, envs[i].Name); len(as) > 0 {
			envs[i].Accessories = as
		}
	}
	return envs, nil
}

// shares asks the node how requests were drawn; without an answer nothing was
// observed, which is what the answer says then.
func (s *server) shares(ctx context.Context) map[rollout.Key]world.Shares {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	all, err := s.Node.Shares(ctx)
	if err != nil {
		return nil
	}
	byKey := map[rollout.Key]world.Shares{}
	for _, sh := range all {
		byKey[sh.Key] = sh
	}
	return byKey
}

// lastRollout is the one in progress, else the newest.
func (s *server) lastRollout(ctx context.Context, st controller.WorkloadStatus) (rollout.Record, bool, error) {
	if st.Rollout != 0 {
		r, err := s.Store.Rollout(ctx, st.Rollout)
		return r, err == nil, err
	}
	rs, err := s.Store.Rollouts(ctx, filterOf(st.Key, 1))
	if err != nil || len(rs) == 0 {
		return rollout.Record{}, false, err
	}
	return rs[0], true, nil
}

func (s *server) wireWorkload(st controller.WorkloadStatus, shares world.Shares) client.Workload {
	w := client.Workload{
		Name: st.Key.Workload, Health: health(st), Outcome: string(st.Outcome.Outcome),
		Sync: string(st.Sync.State), Synced: st.Sync.State == controller.AsAsked,
		Stable: int(st.Stable), Refused: int(st.Refused), Orphaned: int(st.Orphaned), URLs: URLs(s.About.Gateway, s.About.HTTPS, st.Hosts, st.Routes), Versions: []client.Version{}, Instances: []client.Instance{},
	}
	if w.Health == "degraded" || w.Health == "down" {
		w.Why = st.Health.Why
	}
	if st.Sync.Why != "" {
		w.Sync += ": " + st.Sync.Why
	}
	if shares.Off {
		w.Sync += "; the observed split is not the asked one"
		w.Synced = false
	}
	var drawn uint64
	for _, o := range shares.Versions {
		drawn += o.Drawn
	}
	for _, v := range st.Versions {
		wire := client.Version{
			Version: int(v.Version), Release: int(v.Release), Commit: v.Commit, Role: role(st, v.Version), Asked: percent(v.Asked),
			Served: percent(max(v.Served, 0)), Observed: -1, Ready: v.Ready, Wanted: v.Count, Restarts: v.Restarts, Refused: v.Refused,
		}
		for _, o := range shares.Versions {
			if o.Version != v.Version {
				continue
			}
			wire.Requests, wire.RPS, wire.Errors = o.Drawn, o.Recent.RPS, 100*o.Recent.Failed
			wire.Shielded, wire.Failures, wire.Unshielded = o.Shielded, o.Served.Sum(), client.Unshielded(o.Served)
			wire.P50, wire.P99 = ms(o.Recent.P50), ms(o.Recent.P99)
			if drawn > 0 {
				wire.Observed = 100 * float64(o.Drawn) / float64(drawn)
			}
		}
		w.Versions = append(w.Versions, wire)
	}
	for _, i := range st.Instances {
		w.Instances = append(w.Instances, client.Instance{
			ID: i.ID, Version: int(i.Version), State: string(i.State), PID: i.PID, Addr: i.Addr, Since: i.Since, Restarts: i.Restarts, Last: i.Last, Why: i.Why,
		})
	}
	return w
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func health(st controller.WorkloadStatus) string {
	switch st.Health.State {
	case controller.Healthy:
		return "healthy"
	case controller.Degraded:
		return "degraded"
	case controller.Unhealthy:
		return "down"
	case controller.Starting:
		if st.Rollout == 0 { // what should have started has failed
			return "down"
		}
		return "starting"
	case controller.Unknown:
		return "unknown"
	}
	return string(st.Health.State)
}

func role(st controller.WorkloadStatus, v rollout.Version) string {
	switch v {
	case st.Stable:
		return "stable"
	case st.Candidate:
		return "candidate"
	}
	return "old"
}

// URLs are where a workload with these hosts and routes answers from outside, by the
// URL of the gateway, and the form of one over TLS (client.Server.HTTPS).
func URLs(gateway, secure string, hosts, routes []string) []string {
	_, port, _ := strings.Cut(strings.TrimPrefix(gateway, "http://"), ":")
	var out []string
	if len(hosts) == 0 {
		for _, r := range routes {
			out = append(out, gateway+r)
		}
		return out
	}
	if len(routes) == 0 {
		routes = []string{""}
	}
	for _, h := range hosts {
		base := "http://" + h + ":" + port
		if secure != "" && certificate.Public(h) {
			base = strings.Replace(secure, "HOST", h, 1)
		}
		for _, r := range routes {
			out = append(out, base+r)
		}
	}
	return out
}

// wireRollout tells of a rollout, with what was seen of it last while it lives.
func (s *server) wireRollout(r rollout.Record) client.Rollout {
	p, st := r.Plan, r.State
	seen, live := s.Controller.Last(p.Rollout)
	out := client.Rollout{
		ID: p.Rollout, App: p.App, Env: p.Env, Release: int(p.Release), Kind: string(p.Kind), Strategy: p.Strategy,
		Phase: string(st.Phase), Outcome: string(st.Outcome), Why: st.Why, Step: st.Step + 1, Weight: percent(st.Weight), Attempt: st.Attempt,
		Arrived: st.Arrived, Refused: st.Refused, Notices: st.Notices, Opened: r.Opened, Since: st.Since, By: r.By, Revision: r.Revision,
		Members: []client.Member{}, Steps: []client.Step{},
	}
	if p.Damage.Bounds() {
		out.Damage = p.Damage.String()
	}
	switch {
	case st.NoBaseline:
		out.Label = "no baseline"
	case st.Unmeasured:
		out.Label = "unmeasured"
	}
	for _, step := range p.Steps {
		out.Steps = append(out.Steps, client.Step{Weight: percent(step.Weight), Hold: step.Hold.Seconds(), Approve: step.Approve, Hook: step.Hook})
	}
	for i, m := range p.Members {
		out.Members = append(out.Members, wireMember(m, st, seen, i))
	}
	if st.Pause != nil {
		out.Pause = &client.Pause{Owner: st.Pause.Owner, Reason: st.Pause.Reason, Since: st.Pause.Since, Until: st.Pause.Until}
	}
	if st.Back != nil && st.Back.Evidence != nil {
		a := wireReading(*st.Back.Evidence)
		if st.Back.Member >= 0 && st.Back.Member < len(p.Members) {
			a.Workload = p.Members[st.Back.Member].Workload
		}
		out.Evidence = &a
	}
	if st.Over() {
		s.present(&out)
	}
	if live && !st.Over() {
		s.previews(&out, p)
		w := rollout.Waiting(p, st, seen, s.Controller.Now())
		out.Wait = client.Wait{For: w.For, Until: w.Until, Then: w.Then, Person: w.Person}
	}
	return out
}

// present fills in how many instances of an ended rollout's candidates are ready now:
// nothing looks at it any more, and what it saw last is old.
func (s *server) present(out *client.Rollout) {
	for _, st := range s.Controller.Status(out.App, out.Env) {
		for i, m := range out.Members {
			for _, v := range st.Versions {
				if m.Workload == st.Key.Workload && m.Candidate == int(v.Version) {
					out.Members[i].Ready = v.Ready
				}
			}
		}
	}
}

// previewed is how long a preview address that was given out leads somewhere.
const previewed = time.Hour

// previews adds where each candidate that runs is reached past the split.
func (s *server) previews(out *client.Rollout, p rollout.Plan) {
	for i, m := range p.Members {
		if s.Preview != nil && out.Members[i].Ready > 0 {
			out.Members[i].Preview = s.Preview(p.Key(i), m.Candidate, s.Controller.Now().Add(previewed))
		}
	}
}

func wireMember(m rollout.Member, st rollout.State, seen rollout.Seen, i int) client.Member {
	out := client.Member{Workload: m.Workload, Candidate: int(m.Candidate), Instances: m.Instances}
	if i < len(st.Stable) {
		out.Stable = int(st.Stable[i])
	}
	if i >= len(seen.Members) {
		return out
	}
	out.Ready, out.Failure = seen.Members[i].Ready, seen.Members[i].Failure
	for _, reading := range seen.Members[i].Readings {
		a := wireReading(reading)
		for _, alarm := range m.Alarms {
			if alarm.Name == reading.Alarm {
				a.Rule = alarm.Text
			}
		}
		out.Alarms = append(out.Alarms, a)
	}
	return out
}

func wireReading(r analysis.Reading) client.Alarm {
	a := client.Alarm{
		Name: r.Alarm, Verdict: string(r.Verdict), Abstains: r.Abstains, Error: r.Err, Value: finite(r.Value), Limit: finite(r.Limit),
		Requests: r.Requests, Bad: r.Bad, Min: r.Min, Breaching: fmt.Sprintf("%d of %d (%d)", r.Breaching, r.N, r.M),
		Since: r.Since, Closed: r.Closed, Text: r.Text,
	}
	if r.StableKnown {
		v := finite(r.Stable)
		a.Stable = &v
	}
	return a
}

// finite keeps JSON, which has no infinity, from failing on one.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

var destinationForm = regexp.MustCompile(`^([rv])([1-9][0-9]{0,8})$`)

// destination reads r41 or v17; empty is the version before.
func destination(to string) (controller.Destination, error) {
	if to == "" {
		return controller.Destination{}, nil
	}
	m := destinationForm.FindStringSubmatch(to)
	if m == nil {
		return controller.Destination{}, problem(http.StatusUnprocessableEntity, "T0803", fmt.Sprintf("%q is neither a release (r41) nor a version (v17)", to))
	}
	n, _ := strconv.Atoi(m[2]) // digits only, by the pattern
	if m[1] == "r" {
		return controller.Destination{Release: rollout.Release(n)}, nil
	}
	return controller.Destination{Version: rollout.Version(n)}, nil
}

func (s *server) wireRollback(got controller.RolledBack) client.RollbackAnswer {
	out := client.RollbackAnswer{Rollouts: append(append([]int64{}, got.Aborted...), got.Rollouts...), Did: []string{}}
	for _, id := range got.Aborted {
		out.Did = append(out.Did, fmt.Sprintf("rollout #%d was in progress and is aborted: all its traffic goes back to stable", id))
	}
	for _, e := range got.Workloads {
		text := fmt.Sprintf("%s in %s: %s → %s", e.Key.Workload, e.Key.Env, e.Stable, e.Version)
		switch {
		case e.Rollout != 0:
			text += fmt.Sprintf(", rollout #%d", e.Rollout)
		case e.Why != "":
			text += ": " + e.Why
		default:
			text += ": " + string(e.What)
		}
		out.Did = append(out.Did, text)
	}
	if len(out.Did) == 0 {
		out.Did = append(out.Did, "nothing to do")
	}
	return out
}

// wireDiff tells what differs, a row for each thing that changed.
func wireDiff(d controller.Delivered) []client.Difference {
	out := []client.Difference{}
	for _, e := range d.Workloads {
		row := client.Difference{Workload: e.Key.Env + "/" + e.Key.Workload, Running: e.Stable.String(), Asked: e.Version.String(), Effect: effect(e)}
		switch e.What {
		case controller.Unchanged:
			continue
		case controller.Orphaned:
			row.Field, row.Asked = "workload", "not in the manifest"
			out = append(out, row)
			continue
		case controller.Opens, controller.InProgress, controller.Behind:
		}
		if len(e.Changed) == 0 {
			row.Field = "workload"
			out = append(out, row)
		}
		for _, c := range e.Changed {
			row.Field = c
			out = append(out, row)
		}
	}
	return out
}

func effect(e controller.Effect) string {
	switch e.What {
	case controller.Opens:
		if e.Stable == 0 {
			return "release it for the first time"
		}
		if e.Why != "" {
			return "roll it out; " + e.Why
		}
		return "roll it out"
	case controller.InProgress:
		return "change nothing: a rollout of it is in progress"
	case controller.Behind:
		return "change nothing, it is behind on purpose: " + e.Why
	case controller.Orphaned:
		return "leave it running until it is removed"
	case controller.Unchanged:
		return "change nothing"
	}
	return e.Why
}
