package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"titrate/client"
)

// problemOf is the problem document that err is, with its status and code.
func problemOf(t *testing.T, err error, status int, code string) *client.Problem {
	t.Helper()
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != status || p.Code != code {
		t.Fatalf("got %v (%+v), want status %d and code %s", err, p, status, code)
	}
	return p
}

func TestAPI_theLifeOfARelease(t *testing.T) {
	t.Parallel()
	i := install(t)
	ctx := t.Context()
	if r := i.release(t, "c1", over); r.Outcome != "promoted" || r.Label != "no baseline" {
		t.Fatalf("first release: %+v", r)
	}
	r := i.release(t, "c2", approval)
	if r.Weight != 10 || r.Step != 1 || len(r.Steps) != 3 || r.Members[0].Stable != 1 || r.Members[0].Candidate != 2 || r.Wait.Then == "" {
		t.Fatalf("waiting for approval: %+v", r)
	}

	for _, c := range []struct {
		req  client.CommandRequest
		want func(client.Rollout) bool
	}{
		{client.CommandRequest{Verb: "pause", Reason: "lunch", For: "1h"}, func(r client.Rollout) bool {
			return r.Pause != nil && r.Pause.Reason == "lunch" && !r.Pause.Until.IsZero()
		}},
		{client.CommandRequest{Verb: "resume"}, func(r client.Rollout) bool { return r.Pause == nil }},
		{client.CommandRequest{Verb: "set-weight", Weight: 33.33}, func(r client.Rollout) bool { return r.Weight == 33.33 }},
		{client.CommandRequest{Verb: "promote"}, func(r client.Rollout) bool { return r.Refused == "" }},
		{client.CommandRequest{Verb: "promote-full"}, func(r client.Rollout) bool { return r.Refused == "" }},
	} {
		// What is asked of a weight that has not arrived is refused, rightly.
		i.await(t, r.ID, func(r client.Rollout) bool { return !r.Arrived.IsZero() })
		began := time.Now()
		got, err := i.Command(ctx, r.ID, c.req)
		if took := time.Since(began); took > obeyIn-time.Second {
			t.Errorf("%+v was carried out only after %s", c.req, took)
		}
		if err != nil || !c.want(got) {
			t.Errorf("%+v: %+v, %v", c.req, got, err)
		}
	}
	if r = i.await(t, r.ID, over); r.Outcome != "promoted" {
		t.Fatalf("%+v", r)
	}
	if now, err := i.Rollout(ctx, r.ID); err != nil || now.Members[0].Ready != now.Members[0].Instances {
		t.Errorf("promoted and healthy, but %d of %d are ready, %v", now.Members[0].Ready, now.Members[0].Instances, err)
	}

	apps, err := i.Apps(ctx)
	if err != nil || len(apps) != 1 || apps[0].Release != 2 || apps[0].Environments[0].Workloads[0].Stable != 2 {
		t.Errorf("apps %+v, %v", apps, err)
	}
	if urls := apps[0].Environments[0].Workloads[0].URLs; len(urls) != 1 || urls[0] != "http://shop.localhost:7080" && urls[0] != "http://shop.localhost:7080/" {
		t.Errorf("urls %v", urls)
	}
	releases, err := i.Releases(ctx, "shop", 10)
	if err != nil || len(releases) != 2 || releases[0].Number != 2 || len(releases[0].Rollouts) != 1 {
		t.Errorf("releases %+v, %v", releases, err)
	}
	looks, err := i.History(ctx, r.ID)
	if err != nil || len(looks) < 4 || looks[len(looks)-1].Why == "" {
		t.Errorf("history %+v, %v", looks, err)
	}
	if e, err := i.Explain(ctx, r.ID); err != nil || strings.Count(e.Summary, "promoted") != 1 || len(e.Sentences) < 3 {
		t.Errorf("explain %+v, %v", e, err)
	}
	if p, err := i.Replay(ctx, r.ID); err != nil || !p.Agrees || p.Looks < 4 {
		t.Errorf("replay %+v, %v", p, err)
	}
	back, err := i.Rollback(ctx, "shop", client.RollbackRequest{})
	if err != nil || len(back.Rollouts) != 1 || len(back.Did) != 1 {
		t.Fatalf("rollback %+v, %v", back, err)
	}
	if r = i.await(t, back.Rollouts[0], over); r.Outcome != "promoted" || r.Members[0].Candidate != 1 || r.Kind != "rollback" {
		t.Errorf("rollback ended %+v", r)
	}
	live, err := i.Rollouts(ctx, client.RolloutQuery{App: "shop", Active: true})
	if err != nil || len(live) != 0 {
		t.Errorf("in progress: %+v, %v", live, err)
	}
	of, err := i.Rollouts(ctx, client.RolloutQuery{App: "shop", Version: 2})
	if err != nil || len(of) != 1 {
		t.Errorf("of version 2: %+v, %v", of, err)
	}
}

func TestAPI_problemsSayWhatAndWhatNext(t *testing.T) {
	t.Parallel()
	i := install(t)
	ctx := t.Context()
	i.release(t, "c1", over)
	_, err := i.App(ctx, "nothere")
	problemOf(t, err, 404, "T0802")
	_, err = i.Rollout(ctx, 99)
	problemOf(t, err, 404, "T0802")
	_, err = i.Command(ctx, 1, client.CommandRequest{Verb: "pause"})
	problemOf(t, err, 409, "T0804")
	_, err = i.Command(ctx, 1, client.CommandRequest{Verb: "explode"})
	if p := problemOf(t, err, 422, "T0803"); len(p.Errors) == 0 || !strings.Contains(p.Errors[0].Location, "verb") {
		t.Errorf("%+v", p)
	}
	_, err = i.Command(ctx, 1, client.CommandRequest{Verb: "pause", For: "soon"})
	problemOf(t, err, 422, "T0803")
	_, err = i.Rollback(ctx, "shop", client.RollbackRequest{})
	problemOf(t, err, 409, "T0804")
	_, err = i.Rollback(ctx, "shop", client.RollbackRequest{To: "yesterday"})
	problemOf(t, err, 422, "T0803")
	_, err = i.Diff(ctx, "shop", client.DiffRequest{Manifest: "titrate: 1\napp: shop\nservices: 3\n"})
	if p := problemOf(t, err, 422, "T0803"); !strings.Contains(p.Detail, "titrate.yaml:3:") {
		t.Errorf("%+v", p)
	}
	problemOf(t, i.SetSecret(ctx, "shop", "production", "9lives", "x"), 422, "T0601")
	problemOf(t, i.UnsetSecret(ctx, "shop", "production", "NONE"), 404, "T0802")
	problemOf(t, i.Remove(ctx, "shop", "production", "web"), 409, "T0804")
	problemOf(t, i.Remove(ctx, "shop", "production", "nothere"), 404, "T0802")
	_, err = i.Releases(ctx, "shop", 9999)
	problemOf(t, err, 422, "T0803")
}

func TestAPI_diffAndSecrets(t *testing.T) {
	t.Parallel()
	i := install(t)
	ctx := t.Context()
	i.release(t, "c1", over)
	same := strings.ReplaceAll(shop, "%TEXT%", "c1")
	if ds, err := i.Diff(ctx, "shop", client.DiffRequest{Manifest: same}); err != nil || len(ds) != 0 {
		t.Errorf("unchanged: %+v, %v", ds, err)
	}
	ds, err := i.Diff(ctx, "shop", client.DiffRequest{Manifest: strings.ReplaceAll(shop, "%TEXT%", "other")})
	if err != nil || len(ds) != 1 || ds[0].Running != "v1" || ds[0].Effect != "roll it out" {
		t.Errorf("changed: %+v, %v", ds, err)
	}
	if err := i.SetSecret(ctx, "shop", "production", "KEY", "correct-horse"); err != nil {
		t.Fatal(err)
	}
	list, err := i.Secrets(ctx, "shop", "production")
	if err != nil || len(list) != 1 || list[0].Name != "KEY" || list[0].Set.IsZero() {
		t.Errorf("secrets %+v, %v", list, err)
	}
	if rec := i.ask(http.MethodGet, "/api/v1/apps/shop/environments/production/secrets", "Bearer "+token); strings.Contains(rec.Body.String(), "horse") {
		t.Error("a value is told")
	}
	if err := i.UnsetSecret(ctx, "shop", "production", "KEY"); err != nil {
		t.Error(err)
	}
}

func TestAPI_saysWhatIsNotConfined(t *testing.T) {
	t.Parallel()
	about, err := install(t).Server(t.Context())
	if err != nil || about.Node != "up" || len(about.Confinement) != 1 {
		t.Errorf("%+v, %v", about, err)
	}
}

func TestAPI_logs(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.release(t, "c1", over)
	var got []client.LogLine
	err := i.Logs(t.Context(), "shop", client.LogQuery{Last: 5}, func(l client.LogLine) bool { got = append(got, l); return true })
	if err != nil || len(got) != 1 || got[0].Text != "panic: no beans" || got[0].Workload != "web" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAPI_eventsResumeAfterTheLastOneSeen reads the stream as browsers do, cuts
// it, and misses nothing.
func TestAPI_eventsResumeAfterTheLastOneSeen(t *testing.T) {
	t.Parallel()
	i := install(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	i.release(t, "c1", over)
	var all []client.Event
	if err := i.Events(ctx, 0, func(e client.Event) bool {
		all = append(all, e)
		return len(all) < 50 && !i.isLast(t, e)
	}); err != nil {
		t.Fatal(err)
	}
	if len(all) < 3 {
		t.Fatalf("events %+v", all)
	}
	middle := all[len(all)/2]
	i.release(t, "c2", approval)
	again := readEvents(ctx, t, i, middle.ID, len(all)-len(all)/2)
	if again[0].id != all[len(all)/2+1].ID {
		t.Errorf("after %d came %d, want %d", middle.ID, again[0].id, all[len(all)/2+1].ID)
	}
	for n := 1; n < len(again); n++ {
		if again[n].id <= again[n-1].id {
			t.Errorf("ids do not grow: %+v", again)
		}
	}
	rec := i.ask(http.MethodGet, "/api/v1/events?after=soon", "Bearer "+token)
	if rec.Code != http.StatusBadRequest {
		t.Errorf("got %d", rec.Code)
	}
}

func TestAPI_aReaderWhoseEventsAreKeptNoLongerIsToldToAskAnew(t *testing.T) {
	t.Parallel()
	i := install(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	i.release(t, "c1", ended)
	if err := i.store.Prune(ctx, time.Now().Add(31*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	last, err := i.store.LastEvent(ctx)
	if err != nil {
		t.Fatal(err)
	}
	i.release(t, "c2", approval)
	for _, after := range []int64{0, last - 1, 1_000_000} {
		if got := readEvents(ctx, t, i, after, 1); got[0].kind != client.EventReset {
			t.Errorf("after %d came %+v", after, got)
		}
	}
	if got := readEvents(ctx, t, i, last-1, 2); got[0].id != last || got[1].id != last+1 {
		t.Errorf("after a reset come %+v, want those after %d", got, last)
	}
	if got := readEvents(ctx, t, i, last, 1); got[0].kind == client.EventReset {
		t.Errorf("nothing was missed, but: %+v", got)
	}
}

// isLast reports whether e is the newest event of the store.
func (i *installation) isLast(t *testing.T, e client.Event) bool {
	t.Helper()
	last, err := i.store.LastEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e.ID >= last
}

type raw struct {
	id   int64
	kind string
}

// readEvents reads n events of the stream as it stands on the wire.
func readEvents(ctx context.Context, t *testing.T, i *installation, after int64, n int) []raw {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Last-Event-ID", fmt.Sprint(after))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" || resp.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("%v", resp.Header)
	}
	var got []raw
	var one raw
	for lines := bufio.NewScanner(resp.Body); len(got) < n && lines.Scan(); {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			fmt.Sscan(value, &one.id)
		case "event":
			one.kind = value
		case "data":
			got = append(got, one)
		}
	}
	if len(got) < n {
		t.Fatalf("only %+v", got)
	}
	return got
}
