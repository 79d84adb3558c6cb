package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// upgrading is a version that switches to an echo of lines, says what it
// streams, or answers when it is told to.
func upgrading(name string, release <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ws":
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer c.Close()
			fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n%s\n", name)
			rw.Flush()
			for {
				line, err := rw.ReadString('\n')
				if err != nil {
					fmt.Fprint(rw, "bye\n")
					rw.Flush()
					return
				}
				fmt.Fprint(rw, name, " ", line)
				rw.Flush()
			}
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			fmt.Fprintf(w, "data: %s\n\n", name)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "/slow":
			<-release
			fmt.Fprint(w, name)
		default:
			fmt.Fprint(w, name)
		}
	}
}

// moving is a rig with all traffic on v1, and v2 ready.
func moving(t *testing.T, c Config, drain time.Duration) (r *rig, release chan struct{}) {
	t.Helper()
	r = newRig(t, c)
	release = make(chan struct{})
	for v, name := range []string{"one", "two"} {
		b := newBackend(t, name, upgrading(name, release))
		r.SetInstances(orders, rollout.Version(v+1), []Endpoint{b.Endpoint})
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 2: 0}, drainOf(drain))
	return r, release
}

// socket opens an upgraded connection and returns its first line.
func (r *rig) socket(t *testing.T, early string) (net.Conn, *bufio.Reader, string) {
	t.Helper()
	c, in := r.dial(t)
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n%s", early)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != "websocket" {
		t.Fatalf("%v %v", res, err)
	}
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return c, in, res.Header.Get(HeaderVersion) + " " + strings.TrimSpace(line)
}

func TestWebSocketsPass(t *testing.T) {
	t.Parallel()
	r, _ := moving(t, Config{}, time.Minute)
	c, in, hello := r.socket(t, "early\n") // sent before the answer
	if hello != "v1 one" {
		t.Errorf("hello %q", hello)
	}
	if line, err := in.ReadString('\n'); line != "one early\n" {
		t.Errorf("what was sent early came back as %q %v", line, err)
	}
	for range 3 {
		fmt.Fprint(c, "ping\n")
		if line, err := in.ReadString('\n'); line != "one ping\n" {
			t.Errorf("%q %v", line, err)
		}
	}
	if n := r.Open(orders, 1); n != 1 {
		t.Errorf("%d are open", n)
	}
	if w := r.sum(1); w.Requests != 1 || w.Status[1] != 1 {
		t.Errorf("it is not counted at its beginning: %+v", w)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "bye\n" {
		t.Errorf("after half a close: %q %v", rest, err)
	}
	eventually(t, "it is closed", func() bool { return r.Open(orders, 1) == 0 && r.inFlight.Load() == 0 })
	if w := r.sum(1); w.Requests != 1 || w.Failed != 0 {
		t.Errorf("it is counted twice: %+v", w)
	}
}

func TestUpgradesThatAreRefused(t *testing.T) {
	t.Parallel()
	r, _ := one(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Upgrade") != "" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		io.WriteString(w, "plain")
	})
	for upgrade, want := range map[string]int{"websocket": 426, "h2c": 200} {
		c, in := r.dial(t)
		fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AA\r\n\r\n", upgrade)
		if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != want {
			t.Errorf("%s: %v %v", upgrade, res, err)
		}
	}
}

func TestR17_ConnectionsMoveOnlyWhenTheirVersionHasNoWeight(t *testing.T) {
	t.Parallel()
	const drain = 400 * time.Millisecond
	r, _ := moving(t, Config{}, drain)
	const sockets = 20
	var conns []net.Conn
	var ins []*bufio.Reader
	for range sockets {
		c, in, hello := r.socket(t, "")
		if hello != "v1 one" {
			t.Fatal(hello)
		}
		conns, ins = append(conns, c), append(ins, in)
	}
	// Nearly all traffic leaves: the connections stay.
	r.split(t, map[rollout.Version]rollout.Weight{1: 1, 2: rollout.Full - 1}, drainOf(drain))
	r.cutDue(time.Now().Add(time.Hour))
	for i, c := range conns {
		fmt.Fprint(c, "x\n")
		if line, err := ins[i].ReadString('\n'); line != "one x\n" {
			t.Fatalf("%q %v", line, err)
		}
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, drainOf(drain))
	for _, in := range ins {
		if _, err := io.Copy(io.Discard, in); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all are closed", func() bool { return r.Open(orders, 1) == 0 })
	s, _ := r.Share(orders)
	if s.Versions[0].Drained != sockets || s.Versions[0].Cut != 0 {
		t.Errorf("share is %+v", s)
	}
	if w := r.sum(1); w.Requests != sockets || w.Failed != 0 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestR17_ClosesAreSpreadOverTheDrain(t *testing.T) {
	t.Parallel()
	began := time.Now()
	d := drain{length: time.Minute, weight: began, unlisted: began.Add(time.Hour)}
	var quarters [4]int
	for range 4000 {
		tk := &ticket{jitter: rand.Float64()}
		tk.stream.Store(true)
		at := d.due(tk).Sub(began)
		if at < 0 || at >= time.Minute {
			t.Fatalf("a stream is closed after %s", at)
		}
		quarters[at/(15*time.Second)]++
	}
	for i, n := range quarters {
		if n < 800 || n > 1200 {
			t.Errorf("%d of 4000 are closed in quarter %d", n, i)
		}
	}
	if at := d.due(&ticket{}).Sub(began); at != time.Minute {
		t.Errorf("a request is cut after %s", at)
	}
	if at := d.due(&ticket{preview: true}).Sub(began); at != time.Hour+time.Minute {
		t.Errorf("a preview is cut after %s", at)
	}
	if at := (&drain{length: time.Minute, weight: began}).due(&ticket{preview: true}); !at.IsZero() {
		t.Errorf("a preview of a version that is kept is cut after %s", at.Sub(began))
	}
	if d.over(began.Add(time.Hour+time.Minute)) || !d.over(began.Add(2*time.Hour)) {
		t.Error("the drain is over at the wrong time")
	}
}

func TestR17_EventStreamsEndCleanly(t *testing.T) {
	t.Parallel()
	r, _ := moving(t, Config{}, 100*time.Millisecond)
	res, err := r.client.Get(r.url("/events"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	if line, err := in.ReadString('\n'); line != "data: one\n" { // flushed at once
		t.Fatalf("%q %v", line, err)
	}
	if w := r.sum(1); w.Requests != 1 || w.Status[2] != 1 {
		t.Errorf("it is not counted at its beginning: %+v", w)
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, drainOf(100*time.Millisecond))
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "\n" {
		t.Errorf("the stream ended with %q %v", rest, err)
	}
	if s, _ := r.Share(orders); s.Versions[0].Drained != 1 || s.Versions[0].Broken != 0 {
		t.Errorf("share is %+v", s)
	}
}

func TestR17_RequestsFinishOnTheVersionThatTookThem(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{}, time.Minute)
	got := make(chan string, 1)
	go func() {
		_, v, body := r.get(t, "/slow")
		got <- v + " " + body
	}()
	eventually(t, "it is under way", func() bool { return r.Open(orders, 1) == 1 })
	r.split(t, map[rollout.Version]rollout.Weight{2: rollout.Full}) // v1 is not even named
	if _, v, body := r.get(t, "/"); v != "v2" || body != "two" {
		t.Errorf("%s %s", v, body)
	}
	close(release)
	if s := <-got; s != "v1 one" {
		t.Errorf("it was answered by %s", s)
	}
}

func TestR17_WhatOutlivesTheDrainIsCutAndCounted(t *testing.T) {
	t.Parallel()
	r, release := moving(t, Config{}, 50*time.Millisecond)
	defer close(release)
	got := make(chan int, 1)
	go func() {
		status, _, _ := r.get(t, "/slow")
		got <- status
	}()
	eventually(t, "it is under way", func() bool { return r.Open(orders, 1) == 1 })
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, drainOf(50*time.Millisecond))
	if status := <-got; status != http.StatusServiceUnavailable {
		t.Errorf("it got %d", status)
	}
	eventually(t, "it is over", func() bool { return r.Open(orders, 1) == 0 })
	if s, _ := r.Share(orders); s.Versions[0].Cut != 1 {
		t.Errorf("share is %+v", s)
	}
	if w := r.sum(1); w.Requests != 1 || w.Failed != 0 {
		t.Errorf("windows hold %+v", w)
	}
}

func TestR17_WeightThatComesBackEndsTheDrain(t *testing.T) {
	t.Parallel()
	r, _ := moving(t, Config{}, 10*time.Second)
	c, in, _ := r.socket(t, "")
	for _, tk := range r.known(orders, 1).open.list() {
		tk.jitter = 0.9
	}
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, drainOf(10*time.Second))
	r.split(t, map[rollout.Version]rollout.Weight{1: 1, 2: rollout.Full - 1}, drainOf(10*time.Second))
	r.cutDue(time.Now().Add(time.Hour))
	fmt.Fprint(c, "x\n")
	if line, err := in.ReadString('\n'); line != "one x\n" {
		t.Errorf("%q %v", line, err)
	}
}

func TestR17_PreviewsOutliveTheWeightButNotTheVersion(t *testing.T) {
	t.Parallel()
	r, _ := moving(t, Config{}, 50*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := r.plainGet().WithContext(ctx)
	req.URL.Path = "/events"
	req.Header.Set(HeaderVersion, "v1")
	req.Header.Set(HeaderPreview, SignPreview(previewKey, orders, 1, soon()))
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	r.split(t, map[rollout.Version]rollout.Weight{1: 0, 2: rollout.Full}, drainOf(50*time.Millisecond))
	r.cutDue(time.Now().Add(time.Hour))
	if n := r.Open(orders, 1); n != 1 {
		t.Errorf("the preview was cut with the weight: %d open", n)
	}
	r.split(t, map[rollout.Version]rollout.Weight{2: rollout.Full})
	r.cutDue(time.Now().Add(time.Hour))
	if _, err := io.ReadAll(res.Body); err != nil {
		t.Error(err)
	}
	eventually(t, "it is closed", func() bool { return r.Open(orders, 1) == 0 })
}
