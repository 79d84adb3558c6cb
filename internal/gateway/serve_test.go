package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"titrate/internal/rollout"
)

func TestTheEndOfServeFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{Drain: time.Minute, IdleGrace: time.Minute}, time.Minute)
	got := make(chan string, 1)
	go func() {
		res, err := r.client.Get(r.url("/slow"))
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		got <- fmt.Sprint(string(body), res.Close, err)
	}()
	eventually(t, "it is under way", func() bool { return r.Open(orders, 1) == 1 })
	kept, in := r.dial(t)
	ask := func() *http.Response {
		t.Helper()
		fmt.Fprint(kept, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		return res
	}
	if ask().Close {
		t.Error("a connection is closed before the end")
	}
	r.stop()
	eventually(t, "it stops", r.stopping.Load)
	// A connection that is idle when the end comes may still send, and is told.
	if res := ask(); res.StatusCode != 200 || !res.Close {
		t.Errorf("%d, close: %t", res.StatusCode, res.Close)
	}
	var d net.Dialer
	eventually(t, "nobody accepts any more", func() bool {
		c, err := d.DialContext(t.Context(), "tcp", r.public)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if s := <-got; s != "onetrue <nil>" {
		t.Errorf("what was in flight got %s", s)
	}
	r.client.CloseIdleConnections()
	kept.Close()
	<-r.done
	if w := r.sum(1); w.Requests != 3 || w.Status[2] != 3 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestTheEndOfServeCutsWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{Drain: 100 * time.Millisecond}, time.Minute)
	defer close(release)
	got := make(chan error, 1)
	go func() {
		res, err := r.client.Get(r.url("/slow"))
		if err == nil {
			res.Body.Close()
		}
		got <- err
	}()
	_, in, _ := r.socket(t, "")
	eventually(t, "both are under way", func() bool { return r.Open(orders, 1) == 2 })
	begun := time.Now()
	r.stop()
	<-r.done
	if d := time.Since(begun); d > 30*time.Second {
		t.Errorf("it took %s", d)
	}
	<-got
	io.Copy(io.Discard, in)
	if w := r.sum(1); w.Requests != 2 || w.Failed != 0 {
		t.Errorf("windows hold %+v", w)
	}
}

// A node that is replaced hands its sockets on through the keeper: both have
// descriptors of one socket, and nobody is refused.
func TestR19_AHandoverLosesNoRequest(t *testing.T) {
	t.Parallel()
	kept, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	inherit := func() net.Listener {
		f, err := kept.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	b := newBackend(t, "a", says("ok"))
	begin := func() *rig {
		return rigOn(t, Config{IdleGrace: 5 * time.Second}, inherit(), func(r *rig) {
			r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
			r.SetInstances(orders, 1, []Endpoint{b.Endpoint})
		})
	}
	g := begin()
	l := g.load(t, 6, g.plainPost)
	var counted uint64
	for n := range 6 {
		seen := l.count()
		eventually(t, "some were answered", func() bool { return l.count() > seen+50 })
		old := g
		if n%2 == 0 { // the new one serves before the old one stops
			g = begin()
			old.stop()
			<-old.done
		} else { // connections wait in the backlog meanwhile
			old.stop()
			<-old.done
			g = begin()
		}
		counted += old.sum(1).Requests
	}
	answered := l.end(t)
	g.stop()
	<-g.done
	counted += g.sum(1).Requests
	if n := answered["v1"]; n != counted || n != b.hits.Load() {
		t.Errorf("%d answered, %d counted, %d served", n, counted, b.hits.Load())
	}
}

func TestServeFailsWhenItCannotAccept(t *testing.T) {
	t.Parallel()
	g, err := New(Config{Epoch: "e", IdleGrace: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := g.Serve(context.Background(), Listeners{Public: l}); err == nil {
		t.Error("a closed listener is served")
	}
}

func TestSlowReadersAreLetGo(t *testing.T) {
	t.Parallel()
	big := make([]byte, 64<<20)
	r, _ := one(t, Config{StallTimeout: 100 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) { w.Write(big) })
	c, _ := r.dial(t)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	bufio.NewReaderSize(c, 16).ReadByte()
	eventually(t, "it is let go", func() bool { return r.sum(1).Requests == 1 })
	if w := r.sum(1); w.Aborted != 1 || w.Failed != 0 {
		t.Errorf("windows hold %+v", w)
	}
}
