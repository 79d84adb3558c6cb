package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// TestR17_ARelievedGatewayLetsItsStreamsGoOn, for longer than requests have, until a table
// takes their version's traffic.
func TestR17_ARelievedGatewayLetsItsStreamsGoOn(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{Drain: 50 * time.Millisecond}, time.Millisecond)
	defer close(release)
	ws, in, _ := r.socket(t, "")
	kept, keptIn := r.dial(t)
	slow := make(chan error, 1)
	go func() {
		res, err := r.client.Get(r.url("/slow"))
		if err == nil {
			res.Body.Close()
		}
		slow <- err
	}()
	eventually(t, "both are under way", func() bool { return r.Open(orders, 1) == 2 })
	r.Relieve()
	<-r.Closed()
	fmt.Fprint(kept, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, err := http.ReadResponse(keptIn, nil); err != nil || !res.Close {
		t.Errorf("a kept connection gets %v, %v", res, err)
	}
	<-slow // it had its drain
	fmt.Fprint(ws, "ping\n")
	if line, err := in.ReadString('\n'); line != "one ping\n" {
		t.Fatalf("the stream says %q, %v", line, err)
	}
	if all := r.OpenAll(); len(all) != 1 || all[0].Key != orders || all[0].Version != 1 || all[0].Open != 1 {
		t.Errorf("%+v is open", all)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 2: 0}) // as before
	fmt.Fprint(ws, "ping\n")
	if line, err := in.ReadString('\n'); line != "one ping\n" {
		t.Fatalf("the stream says %q, %v", line, err)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, drainOf(time.Millisecond))
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Errorf("its end: %v", err)
	}
	<-r.done
}

func TestR17_StreamsOfARelievedGatewayEndInTime(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{StreamDrain: 100 * time.Millisecond, Drain: time.Millisecond}, time.Millisecond)
	defer close(release)
	_, in, _ := r.socket(t, "")
	r.Relieve()
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Errorf("its end: %v", err)
	}
	<-r.done
}

func TestTheEndOfServeHurriesARelievedGateway(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{Drain: 50 * time.Millisecond}, time.Minute)
	defer close(release)
	_, in, _ := r.socket(t, "")
	r.Relieve()
	<-r.Closed()
	r.stop()
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Errorf("its end: %v", err)
	}
	<-r.done
}

// A request whose head was under way when idle connections were closed is answered, also
// when it is the other front's.
func TestARelievedGatewayAnswersWhatHasBegun(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{IdleGrace: time.Millisecond}, time.Minute)
	defer close(release)
	c, in := r.dial(t)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: h\r\n")
	idle, idleIn := r.dial(t)
	fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(idleIn, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	r.Relieve()
	if _, err := idleIn.ReadByte(); err == nil {
		t.Error("what is idle is not closed")
	}
	fmt.Fprint(c, "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	if res, err = http.ReadResponse(bufio.NewReader(in), nil); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", res, err)
	}
}

func TestSettledIsToldWhenNoFunctionIsCalledAnyMore(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{IdleGrace: time.Millisecond, HeaderTimeout: time.Millisecond}, time.Minute)
	defer close(release)
	r.socket(t, "")
	if r.Settled() {
		t.Error("before it was relieved")
	}
	r.Relieve()
	eventually(t, "it is settled, though a stream is open", r.Settled)
}

// Windows of the gateway before are told as they were, and what it closes at its end once.
func TestR13_WindowsOfTheGatewayBeforeAreKept(t *testing.T) {
	t.Parallel()
	g, err := New(Config{Epoch: "new"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	window := func(cursor uint64, ago time.Duration) world.VersionWindow {
		return world.VersionWindow{Cursor: cursor, Epoch: "old", Key: orders, Version: 1, Window: analysis.Window{Start: now.Add(-ago), Length: time.Second, Requests: 1}}
	}
	future := uint64(now.Add(time.Hour).UnixMicro()) // the clock was set back
	g.AdoptWindows([]world.VersionWindow{window(5, time.Hour), window(7, 3*time.Second), window(future, 2*time.Second)})
	for range 2 {
		g.AddWindows([]world.VersionWindow{window(future, 2*time.Second), window(9, time.Second)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ws := g.Windows(ctx, 0)
	if len(ws) != 3 || ws[0].Cursor != 7 || ws[1].Cursor != future || ws[2].Cursor <= future {
		t.Errorf("%+v", ws)
	}
	if ws = g.Windows(ctx, future); len(ws) != 1 || ws[0].Epoch != "old" {
		t.Errorf("after the last one: %+v", ws)
	}
}

// A relieved gateway says nothing of versions on which nothing came: the next one does.
func TestARelievedGatewayClosesNoEmptyWindows(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{}, time.Minute)
	defer close(release)
	r.socket(t, "")
	r.sum(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Relieve()
	r.closeWindows(r.cfg.Clock().Add(time.Second))
	before := r.Windows(ctx, 0)
	r.closeWindows(r.cfg.Clock().Add(2 * time.Second))
	if after := r.Windows(ctx, 0); len(after) != len(before) {
		t.Errorf("%+v", after[len(before):])
	}
}

// What is under way over TLS when the gateway is relieved is answered, in both protocols, and
// also where hands were still to be shaken.
func TestARelievedGatewayAnswersWhatHasBegunOverTLS(t *testing.T) {
	t.Parallel()
	s := newSecureRigOf(t, Config{IdleGrace: time.Millisecond})
	release := make(chan struct{})
	s.SetInstances(orders, 1, []Endpoint{newBackend(t, "one", upgrading("one", release)).Endpoint})
	s.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	var d net.Dialer
	raw, err := d.DialContext(t.Context(), "tcp", s.secure) // accepted before those that come later
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	got := make(chan string, 2)
	for _, c := range []*http.Client{s.h1, s.h2} {
		go func() {
			res, body := s.ask(t, c, http.MethodGet, "https://"+s.secure+"/slow", "example.com", "")
			got <- res.Proto + " " + body
		}()
	}
	eventually(t, "both are under way", func() bool { return s.Open(orders, 1) == 2 })
	s.Relieve()
	<-s.Closed()
	shaken := tls.Client(raw, s.h1.Transport.(*http.Transport).TLSClientConfig)
	fmt.Fprint(shaken, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(shaken), nil); err != nil || res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("%v, %v", res, err)
	}
	close(release)
	if one, two := <-got, <-got; one == two || !strings.HasSuffix(one, "one") || !strings.HasSuffix(two, "one") {
		t.Errorf("got %q and %q", one, two)
	}
	<-s.done
}
