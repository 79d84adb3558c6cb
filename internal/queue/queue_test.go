package queue

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// pair returns a store with queue "q" that gives up to "dead" after two receives.
func pair(tb testing.TB) (*Store, *hands) {
	tb.Helper()
	h := newHands()
	s := open(tb, h.clock())
	must(tb, s.SetQueue(tb.Context(), Queue{Name: "dead"}))
	must(tb, s.SetQueue(tb.Context(), Queue{Name: "q", Visibility: 10 * time.Second, Retention: time.Hour, MaxReceive: 2, DeadLetter: "dead"}))
	return s, h
}

func TestAMessageIsHiddenWhileInFlight(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	id := send(t, s, "q", Entry{Body: []byte("one"), Attributes: map[string]string{"a": "b"}})
	began := h.clock().Now()
	got := receive(t, s, "q", 10)
	if len(got) != 1 || got[0].ID != id || string(got[0].Body) != "one" || got[0].Attributes["a"] != "b" || got[0].Received != 1 {
		t.Fatalf("got %+v", got)
	}
	if st := stats(t, s, "q"); st.InFlight != 1 || st.Visible != 0 || len(receive(t, s, "q", 10)) != 0 {
		t.Fatalf("it is not in flight: %+v", st)
	}
	h.move(10 * time.Second)
	again := receive(t, s, "q", 10)
	if len(again) != 1 || again[0].Received != 2 || !again[0].First.Equal(began) {
		t.Fatalf("got %+v", again)
	}
	if err := s.Delete(t.Context(), "q", got[0].Receipt); !errors.Is(err, ErrStale) {
		t.Fatalf("a stale receipt says %v", err)
	}
	must(t, s.Delete(t.Context(), "q", again[0].Receipt))
	if st := stats(t, s, "q"); st != (Statistics{}) {
		t.Fatalf("it is not empty: %+v", st)
	}
}

func TestMessagesAreGivenUpAndRedriven(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	id := send(t, s, "q", Entry{Body: []byte("poison")})
	for range 2 {
		if got := receive(t, s, "q", 1); len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		h.move(10 * time.Second)
	}
	if got := receive(t, s, "q", 1); len(got) != 0 {
		t.Fatalf("it came a third time: %v", got)
	}
	if st := stats(t, s, "dead"); st.Visible != 1 || st.Age != 20*time.Second {
		t.Fatalf("dead: %+v", st)
	}
	n, err := s.Redrive(t.Context(), "dead", 100)
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if got := receive(t, s, "q", 1); len(got) != 1 || got[0].ID != id || got[0].Received != 1 || got[0].Source != "" {
		t.Fatalf("after the redrive: %+v", got)
	}
}

func TestSettleIsPartial(t *testing.T) {
	t.Parallel()
	s, _ := pair(t)
	for range 3 {
		send(t, s, "q", Entry{Body: []byte("x")})
	}
	got := receive(t, s, "q", 3)
	done, err := s.Settle(t.Context(), "q", Settlement{Handled: []string{got[0].Receipt, "9.x"}, Failed: []string{got[1].Receipt, got[2].Receipt}})
	if err != nil || len(done.Stale) != 1 || done.Stale[0] != "9.x" || done.Dead != 0 {
		t.Fatal(done, err)
	}
	got = receive(t, s, "q", 3)
	if len(got) != 2 {
		t.Fatalf("the failed did not come back: %v", got)
	}
	done, err = s.Settle(t.Context(), "q", Settlement{Failed: []string{got[0].Receipt, got[1].Receipt}})
	if err != nil || done.Dead != 2 {
		t.Fatal(done, err)
	}
	if d := receive(t, s, "dead", 10); len(d) != 2 || d[0].Source != "q" {
		t.Fatalf("dead: %+v", d)
	}
}

func TestDelayRetentionAndPurge(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	send(t, s, "q", Entry{Delay: time.Minute})
	if st := stats(t, s, "q"); st.Delayed != 1 || len(receive(t, s, "q", 1)) != 0 {
		t.Fatalf("%+v", st)
	}
	h.move(time.Minute)
	got := receive(t, s, "q", 1)
	if len(got) != 1 {
		t.Fatal("its delay has ended")
	}
	must(t, s.ChangeVisibility(t.Context(), "q", got[0].Receipt, time.Minute))
	h.move(59 * time.Second)
	if n := receive(t, s, "q", 1); len(n) != 0 {
		t.Fatal("its visibility was changed")
	}
	h.move(time.Hour)
	if err := s.ChangeVisibility(t.Context(), "q", got[0].Receipt, time.Minute); !errors.Is(err, ErrStale) {
		t.Fatal(err)
	}
	if n := receive(t, s, "q", 1); len(n) != 0 || stats(t, s, "q") != (Statistics{}) {
		t.Fatal("its retention has ended")
	}
	send(t, s, "q", Entry{})
	if n, err := s.Purge(t.Context(), "q"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

func TestDeduplication(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	e := Entry{Dedup: "d"}
	id := send(t, s, "q", e)
	must(t, s.Delete(t.Context(), "q", receive(t, s, "q", 1)[0].Receipt))
	if again := send(t, s, "q", e); again != id || stats(t, s, "q").Visible != 0 {
		t.Fatal("it was sent twice")
	}
	h.move(DuplicateWindow)
	if again := send(t, s, "q", e); again == id {
		t.Fatal("it is remembered too long")
	}
}

func TestTopicsFanOut(t *testing.T) {
	t.Parallel()
	s, _ := pair(t)
	must(t, s.SetTopic(t.Context(), "t", "q", "dead"))
	ids, err := s.Publish(t.Context(), "t", Entry{Body: []byte("all"), Dedup: "1"})
	if err != nil || len(ids) != 2 {
		t.Fatal(ids, err)
	}
	again, err := s.Publish(t.Context(), "t", Entry{Body: []byte("all"), Dedup: "1"})
	if err != nil || again["q"] != ids["q"] || stats(t, s, "q").Visible != 1 || stats(t, s, "dead").Visible != 1 {
		t.Fatal(again, err)
	}
	if err := s.DropQueue(t.Context(), "q"); !errors.Is(err, ErrInUse) {
		t.Fatal(err)
	}
	must(t, s.DropTopic(t.Context(), "t"))
	must(t, s.DropQueue(t.Context(), "q"))
	for _, err := range []error{
		s.DropQueue(t.Context(), "q"), s.DropTopic(t.Context(), "t"), s.Wait(t.Context(), "q"),
		s.SetTopic(t.Context(), "u", "q"), s.Delete(t.Context(), "q", "1.x"),
	} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("got %v", err)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s, _ := pair(t)
	big := Entry{Body: bytes.Repeat([]byte("x"), MaxBody)}
	send(t, s, "q", big)
	big.Attributes = map[string]string{"a": ""}
	sent, err := s.SendBatch(t.Context(), "q", []Entry{{}, big})
	if err != nil || sent[0].Err != nil || !errors.Is(sent[1].Err, ErrLimit) {
		t.Fatal(sent, err)
	}
	_, batch := s.SendBatch(t.Context(), "q", make([]Entry, 11))
	_, many := s.Receive(t.Context(), "q", 11, 0)
	_, delay := s.Send(t.Context(), "q", Entry{Delay: time.Hour})
	for _, err := range []error{
		batch, many, delay, s.SetQueue(t.Context(), Queue{}), s.SetQueue(t.Context(), Queue{Name: "x", Retention: time.Second}),
	} {
		if !errors.Is(err, ErrLimit) {
			t.Errorf("got %v", err)
		}
	}
	if s.SetQueue(t.Context(), Queue{Name: "x", MaxReceive: 1}) == nil {
		t.Error("a maximum without a dead-letter queue was taken")
	}
}

func TestWaitWakes(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	woken := make(chan error, 1)
	wait := func() { go func() { woken <- s.Wait(t.Context(), "q") }() }
	wait()
	send(t, s, "q", Entry{Delay: time.Minute})
	<-h.set // it sleeps until the delay ends
	h.move(time.Minute)
	must(t, <-woken)
	got := receive(t, s, "q", 1)
	wait()
	<-h.set // until the visibility ends
	must(t, s.ChangeVisibility(t.Context(), "q", got[0].Receipt, 0))
	must(t, <-woken)
	got = receive(t, s, "q", 1)
	must(t, s.Delete(t.Context(), "q", got[0].Receipt))
	wait()
	send(t, s, "q", Entry{})
	must(t, <-woken)
}

func TestManySendersLoseNothing(t *testing.T) {
	t.Parallel()
	s, _ := pair(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 5 {
				if _, err := s.Send(t.Context(), "q", Entry{}); err != nil {
					t.Error(err)
				}
				if _, err := s.Send(t.Context(), "none", Entry{}); !errors.Is(err, ErrUnknown) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if st := stats(t, s, "q"); st.Visible != 160 {
		t.Fatalf("%+v", st)
	}
}

func TestAFullDiskIsSaid(t *testing.T) {
	t.Parallel()
	s, _ := pair(t)
	id := send(t, s, "q", Entry{Body: []byte("kept")})
	var n int
	must(t, s.change(t.Context(), func(tx *tx) error {
		_, err := tx.one(`PRAGMA max_page_count=1`, nil, &n) // SQLite makes that the size it has
		return err
	}))
	_, err := s.Send(t.Context(), "q", Entry{Body: make([]byte, MaxBody)})
	var f *FaultError
	if !errors.As(err, &f) || f.Code != CodeFull {
		t.Fatalf("a full disk says %v", err)
	}
	if got := receive(t, s, "q", 10); len(got) != 1 || got[0].ID != id {
		t.Fatalf("after it: %+v", got)
	}
}

func TestABrokenFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, content := range map[string][]byte{"empty": {}, "garbage": bytes.Repeat([]byte("no database"), 1000)} {
		path := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(path, content, 0o600))
		_, err := Open(t.Context(), Options{Path: path})
		var f *FaultError
		if !errors.As(err, &f) || f.Code != CodeBroken {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, content) {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestClosedRefuses(t *testing.T) {
	t.Parallel()
	s, _ := pair(t)
	must(t, s.Close())
	if _, err := s.Send(t.Context(), "q", Entry{}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestSweepDeletesWhatIsTooOld(t *testing.T) {
	t.Parallel()
	s, h := pair(t)
	send(t, s, "q", Entry{})
	send(t, s, "dead", Entry{})
	h.move(time.Hour)
	send(t, s, "q", Entry{})
	if n, err := s.Sweep(t.Context()); n != 1 || err != nil || stats(t, s, "q").Visible != 1 || stats(t, s, "dead").Visible != 1 {
		t.Fatal(n, err)
	}
}

func TestEachChangeIsSynced(t *testing.T) {
	t.Parallel()
	s := open(t, Clock{})
	var level int
	must(t, s.change(t.Context(), func(tx *tx) error {
		_, err := tx.one(`PRAGMA synchronous`, nil, &level)
		return err
	}))
	if level != 2 { // FULL
		t.Fatalf("synchronous is %d", level)
	}
}

func TestALogWithoutItsDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queues.db")
	must(t, os.WriteFile(path+"-wal", []byte("log"), 0o600))
	_, err := Open(t.Context(), Options{Path: path})
	var f *FaultError
	if !errors.As(err, &f) || f.Code != CodeBroken {
		t.Fatal(err)
	}
}
