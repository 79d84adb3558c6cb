package queue

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const childPath = "TITRATE_QUEUE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		fmt.Println("!", child(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child sends and handles messages until it is killed, and says what it was told:
// "s" sent, "t" about to delete, "d" deleted.
func child(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, Options{Path: path})
	if err != nil {
		return err
	}
	if err := s.SetQueue(ctx, Queue{Name: "q"}); err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				id, err := s.Send(ctx, "q", Entry{Body: []byte("x")})
				if err != nil {
					failed <- err
				}
				say("s", id)
			}
		}()
	}
	go func() {
		for {
			err := s.Wait(ctx, "q")
			got, err2 := s.Receive(ctx, "q", 1, 0)
			if err := errors.Join(err, err2); err != nil {
				failed <- err
			}
			for _, m := range got {
				say("t", m.ID)
				if err := s.Delete(ctx, "q", m.Receipt); err != nil {
					failed <- err
				}
				say("d", m.ID)
			}
		}
	}()
	return <-failed
}

// TestNothingAcknowledgedIsLost kills a process that sends and deletes, again and
// again, and counts what it was told.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queues.db")
	said := map[string]map[string]bool{"s": {}, "t": {}, "d": {}}
	for range 6 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childPath+"="+path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		kill := 1 + rand.IntN(150)
		for n := 1; lines.Scan(); n++ { // after the kill: what was said before it
			what, id, ok := strings.Cut(lines.Text(), " ")
			if !ok || said[what] == nil || len(id) != 26 {
				t.Errorf("the child said %q", lines.Text())
			} else {
				said[what][id] = true
			}
			if n == kill {
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait()
	}
	s, err := Open(t.Context(), Options{Path: path})
	must(t, err)
	defer s.Close()
	there := map[string]bool{}
	rows, err := s.read.QueryContext(t.Context(), `SELECT id FROM messages WHERE queue='q'`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		must(t, rows.Scan(&id))
		there[id] = true
	}
	must(t, rows.Err())
	for id := range said["s"] {
		if !there[id] && !said["t"][id] {
			t.Errorf("message %s was accepted and is lost", id)
		}
	}
	for id := range said["d"] {
		if there[id] {
			t.Errorf("message %s was deleted and is back", id)
		}
	}
	if len(said["s"]) == 0 {
		t.Fatal("nothing was sent")
	}
	t.Logf("%d sent, %d deleted, %d there", len(said["s"]), len(said["d"]), len(there))
}
