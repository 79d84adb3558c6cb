package queue

import (
	"context"
	"errors"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// known is a message as the model has it.
type known struct {
	id       string
	dead     bool
	sent     time.Time
	visible  time.Time
	received int
	receipt  string
}

// model is what a store of one queue and its dead-letter queue should do.
type model struct {
	s   *Store
	h   *hands
	all []*known
	old []string // receipts that are stale for ever
}

const (
	modelMax        = 2
	modelVisibility = 10 * time.Second
	modelRetention  = 2 * time.Minute
)

func (m *model) now() time.Time { return m.h.clock().Now() }

func (m *model) find(receipt string) *known {
	for _, k := range m.all {
		if k.receipt == receipt && receipt != "" && !k.dead {
			return k
		}
	}
	return nil
}

func (m *model) remove(gone *known) {
	for i, k := range m.all {
		if k == gone {
			m.all = append(m.all[:i], m.all[i+1:]...)
			return
		}
	}
}

// expire drops what is too old; the dead-letter queue keeps for four days.
func (m *model) expire() {
	var kept []*known
	for _, k := range m.all {
		if k.dead || m.now().Before(k.sent.Add(modelRetention)) {
			kept = append(kept, k)
		} else {
			m.old = append(m.old, k.receipt)
		}
	}
	m.all = kept
}

func (m *model) die(k *known) {
	m.old = append(m.old, k.receipt)
	k.dead, k.received, k.receipt, k.visible = true, 0, "", m.now()
}

func (m *model) receipt(t *rapid.T) string {
	all := append([]string{"", "x", "1.x"}, m.old...)
	for _, k := range m.all {
		all = append(all, k.receipt)
	}
	return rapid.SampledFrom(all).Draw(t, "receipt")
}

func (m *model) send(t *rapid.T) {
	delay := time.Duration(rapid.IntRange(0, 20).Draw(t, "delay")) * time.Second
	id, err := m.s.Send(context.Background(), "q", Entry{Delay: delay})
	if err != nil {
		t.Fatal(err)
	}
	m.all = append(m.all, &known{id: id, sent: m.now(), visible: m.now().Add(delay)})
}

func (m *model) receive(t *rapid.T) {
	got, err := m.s.Receive(context.Background(), "q", rapid.IntRange(1, 4).Draw(t, "max"), 0)
	if err != nil {
		t.Fatal(err)
	}
	m.expire()
	var due []*known
	for _, k := range m.all {
		if k.dead || k.visible.After(m.now()) {
			continue
		}
		if k.received >= modelMax {
			m.die(k)
			continue
		}
		due = append(due, k)
	}
	sort.SliceStable(due, func(i, j int) bool { return due[i].visible.Before(due[j].visible) })
	for i, g := range got {
		if i >= len(due) || due[i].id != g.ID {
			t.Fatalf("message %d of %d is not due", i, len(got))
		}
		k := due[i]
		if k.receipt != "" {
			m.old = append(m.old, k.receipt)
		}
		k.received++
		k.receipt, k.visible = g.Receipt, m.now().Add(modelVisibility)
		if g.Received != k.received {
			t.Fatalf("received %d times, not %d", g.Received, k.received)
		}
	}
	if len(got) == 0 && len(due) > 0 {
		t.Fatal("nothing came though something is visible")
	}
}

func (m *model) deleteOne(t *rapid.T) {
	r := m.receipt(t)
	err := m.s.Delete(context.Background(), "q", r)
	k := m.find(r)
	if (k == nil) != errors.Is(err, ErrStale) {
		t.Fatalf("delete %q: %v", r, err)
	}
	if k != nil {
		m.remove(k)
		m.old = append(m.old, r)
	}
}

func (m *model) settleFailed(t *rapid.T) {
	r := m.receipt(t)
	done, err := m.s.Settle(context.Background(), "q", Settlement{Failed: []string{r}})
	if err != nil {
		t.Fatal(err)
	}
	k := m.find(r)
	if (k == nil) != (len(done.Stale) == 1) {
		t.Fatalf("settle %q: %+v", r, done)
	}
	switch {
	case k == nil:
	case k.received >= modelMax:
		m.die(k)
	default:
		m.old = append(m.old, r)
		k.receipt, k.visible = "", m.now()
	}
}

func (m *model) redrive(t *rapid.T) {
	if _, err := m.s.Redrive(context.Background(), "dead", 1000); err != nil {
		t.Fatal(err)
	}
	for _, k := range m.all {
		if k.dead {
			k.dead, k.sent, k.visible = false, m.now(), m.now()
		}
	}
	// The order among messages of one moment is the store's: by their rows.
}

func (m *model) check(t *rapid.T) {
	var want, dead Statistics
	var oldest, oldestDead time.Duration
	for _, k := range m.all {
		age := m.now().Sub(k.sent)
		switch {
		case k.dead:
			dead.Visible++
			oldestDead = max(oldestDead, age)
			continue
		case age >= modelRetention:
			continue
		case !k.visible.After(m.now()):
			want.Visible++
		case k.receipt != "":
			want.InFlight++
		default:
			want.Delayed++
		}
		oldest = max(oldest, age)
	}
	want.Age, dead.Age = oldest, oldestDead
	for q, want := range map[string]Statistics{"q": want, "dead": dead} {
		if got, err := m.s.Statistics(context.Background(), q); err != nil || got != want {
			t.Fatalf("%s: %+v, not %+v (%v)", q, got, want, err)
		}
	}
}

func TestTheStoreDoesWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	h := newHands()
	s := open(t, h.clock())
	ctx := t.Context()
	must(t, s.SetQueue(ctx, Queue{Name: "dead"}))
	must(t, s.SetQueue(ctx, Queue{
		Name: "q", Visibility: modelVisibility, Retention: modelRetention, MaxReceive: modelMax, DeadLetter: "dead",
	}))
	rapid.Check(t, func(t *rapid.T) {
		var err error
		for _, q := range []string{"q", "dead"} {
			_, purged := s.Purge(ctx, q)
			err = errors.Join(err, purged)
		}
		if err != nil {
			t.Fatal(err)
		}
		m := &model{s: s, h: h}
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "send": m.send, "receive": m.receive, "delete": m.deleteOne, "fail": m.settleFailed, "redrive": m.redrive,
			"pass": func(t *rapid.T) { h.move(time.Duration(rapid.IntRange(1, 40).Draw(t, "s")) * time.Second) },
		})
	})
}

// FuzzReceipt shows that what is no receipt deletes nothing.
func FuzzReceipt(f *testing.F) {
	s, _ := pair(f)
	send(f, s, "q", Entry{})
	good := receive(f, s, "q", 1)[0].Receipt
	for _, r := range []string{"", "1", "1.", ".", "-1.x", "99999999999999999999.x", "1.\x00"} {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, r string) {
		if r == good {
			return // it is one
		}
		if err := s.Delete(t.Context(), "q", r); !errors.Is(err, ErrStale) {
			t.Fatalf("%q: %v", r, err)
		}
	})
}
