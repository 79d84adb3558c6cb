package events

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/queue"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

const (
	childDir  = "TITRATE_EVENTS_CHILD"
	childKind = "TITRATE_EVENTS_CHILD_KIND"
	childEra  = "TITRATE_EVENTS_CHILD_ERA"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	var err error
	if os.Getenv(childKind) == "timers" {
		err = tick(dir)
	} else {
		err = child(dir)
	}
	fmt.Println("!", err)
	os.Exit(1)
}

// crashing is the world of the child: a queue, a topic and a function to be invoked.
func crashing() world.Wanted {
	q, topic := function("q", onQueue("orders", 10)), function("t", rollout.Triggers{Topics: []string{"news"}})
	q.Triggers.Queues[0].Most = 3
	return worldOf(q, topic, function("i", rollout.Triggers{}))
}

// bodies are what a call was made with, whatever the way it came.
func bodies(e Event) []string {
	var records struct {
		Records []struct {
			Body string
			Sns  struct{ Message string }
		}
	}
	if json.Unmarshal(e.Payload, &records) != nil || len(records.Records) == 0 {
		return []string{strings.Trim(string(e.Payload), `"`)}
	}
	var all []string
	for _, r := range records.Records {
		all = append(all, r.Body+r.Sns.Message)
	}
	return all
}

// child sends and delivers until it is killed, and says what was accepted ("s") and what
// was delivered to a version that answers ("d").
func child(dir string) error {
	ctx := context.Background()
	var mu sync.Mutex
	say := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	e, err := Open(ctx, Config{Dir: dir, Key: []byte("0123456789abcdef"), Deliver: func(_ context.Context, _ rollout.Key, e Event) (Delivered, error) {
		if !e.Stable && rand.IntN(4) == 0 {
			return Delivered{Version: 2, Failure: invocation.Unhandled}, nil
		}
		for _, b := range bodies(e) {
			say("d", b)
		}
		return Delivered{Version: 1, Stable: true}, nil
	}})
	if err != nil {
		return err
	}
	if err := e.Apply(crashing()); err != nil {
		return err
	}
	failed := make(chan error)
	go func() { failed <- e.Run(ctx) }()
	for kind, send := range map[string]func(id string) error{
		"q": func(id string) error {
			_, err := e.Send(ctx, app, env, "orders", Message{Body: []byte(id)})
			return err
		},
		"t": func(id string) error {
			_, err := e.Publish(ctx, app, env, "news", Message{Body: []byte(id)})
			return err
		},
		"i": func(id string) error {
			_, err := e.Invoke(ctx, key("i"), []byte(`"`+id+`"`), Which{})
			return err
		},
	} {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%s%d-%d", kind, os.Getpid(), n)
				if err := send(id); err != nil {
					failed <- err
				}
				say("s", id)
			}
		}()
	}
	return <-failed
}

// killed runs a child until it has said so much as lines, kills it, and tells each line.
func killed(t *testing.T, lines int, told func(what, id string), with ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), with...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	scan := bufio.NewScanner(out)
	for n := 1; scan.Scan(); n++ { // after the kill: what was said before it
		what, id, ok := strings.Cut(scan.Text(), " ")
		if !ok || what == "!" {
			t.Errorf("the child said %q", scan.Text())
		}
		told(what, id)
		if n == lines {
			must(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
}

// TestNothingAcceptedIsLost kills a process that sends and delivers, again and again, and
// delivers what it left.
func TestNothingAcceptedIsLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sent, delivered := map[string]bool{}, map[string]int{}
	for range 4 {
		killed(t, 1+rand.IntN(120), func(what, id string) {
			if what == "s" {
				sent[id] = true
			} else {
				delivered[id]++
			}
		}, childDir+"="+dir)
	}
	lost := maps.Clone(sent)
	for id := range delivered {
		delete(lost, id)
	}
	// An hour later, so that what was in flight is visible.
	came := make(chan string, 100)
	later := queue.Clock{Now: func() time.Time { return time.Now().Add(time.Hour) }}
	e, err := Open(t.Context(), Config{Dir: dir, Key: []byte("0123456789abcdef"), Clock: later, Deliver: func(ctx context.Context, _ rollout.Key, e Event) (Delivered, error) {
		for _, b := range bodies(e) {
			select {
			case came <- b:
			case <-ctx.Done():
				return Delivered{}, ctx.Err()
			}
		}
		return Delivered{Version: 1, Stable: true}, nil
	}})
	must(t, err)
	defer e.Close()
	must(t, e.Apply(crashing()))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	left := len(lost)
	for len(lost) > 0 && ctx.Err() == nil {
		select {
		case id := <-came:
			delete(lost, id)
			delivered[id]++
		case <-ctx.Done():
		}
	}
	cancel()
	must(t, <-ended)
	if len(lost) > 0 || len(sent) == 0 {
		t.Errorf("of %d that were accepted %d are lost: %v", len(sent), len(lost), lost)
	}
	twice := 0
	for _, n := range delivered {
		twice += min(1, n-1)
	}
	t.Logf("%d accepted, %d left by those that were killed, %d delivered more than once", len(sent), left, twice)
}

// fast is how many times as fast as the machine's the clock of tick is.
const fast = 600

// tick fires a timer of every minute. Nobody is reached, so that what fires stays.
func tick(dir string) error {
	ctx := context.Background()
	nanos, err := strconv.ParseInt(os.Getenv(childEra), 10, 64)
	if err != nil {
		return err
	}
	era := time.Unix(0, nanos)
	c := queue.Clock{Now: func() time.Time { return era.Add(time.Since(era) * fast) }}
	c.At = func(t time.Time) (<-chan time.Time, func()) {
		timer := time.NewTimer(t.Sub(c.Now()) / fast)
		return timer.C, func() { timer.Stop() }
	}
	e, err := Open(ctx, Config{Dir: dir, Key: []byte("0123456789abcdef"), Clock: c, Deliver: func(context.Context, rollout.Key, Event) (Delivered, error) {
		fmt.Println("t", "tried")
		return Delivered{Failure: invocation.Throttled}, nil
	}})
	if err != nil {
		return err
	}
	if err := e.Apply(worldOf(function("often", onTime("rate(1 minute)")))); err != nil {
		return err
	}
	return e.Run(ctx)
}

// TestTimer_noDueTimeIsStoredTwice kills a process whose timer fires again and again.
func TestTimer_noDueTimeIsStoredTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	era := fmt.Sprint(time.Now().UnixNano())
	for range 4 {
		killed(t, 5+rand.IntN(30), func(string, string) {}, childDir+"="+dir, childKind+"=timers", childEra+"="+era)
	}
	b := open(t, dir, newHands())
	b.apply(function("often", onTime("rate(1 minute)")))
	b.hands.move(time.Since(noon))
	seen := map[string]int{}
	for _, of := range []string{"often/events", graveyard} {
		all, err := b.Peek(t.Context(), app, env, of, 10_000)
		must(t, err)
		for _, m := range all {
			var e struct{ Time string }
			must(t, json.Unmarshal(m.Body, &e))
			if seen[e.Time]++; seen[e.Time] > 1 {
				t.Errorf("%s fired %d times", e.Time, seen[e.Time])
			}
		}
	}
	if len(seen) == 0 {
		t.Error("nothing fired")
	}
	t.Logf("%d fired", len(seen))
}
