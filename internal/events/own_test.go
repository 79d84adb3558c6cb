package events

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func worldOf(workloads ...world.Workload) world.Wanted { return world.Wanted{Workloads: workloads} }

func onTime(expression string) rollout.Triggers {
	return rollout.Triggers{Schedules: []rollout.ScheduleTrigger{{Expression: expression}}}
}

func timeOf(t *testing.T, m made) string {
	t.Helper()
	var e struct {
		Version, ID, Source, Account, Time, Region string
		Kind                                       string `json:"detail-type"`
		Resources                                  []string
		Detail                                     map[string]any
	}
	must(t, json.Unmarshal(m.Payload, &e))
	if e.Kind != "Scheduled Event" || e.Source != "aws.events" || e.Version != "0" || e.ID == "" || e.Account != "000000000000" || e.Region != "local" ||
		len(e.Resources) != 1 || e.Detail == nil {
		t.Errorf("%s", m.Payload)
	}
	return e.Time
}

func TestTimer_firesWhenItIsDue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("nightly", onTime("cron(5 12 * * ? *)")))
	b.run()
	for range 5 {
		b.pass(lookAgain)
	}
	m := b.next()
	if at := timeOf(t, m); at != "2026-11-28T12:05:00Z" || m.at.Before(noon.Add(5*time.Minute)) || m.Source != "timer cron(5 12 * * ? *)" {
		t.Error(at, m.at, m.Source)
	}
	m.say(byStable)
	b.hands.armed(t, b.hands.Now().Add(lookAgain))
	b.hands.move(24 * time.Hour)
	if at := timeOf(t, b.next()); at != "2026-11-29T12:05:00Z" {
		t.Error(at)
	}
}

func TestTimer_inputAndZone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	triggers := onTime("0 18 * * *")
	triggers.Schedules[0].Zone, triggers.Schedules[0].Input = "Asia/Tokyo", []byte(`{"a":1}`)
	b.apply(function("nightly", triggers))
	b.run()
	b.hands.armed(t, noon.Add(lookAgain))
	b.hands.move(21 * time.Hour)
	m := b.next()
	if string(m.Payload) != `{"a":1}` || m.at.Before(time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("%s at %s", m.Payload, m.at)
	}
	triggers.Schedules[0].Zone = "Asia/Nowhere"
	if err := b.Apply(worldOf(function("nightly", triggers))); err == nil || !strings.Contains(err.Error(), "Asia/Nowhere") {
		t.Error(err)
	}
}

// What a node missed while it was down fires once, if it is not too old, and what it had
// stored does not fire again.
func TestTimer_aNodeThatWasDownFiresTheLastMissed(t *testing.T) {
	t.Parallel()
	dir, h := t.TempDir(), newHands()
	world := function("often", onTime("rate(1 hour)"))
	for _, c := range []struct {
		down time.Duration
		due  string
	}{{0, ""}, {3*time.Hour + time.Minute, "2026-11-28T15:00:00Z"}, {0, ""}, {50 * time.Hour, "2026-11-30T17:00:00Z"}} {
		h.move(c.down)
		b := open(t, dir, h)
		b.apply(world)
		b.fire(t.Context())
		b.fire(t.Context())
		b.run()
		if c.due != "" {
			m := b.next()
			if at := timeOf(t, m); at != c.due {
				t.Errorf("%s, not %s", at, c.due)
			}
			m.say(byStable)
		}
		b.stop()
		if n := b.left("often/events"); n != 0 {
			t.Errorf("%d more", n)
		}
		must(t, b.Close())
	}
	// The last one missed is older than the bound.
	b := open(t, dir, h)
	b.apply(function("often", onTime("at(2026-12-01T00:00:00)")))
	must(t, b.Close())
	h.move(3 * 24 * time.Hour)
	b = open(t, dir, h)
	b.apply(function("often", onTime("at(2026-12-01T00:00:00)")))
	b.fire(t.Context())
	if n := b.left("often/events"); n != 0 {
		t.Errorf("%d of three days ago", n)
	}
}

func TestTimer_oneThatComesBackHasMissedNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	often := function("often", onTime("rate(1 hour)"))
	b.apply(often)
	b.apply(function("often", rollout.Triggers{}))
	b.hands.move(2 * time.Hour)
	b.apply(often)
	b.fire(t.Context())
	if n := b.left("often/events"); n != 0 {
		t.Errorf("%d fired", n)
	}
}

func TestTopic_everyFunctionThatSubscribesIsCalled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	onTopic := rollout.Triggers{Topics: []string{"news"}}
	b.apply(function("mail", onTopic), function("push", onTopic))
	id, err := b.Publish(t.Context(), app, env, "news", Message{Body: []byte("hello"), Subject: "hi", Attributes: map[string]Attribute{"who": {"String", []byte("Ada")}}})
	must(t, err)
	b.run()
	called := map[string]bool{}
	for range 2 {
		m := b.next()
		called[m.key.Workload] = true
		var e struct {
			Records []struct {
				EventSource, EventVersion, EventSubscriptionArn string
				Sns                                             map[string]any
			}
		}
		must(t, json.Unmarshal(m.Payload, &e))
		r := e.Records[0]
		if r.EventSource != "aws:sns" || r.EventVersion != "1.0" || !strings.HasPrefix(r.EventSubscriptionArn, "arn:aws:sns:local:000000000000:news:") {
			t.Errorf("%+v", r)
		}
		got, err := json.Marshal(r.Sns)
		must(t, err)
		want := `{"Message":"hello","MessageAttributes":{"who":{"Type":"String","Value":"Ada"}},"MessageId":"` + id + `","Signature":"","SignatureVersion":"1",` +
			`"SigningCertUrl":"","Subject":"hi","Timestamp":"2026-11-28T12:00:00.000Z","TopicArn":"arn:aws:sns:local:000000000000:news","Type":"Notification","UnsubscribeUrl":""}`
		if string(got) != want {
			t.Errorf("%s\nis not\n%s", got, want)
		}
		m.say(byStable)
	}
	b.stop()
	if !called["mail"] || !called["push"] || b.left("mail/events")+b.left("push/events") != 0 {
		t.Error(called)
	}
	b.apply(function("mail", rollout.Triggers{}))
	if _, err := b.Publish(t.Context(), app, env, "news", Message{Body: []byte("to nobody")}); err != nil {
		t.Error(err)
	}
	if n := b.left("mail/events"); n != 0 {
		t.Errorf("%d", n)
	}
}

func TestInvoke_isTriedThriceAndThenKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", rollout.Triggers{}))
	b.run()
	b.aside()
	id, err := b.Invoke(t.Context(), key("paid"), []byte(`{"n":1}`), Which{})
	must(t, err)
	var at []time.Time
	for i := range tries {
		if i > 0 {
			b.pass(time.Duration(i) * time.Minute)
		}
		m := b.next()
		if m.ID != id || string(m.Payload) != `{"n":1}` || m.Stable || m.Version != 0 || m.Source != "invoke" {
			t.Fatalf("%+v", m)
		}
		at = append(at, m.at)
		m.say(Delivered{Version: 2, Failure: invocation.Exit})
		again := b.next() // R25
		if again.ID != id || !again.Stable {
			t.Fatalf("%+v", again)
		}
		again.say(Delivered{Version: 1, Stable: true, Failure: invocation.Exit})
	}
	b.stop()
	if at[1].Sub(at[0]) < time.Minute || at[2].Sub(at[1]) < 2*time.Minute {
		t.Error(at)
	}
	if b.left("paid/events") != 0 || b.left(graveyard) != 1 {
		t.Fatal("it was not given up")
	}
	if n, err := b.Redrive(t.Context(), app, env, graveyard, 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	b.run()
	if m := b.next(); m.ID != id {
		t.Errorf("%+v", m)
	} else {
		m.say(byStable)
	}
}

func TestInvoke_aVersionThatWasAskedForIsNotReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(withVersion(function("paid", rollout.Triggers{}), 2))
	b.run()
	b.aside()
	_, err := b.Invoke(t.Context(), key("paid"), nil, Which{Version: 2})
	must(t, err)
	m := b.next()
	if m.Version != 2 || string(m.Payload) != "null" {
		t.Errorf("%+v", m)
	}
	m.say(Delivered{Version: 2, Failure: invocation.Exit})
	b.pass(time.Minute)
	if m := b.next(); m.Stable || m.Version != 2 || m.at.Sub(noon) < time.Minute {
		t.Errorf("%+v", m)
	}
}

func withVersion(w world.Workload, v rollout.Version) world.Workload {
	f := w.Fleets[0]
	f.Version = v
	w.Fleets = append(w.Fleets, f)
	return w
}

// As in Lambda: what can never be handled is not tried until it is too old, and nothing
// waits behind it.
func TestInvoke_aVersionThatRunsNoMoreHoldsNothingUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(withVersion(function("paid", rollout.Triggers{}), 2))
	_, err := b.Invoke(t.Context(), key("paid"), []byte("1"), Which{Version: 2})
	must(t, err)
	b.apply(function("paid", rollout.Triggers{}))
	_, err = b.Invoke(t.Context(), key("paid"), []byte("2"), Which{})
	must(t, err)
	b.run()
	if m := b.next(); string(m.Payload) != "2" {
		t.Errorf("%+v", m)
	} else {
		m.say(byStable)
	}
	b.stop()
	if b.left(graveyard) != 1 || b.left("paid/events") != 0 {
		t.Error("it was not given up")
	}
}

func TestInvoke_theStableOneIsWhatIsStableThen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", rollout.Triggers{}))
	_, err := b.Invoke(t.Context(), key("paid"), nil, Which{Stable: true})
	must(t, err)
	later := withVersion(function("paid", rollout.Triggers{}), 2)
	later.Stable = 2
	b.apply(later)
	b.run()
	b.aside()
	m := b.next()
	if !m.Stable || m.Version != 0 {
		t.Errorf("%+v", m)
	}
	m.say(Delivered{Version: 2, Stable: true, Failure: invocation.Exit})
	b.pass(time.Minute)
	if m := b.next(); !m.Stable || m.at.Sub(noon) < time.Minute {
		t.Errorf("it is tried again by what is stable, later: %+v", m)
	}
}

func TestInvoke_whatReachesNobodyIsKeptAfterSixHours(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", rollout.Triggers{}))
	_, err := b.Invoke(t.Context(), key("paid"), nil, Which{})
	must(t, err)
	b.hands.move(maxAge + time.Second)
	b.run()
	_, err = b.Invoke(t.Context(), key("paid"), []byte("2"), Which{})
	must(t, err)
	if m := b.next(); string(m.Payload) != "2" {
		t.Errorf("%+v", m)
	} else {
		m.say(byStable)
	}
	b.stop()
	if b.left(graveyard) != 1 {
		t.Error("it is gone")
	}
}

func TestAges_areThoseOfTheOldest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", onQueue("orders", 1)), function("idle", rollout.Triggers{}))
	b.send("orders", "a")
	b.hands.move(time.Minute)
	b.send("orders", "b")
	_, err := b.Invoke(t.Context(), key("paid"), nil, Which{})
	must(t, err)
	if ages := b.Ages(t.Context()); len(ages) != 2 || ages[key("paid")] != time.Minute || ages[key("idle")] != 0 {
		t.Error(ages)
	}
}
