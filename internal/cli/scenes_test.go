package cli

import (
	"time"

	"titrate/client"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

type scene struct {
	name string
	r    client.Rollout
}

// scenes are rollouts as a person meets them.
func scenes() []scene {
	base := client.Rollout{
		ID: 7, App: "cofe", Env: "production", Release: 42, Attempt: 1, Strategy: "Linear10PercentEvery1Minute", Opened: noon.Add(-139 * time.Second),
		Steps:   []client.Step{{Weight: 10}, {Weight: 20}, {Weight: 30}, {Weight: 100}},
		Members: []client.Member{{Workload: "orders", Stable: 41, Candidate: 42, Instances: 3, Ready: 3}},
	}
	with := func(change func(*client.Rollout)) client.Rollout {
		r := base
		r.Members = append([]client.Member(nil), base.Members...)
		change(&r)
		return r
	}
	alarms := []client.Alarm{
		{Name: "errors", Rule: "5xx > 1% for 1m", Verdict: "pass", Requests: 1204, Min: 20, Text: "5xx was 0.12 %, limit 1 %"},
		{Name: "latency", Rule: "p99 > 1.2x stable", Abstains: true, Min: 20, Text: "stable had 0 of 1000 requests"},
		{Name: "declines", Rule: "4xx > 5% for 2m", Verdict: "no-data", Requests: 14, Min: 20, Text: "14 of 20 requests"},
	}
	return []scene{
		{"first release", with(func(r *client.Rollout) {
			r.Members[0].Stable, r.Phase, r.Step = 0, "starting", 1
			r.Wait = client.Wait{For: "orders v42: 1 of 3 instances are ready", Until: noon.Add(41 * time.Second), Then: "it fails"}
			r.Members[0].Ready = 1
		})},
		{"shifting", with(func(r *client.Rollout) {
			r.Phase, r.Step, r.Weight, r.Members[0].Alarms = "shifting", 3, 30, alarms
			r.Wait = client.Wait{For: "step 3 of 4: 30 % to be held", Until: noon.Add(41 * time.Second), Then: "step 4 of 4: 100 %"}
		})},
		{"approval", with(func(r *client.Rollout) {
			r.Phase, r.Step, r.Weight = "shifting", 2, 20
			r.Wait = client.Wait{For: "a person's approval of step 2 of 4: 20 %", Then: "step 3 of 4: 30 %", Person: true}
		})},
		{"paused", with(func(r *client.Rollout) {
			r.Phase, r.Step, r.Weight, r.Attempt = "shifting", 1, 0.5, 2
			r.Pause = &client.Pause{Owner: "sara", Reason: "lunch", Until: noon.Add(time.Hour)}
			r.Wait = client.Wait{For: "paused by sara: lunch", Until: noon.Add(time.Hour), Then: "it goes on"}
		})},
		{"paused without a reason", with(func(r *client.Rollout) {
			r.Phase, r.Step, r.Weight = "shifting", 1, 10
			r.Pause = &client.Pause{Owner: "local"}
			r.Wait = client.Wait{For: "paused by local: ", Then: "step 2 of 4: 20 %"}
		})},
		{"promoted", with(func(r *client.Rollout) {
			r.Phase, r.Outcome, r.Why, r.Weight = "ended", "promoted", "promoted", 100
		})},
		{"promoted long ago", with(func(r *client.Rollout) {
			r.Phase, r.Outcome, r.Why, r.Weight, r.Members[0].Ready = "ended", "promoted", "promoted", 100, 0
		})},
		{"rolled back", with(func(r *client.Rollout) {
			r.Phase, r.Outcome, r.Why = "ended", "rolled-back", "orders v42: 5xx was 7.9 % for 2 s, limit 1 %"
		})},
		{"aborted", with(func(r *client.Rollout) { r.Phase, r.Outcome, r.Why = "ended", "aborted", "aborted by sara: not today" })},
		{"failed", with(func(r *client.Rollout) {
			r.Phase, r.Outcome, r.Why, r.Label = "ended", "failed", "orders v42 did not start", "no baseline"
			r.Members[0].Failure = "exited with status 1; its last lines:\n  no such table"
		})},
		{"two members", with(func(r *client.Rollout) {
			r.Phase, r.Weight = "baking", 100
			r.Members = append(r.Members, client.Member{Workload: "credits", Stable: 4, Candidate: 5, Instances: 1, Ready: 1, Alarms: alarms[:1]})
			r.Wait = client.Wait{For: "the bake", Until: noon.Add(10 * time.Minute), Then: "it is promoted"}
			r.Notices = []string{"the observed split is not the asked one"}
		})},
	}
}
