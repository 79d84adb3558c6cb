package queue

import (
	"testing"
	"time"
)

func TestSendOnce_aNumberIsSentOnce(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	ctx := t.Context()
	must(t, s.SetMark(ctx, "m", 10))
	must(t, s.SetMark(ctx, "m", 5)) // it is there already
	for _, c := range []struct {
		n    int64
		sent bool
	}{{10, false}, {20, true}, {20, false}, {15, false}, {30, true}} {
		h.move(time.Hour) // past every window of duplicates
		if sent, err := s.SendOnce(ctx, "q", "m", c.n, Entry{}); err != nil || sent != c.sent {
			t.Errorf("%d: sent %v, %v", c.n, sent, err)
		}
	}
	if _, err := s.SendOnce(ctx, "nowhere", "m", 99, Entry{}); err == nil {
		t.Error("there is no such queue")
	}
	if marks, err := s.Marks(ctx); err != nil || len(marks) != 1 || marks["m"] != 30 {
		t.Error(marks, err)
	}
	must(t, s.DropMark(ctx, "m"))
	if marks, err := s.Marks(ctx); err != nil || len(marks) != 0 {
		t.Error(marks, err)
	}
}

func TestSettle_whatWasNotReachedDoesNotCount(t *testing.T) {
	t.Parallel()
	s, _ := pair(t)
	send(t, s, "q", Entry{})
	for range 5 { // q allows two receives
		got := receive(t, s, "q", 1)
		if len(got) != 1 || got[0].Received != 1 {
			t.Fatalf("%+v", got)
		}
		done, err := s.Settle(t.Context(), "q", Settlement{Unreached: []string{got[0].Receipt, "7.x"}})
		if err != nil || done.Dead != 0 || len(done.Stale) != 1 {
			t.Fatal(done, err)
		}
	}
	got := receive(t, s, "q", 1)
	done, err := s.Settle(t.Context(), "q", Settlement{GivenUp: []string{got[0].Receipt}})
	if err != nil || done.Dead != 1 || stats(t, s, "dead").Visible != 1 {
		t.Fatal(done, err)
	}
}

func TestRelease_whatAKilledReceiverHad(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	send(t, s, "q", Entry{Body: []byte("failed")})
	send(t, s, "q", Entry{Body: []byte("in flight")})
	got := receive(t, s, "q", 2)
	_, err := s.Settle(t.Context(), "q", Settlement{Failed: []string{got[0].Receipt}, Retry: time.Minute})
	must(t, err)
	if n, err := s.Release(t.Context(), "q"); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	got = receive(t, s, "q", 2)
	if len(got) != 1 || string(got[0].Body) != "in flight" || got[0].Received != 1 {
		t.Fatalf("%+v", got)
	}
	h.move(time.Minute)
	if got := receive(t, s, "q", 1); len(got) != 1 || got[0].Received != 2 {
		t.Fatalf("%+v", got)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	ctx := t.Context()
	must(t, s.SetTopic(ctx, "news", "q", "dead"))
	must(t, s.SetTopic(ctx, "alone"))
	topics, err := s.Topics(ctx)
	if err != nil || len(topics) != 2 || len(topics["news"]) != 2 || len(topics["alone"]) != 0 {
		t.Fatal(topics, err)
	}
	qs, err := s.Queues(ctx)
	if err != nil || len(qs) != 2 || qs[1].Name != "q" || qs[1].DeadLetter != "dead" {
		t.Fatal(qs, err)
	}
	for q := range 3 {
		send(t, s, "q", Entry{Body: []byte{'a' + byte(q)}, Attributes: map[string]string{"k": "v"}})
		h.move(time.Second)
	}
	for range 2 { // it changes nothing
		got, err := s.Peek(ctx, "q", 2)
		if err != nil || len(got) != 2 || string(got[0].Body) != "a" || got[0].Received != 0 || got[0].Attributes["k"] != "v" {
			t.Fatal(got, err)
		}
	}
	if _, err := s.Peek(ctx, "nowhere", 2); err == nil {
		t.Fatal("there is no such queue")
	}
	for q, want := range map[string]time.Duration{"q": 3 * time.Second, "dead": 0, "nowhere": 0} {
		if age, err := s.Oldest(ctx, q); err != nil || age != want {
			t.Error(q, age, err)
		}
	}
}
