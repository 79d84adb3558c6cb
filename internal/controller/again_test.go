package controller_test

import (
	"errors"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

// apart is a group that was promoted twice, whose third version was aborted, and of which
// orders went back alone to its first.
func apart(t *testing.T) (p *place, group string, rollouts []int64) {
	t.Helper()
	p, group = newPlace(t), cofe+"together: [orders, payments]\n"
	for _, n := range []string{"1", "2"} {
		d := p.deliver(group, map[string]string{"orders": "o" + n, "payments": "p" + n})
		rollouts = append(rollouts, d.Rollouts...)
		for _, id := range d.Rollouts {
			p.ended(id, rollout.Promoted)
		}
	}
	aborted := p.deliver(group, map[string]string{"orders": "o3", "payments": "p3"}).Rollouts[0]
	p.tick()
	if _, err := p.Command(t.Context(), aborted, rollout.Command{Verb: rollout.Abort, By: "ana"}); err != nil {
		t.Fatal(err)
	}
	p.ended(aborted, rollout.Aborted)
	orders := production
	orders.Workload = "orders"
	back, err := p.Rollback(t.Context(), orders, controller.Destination{}, "ana")
	if err != nil {
		t.Fatal(err)
	}
	p.ended(back.Rollouts[0], rollout.Promoted)
	return p, group, append(rollouts, aborted, back.Rollouts[0])
}

// toTry is what each workload that stays behind is told to try again.
func toTry(d controller.Delivered) map[string]string {
	out := map[string]string{}
	for _, e := range d.Workloads {
		if e.What == controller.Behind {
			out[e.Key.Workload] = e.Again
		}
	}
	return out
}

// What a push says of what stays behind names the version, and a retry of what went back
// says which it would have to be: the last rollout led to what is stable.
func TestR9_whatStaysBehindSaysWhatToTryAgain(t *testing.T) {
	t.Parallel()
	p, group, ids := apart(t)
	d := p.deliver(group, map[string]string{"orders": "o3", "payments": "p3"})
	if got := toTry(d); len(got) != 2 || got["orders"] != "cofe/orders@v3" || got["payments"] != "cofe/payments@v3" {
		t.Fatalf("%v", got)
	}
	_, err := p.Command(t.Context(), ids[len(ids)-1], rollout.Command{Verb: rollout.Retry, By: "ana"})
	var no *controller.Problem
	if !errors.As(err, &no) || !strings.Contains(no.Message, "stable already") || no.Hint != "titrate rollout retry cofe/orders@v3 --env production" {
		t.Fatalf("%+v", err)
	}
	if s := p.status("orders"); s.Refused != 3 {
		t.Errorf("the status names v%d", s.Refused)
	}
	r, err := p.Command(t.Context(), ids[len(ids)-2], rollout.Command{Verb: rollout.Retry, By: "ana"})
	if err != nil || len(r.Plan.Members) != 2 {
		t.Fatalf("%+v, %v", r.Plan, err)
	}
	p.ended(r.Plan.Rollout, rollout.Promoted)
}

// A member that went back alone comes again alone, and what waited for it with it.
func TestR9_aMemberThatWentBackAloneComesAgainAlone(t *testing.T) {
	t.Parallel()
	p, group, ids := apart(t)
	fix := map[string]string{"orders": "o2", "payments": "p4"}
	if got := toTry(p.deliver(group, fix)); len(got) != 2 || got["orders"] != "cofe/orders@v2" || got["payments"] != "cofe/orders@v2" {
		t.Fatalf("%v", got)
	}
	second := ids[len(ids)-3]
	r, err := p.Command(t.Context(), second, rollout.Command{Verb: rollout.Retry, By: "ana"})
	if err != nil || len(r.Plan.Members) != 1 || r.Plan.Members[0].Workload != "orders" || r.Plan.Members[0].Candidate != 2 {
		t.Fatalf("%+v, %v", r.Plan, err)
	}
	p.ended(r.Plan.Rollout, rollout.Promoted)
	d := p.deliver(group, fix)
	if len(toTry(d)) != 0 || len(d.Rollouts) != 1 {
		t.Fatalf("%+v", d)
	}
	p.ended(d.Rollouts[0], rollout.Promoted)
	if s := p.hands.split("orders") + ", " + p.hands.split("payments"); s != "v2 100 %, v4 100 %" {
		t.Error(s)
	}
}
