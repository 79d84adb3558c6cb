package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/queue"
	"titrate/internal/rollout"
)

func TestQueue_theEventIsThatOfSQS(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", onQueue("orders", 10)))
	id, err := b.Send(t.Context(), app, env, "orders", Message{Body: []byte("a <b>"), Attributes: map[string]Attribute{
		"who": {Type: "String", Value: []byte("Ada")}, "raw": {Type: "Binary", Value: []byte{0, 255}},
	}})
	must(t, err)
	b.run()
	m := b.next()
	m.say(byStable)
	b.stop()
	if m.key != key("paid") || m.Stable || m.ID == "" || m.Source != "queue orders" {
		t.Errorf("%+v", m)
	}
	var event struct{ Records []map[string]any }
	must(t, json.Unmarshal(m.Payload, &event))
	r := event.Records[0]
	handle, _ := r["receiptHandle"].(string)
	delete(r, "receiptHandle")
	got, err := json.Marshal(r)
	must(t, err)
	var want map[string]any
	must(t, json.Unmarshal([]byte(fmt.Sprintf(`{"messageId":%q,"body":"a <b>",
		"attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"%d","SenderId":"000000000000","ApproximateFirstReceiveTimestamp":"%[2]d"},
		"messageAttributes":{
			"who":{"stringValue":"Ada","stringListValues":[],"binaryListValues":[],"dataType":"String"},
			"raw":{"binaryValue":"AP8=","stringListValues":[],"binaryListValues":[],"dataType":"Binary"}},
		"md5OfBody":"0a9f45a1ff19bde6f4c2fb44cc7b6cc8","eventSource":"aws:sqs",
		"eventSourceARN":"arn:aws:sqs:local:000000000000:orders","awsRegion":"local"}`, id, noon.UnixMilli())), &want))
	want["md5OfBody"] = digest([]byte("a <b>"))
	wanted, err := json.Marshal(want)
	must(t, err)
	if string(got) != string(wanted) || handle == "" {
		t.Errorf("%s\nis not\n%s", got, wanted)
	}
	if b.left("orders") != 0 {
		t.Error("what was handled is still there")
	}
}

func TestQueue_aBatchIsCollectedForItsWindow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	triggers := onQueue("orders", 25)
	triggers.Queues[0].Window = 50 * time.Second
	b.apply(function("paid", triggers))
	b.send("orders", "a", "b")
	b.run()
	b.pass(50 * time.Second) // it waits for more
	m := b.next()
	m.say(byStable)
	if m.bodies() != "ab" {
		t.Error(m.bodies())
	}
	for range 3 {
		b.send("orders", strings.Split("0123456789", "")...)
	}
	m = b.next() // it is full before the window ends
	m.say(byStable)
	if n := len(m.records()); n > 25 || n < 10 {
		t.Error(n)
	}
}

func TestQueue_callsAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	triggers := onQueue("orders", 1)
	triggers.Queues[0].Most = 0 // as many as the function may have
	b.apply(function("paid", triggers))
	b.send("orders", "a", "b", "c", "d", "e", "f", "g")
	b.run()
	var open []made
	for range 5 {
		open = append(open, b.next())
	}
	select {
	case m := <-b.calls:
		t.Errorf("a sixth call: %s", m.bodies())
	default:
	}
	for _, m := range open {
		m.say(byStable)
	}
	for range 2 {
		b.next().say(byStable)
	}
	b.stop()
	if b.left("orders") != 0 {
		t.Error("messages are left")
	}
}

func TestQueue_partialBatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer func(ids []string) string
		whole  bool
		left   int64
	}{
		{"nothing is said", func([]string) string { return `null` }, false, 0},
		{"one failed", func(ids []string) string {
			return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, ids[1])
		}, false, 1},
		{"one failed, and nobody reads it", func(ids []string) string {
			return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, ids[1])
		}, true, 0},
		{"an unknown one failed", func([]string) string { return `{"batchItemFailures":[{"itemIdentifier":"x"}]}` }, false, 3},
		{"no JSON", func([]string) string { return `{` }, false, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			triggers := onQueue("orders", 3)
			triggers.Queues[0].Whole = c.whole
			b.apply(function("paid", triggers))
			b.send("orders", "a", "b", "c")
			b.run()
			m := b.next()
			var ids []string
			for _, r := range m.records() {
				ids = append(ids, r.MessageID)
			}
			d := byStable
			d.Answer = []byte(c.answer(ids))
			if bad := m.Bad != nil && m.Bad(d.Answer); bad != (c.left == 3) {
				t.Errorf("bad: %v", bad)
			}
			m.say(d)
			b.stop()
			if n := b.left("orders"); n != c.left {
				t.Errorf("%d are left, not %d", n, c.left)
			}
		})
	}
}

func TestR25_whatACandidateFailsIsDeliveredToStable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", onQueue("orders", 3)))
	b.send("orders", "a", "b", "c")
	b.run()
	m := b.next()
	d := byCandidate
	d.Answer = []byte(fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q},{"itemIdentifier":%q}]}`, m.records()[0].MessageID, m.records()[2].MessageID))
	m.say(d)
	again := b.next()
	if !again.Stable || again.bodies() != "ac" || again.ID != m.ID {
		t.Fatalf("%+v: %s", again, again.bodies())
	}
	d = byStable
	d.Answer = []byte(fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, again.records()[1].MessageID))
	again.say(d)
	b.pass(visibility)
	m = b.next() // what stable failed comes back, and is drawn again
	if m.Stable || m.bodies() != "c" || m.at.Sub(noon) < visibility {
		t.Fatalf("%+v: %s", m, m.bodies())
	}
	m.say(Delivered{Version: 2, Failure: invocation.Timeout})
	again = b.next()
	if !again.Stable || again.bodies() != "c" {
		t.Fatalf("%+v", again)
	}
	again.say(byStable)
	b.stop()
	if b.left("orders") != 0 {
		t.Error("messages are left")
	}
}

func TestR25_withoutStableNothingIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := function("paid", onQueue("orders", 3))
	first.Stable = 0
	b.apply(first)
	b.send("orders", "a")
	b.run()
	b.next().say(Delivered{Version: 1, Failure: invocation.Unhandled})
	b.pass(visibility)
	if m := b.next(); m.Stable || m.at.Sub(noon) < visibility {
		t.Errorf("%+v", m)
	}
}

func TestQueue_whatWasNotReachedIsNotCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	triggers := onQueue("orders", 1)
	triggers.Queues[0].Queue.MaxReceive, triggers.Queues[0].Queue.DeadLetter = 2, "dead"
	b.apply(function("paid", triggers))
	b.send("orders", "a")
	b.run()
	for i := range 6 {
		m := b.next()
		if !strings.Contains(string(m.Payload), `"ApproximateReceiveCount":"1"`) {
			t.Fatalf("%s", m.Payload)
		}
		switch i % 3 {
		case 0:
			m.refuse(errors.New("nothing is ready"))
		case 1:
			m.say(Delivered{Version: 2, Failure: invocation.Throttled})
		case 2: // stable is not there to take what the candidate failed
			m.say(Delivered{Version: 2, Failure: invocation.Memory})
			again := b.next()
			if !again.Stable {
				t.Fatalf("%+v", again)
			}
			again.say(Delivered{Version: 1, Stable: true, Failure: invocation.Stopped})
		}
		b.pass(shortPause << i)
	}
	for i := range 2 { // and what fails is
		if i > 0 {
			b.pass(visibility)
		}
		m := b.next()
		m.say(Delivered{Version: 1, Stable: true, Failure: invocation.Unhandled})
	}
	b.stop()
	if b.left("orders") != 0 || b.left("dead") != 1 {
		t.Fatal("it was not given up")
	}
	dead, err := b.Peek(t.Context(), app, env, "dead", 10)
	if err != nil || len(dead) != 1 || string(dead[0].Body) != "a" || dead[0].Source != "orders" {
		t.Fatal(dead, err)
	}
	if n, err := b.Redrive(t.Context(), app, env, "dead", 10); err != nil || n != 1 || b.left("orders") != 1 {
		t.Fatal(n, err)
	}
	if n, err := b.Purge(t.Context(), app, env, "orders"); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}

func TestQueue_aSlowCallKeepsItsMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	triggers := onQueue("orders", 1)
	triggers.Queues[0].Queue.Visibility, triggers.Queues[0].Most = time.Second, 2
	b.apply(function("paid", triggers))
	b.send("orders", "a")
	b.run()
	m := b.next()
	const third = (10*time.Second + margin) / 3
	for range 9 { // thrice as long as it is hidden at first
		b.hands.armed(t, b.hands.Now().Add(third))
		b.hands.move(third)
	}
	b.hands.armed(t, b.hands.Now().Add(third)) // the last prolonging is stored
	select {
	case <-b.calls:
		t.Fatal("it was given out twice")
	default:
	}
	m.say(byStable)
	b.stop()
	if b.left("orders") != 0 {
		t.Error("it is still there")
	}
}

func TestR28_aQueueThatIsNotNamedKeepsItsMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", onQueue("orders", 1)))
	b.run()
	b.apply(function("other", onQueue("mails", 1)))
	b.send("orders", "a") // it is still accepted
	b.send("mails", "m")
	if m := b.next(); m.key != key("other") {
		t.Fatal(m.key)
	} else {
		m.say(byStable)
	}
	b.apply() // nothing at all
	if b.left("orders") != 1 {
		t.Error("the message is gone")
	}
	b.apply(function("paid", onQueue("orders", 1)))
	if m := b.next(); m.bodies() != "a" {
		t.Error(m.bodies())
	}
}

func TestApply_settingsChangeAndAWrongPartIsLeftOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	triggers := onQueue("orders", 1)
	b.apply(function("paid", triggers))
	q := &triggers.Queues[0].Queue
	q.Visibility, q.MaxReceive, q.DeadLetter = time.Minute, 3, "dead"
	broken := function("broken", rollout.Triggers{Schedules: []rollout.ScheduleTrigger{{Expression: "every day"}}, Topics: []string{"news"}})
	err := b.Apply(worldOf(function("paid", triggers), broken))
	if err == nil || !strings.Contains(err.Error(), "timer of broken") {
		t.Fatal(err)
	}
	all, err := b.Queues(t.Context(), app, env)
	must(t, err)
	seen := map[string]QueueSeen{}
	for _, q := range all {
		seen[q.Name] = q
	}
	if o := seen["orders"]; o.Visibility != time.Minute || o.DeadLetter != "dead" || len(o.Calls) != 1 || o.Own {
		t.Errorf("%+v", o)
	}
	if d := seen["dead"]; len(d.For) != 1 || d.For[0] != "orders" || d.Retention != queue.MaxRetention {
		t.Errorf("%+v", d)
	}
	if !seen["broken/events"].Own || len(seen) != 5 {
		t.Errorf("%v", seen)
	}
	if _, err := b.Publish(t.Context(), app, env, "news", Message{Body: []byte("x")}); err != nil {
		t.Error(err)
	}
}

func TestUnknownNamesAreTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.Send(t.Context(), app, env, "orders", Message{Body: []byte("x")}); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "no queue at all") {
		t.Error(err)
	}
	triggers := onQueue("orders", 1)
	triggers.Topics = []string{"news"}
	b.apply(function("paid", triggers))
	_, sent := b.Send(t.Context(), app, env, "order", Message{Body: []byte("x")})
	_, published := b.Publish(t.Context(), app, env, "newz", Message{Body: []byte("x")})
	_, invoked := b.Invoke(t.Context(), key("paidd"), nil, Which{})
	_, elsewhere := b.Send(t.Context(), app, "uat", "orders", Message{Body: []byte("x")})
	for want, err := range map[string]error{"orders": sent, "news": published, "paid": invoked} {
		var u *UnknownError
		if !errors.As(err, &u) || !strings.Contains(err.Error(), `did you mean "`+want+`"?`) {
			t.Error(want, err)
		}
	}
	if !errors.Is(elsewhere, ErrUnknown) || !errors.Is(elsewhere, queue.ErrUnknown) {
		t.Error(elsewhere)
	}
	for _, bad := range []string{"..", "a/b", ""} {
		if _, err := b.Send(t.Context(), bad, env, "orders", Message{Body: []byte("x")}); err == nil {
			t.Errorf("%q is no app", bad)
		}
	}
	for _, bad := range []string{"\x00", "\xff", "\uffff"} {
		if _, err := b.Send(t.Context(), app, env, "orders", Message{Body: []byte(bad)}); !errors.Is(err, ErrContent) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRedrive_withoutALimitAllGoBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	triggers := onQueue("orders", 10)
	triggers.Queues[0].Queue.MaxReceive, triggers.Queues[0].Queue.DeadLetter = 1, "dead"
	b.apply(function("paid", triggers))
	b.send("orders", "a", "b", "c")
	b.run()
	b.next().say(Delivered{Version: 1, Stable: true, Failure: invocation.Unhandled})
	b.stop()
	if n, err := b.Redrive(t.Context(), app, env, "dead", 2); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if n, err := b.Redrive(t.Context(), app, env, "dead", 0); err != nil || n != 1 || b.left("orders") != 3 {
		t.Fatal(n, err)
	}
	if n, err := b.Redrive(t.Context(), app, env, "dead", 0); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}

func TestPeek_attributesAreWhatTheSenderGave(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", onQueue("orders", 1)))
	_, err := b.Send(t.Context(), app, env, "orders", Message{Body: []byte("x"), Attributes: map[string]Attribute{
		"who": {Type: "String", Value: []byte("Ada")}, "raw": {Type: "Binary", Value: []byte{0, 255}},
	}})
	must(t, err)
	all, err := b.Peek(t.Context(), app, env, "orders", 1)
	if err != nil || len(all) != 1 || len(all[0].Attributes) != 2 || all[0].Attributes["who"] != "Ada" || all[0].Attributes["raw"] != "AP8=" {
		t.Error(all, err)
	}
}
