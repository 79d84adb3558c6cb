package local

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
	"titrate/internal/target/local/runtimeapi"
	"titrate/internal/world"
)

// serveAt serves a request with a version, and returns the response with its whole body.
func serveAt(t *testing.T, c invocation.Callee, method, target string, body io.Reader, header ...string) (*http.Response, string, invocation.Called) {
	t.Helper()
	r := httptest.NewRequest(method, target, body).WithContext(t.Context())
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, called := c.Serve(r, invocation.Call{ID: "a-request", Real: true})
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return resp, string(text), called
}

func TestFunction_isGivenRequestsAsAnHTTPAPIGivesThem(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(&rollout.Triggers{Routes: []string{"GET /pickups/{id}", "POST /pickups"}}, fnFleet(1, "function-http"))
	c := b.callee(1)
	resp, body, called := serveAt(t, c, http.MethodGet, "http://shop.example/pickups/a%20b?x=1&x=2", nil,
		"X-Forwarded-For", "203.0.113.9, 10.0.0.1", "Cookie", "a=b; c=d", "X-Custom", "yes")
	if resp.StatusCode != 201 || resp.Header.Get("X-Beans") != "ethiopia" || called.Failure != "" || resp.ContentLength != int64(len(body)) {
		t.Fatalf("%v %v %+v", resp.StatusCode, resp.Header, called)
	}
	var e struct {
		Version, RouteKey, RawPath, RawQueryString string
		Cookies                                    []string
		Headers, PathParameters                    map[string]string
		RequestContext                             struct {
			Stage, RequestID string
			HTTP             struct{ SourceIP, Method string }
		}
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	if e.Version != "2.0" || e.RouteKey != "GET /pickups/{id}" || e.PathParameters["id"] != "a b" || e.RawQueryString != "x=1&x=2" || len(e.Cookies) != 2 ||
		e.Headers["x-custom"] != "yes" || e.RequestContext.Stage != "$default" || e.RequestContext.RequestID != "a-request" || e.RequestContext.HTTP.SourceIP != "203.0.113.9" {
		t.Errorf("event %s", body)
	}
	// What a fellow workload calls it at is nobody's route.
	if _, body, _ = serveAt(t, c, http.MethodDelete, "http://127.0.0.1/anything", nil); !strings.Contains(body, `"routeKey":"$default"`) {
		t.Errorf("event %s", body)
	}
	// A body that is no text is sent in base64.
	if _, body, _ = serveAt(t, c, http.MethodPost, "http://shop.example/pickups", strings.NewReader("\xff\x00"), "Content-Type", "image/png"); !strings.Contains(body, `"isBase64Encoded":true`) || !strings.Contains(body, `"body":"/wA="`) {
		t.Errorf("event %s", body)
	}
	resp, _, called = serveAt(t, c, http.MethodPost, "http://shop.example/pickups", strings.NewReader(strings.Repeat("x", runtimeapi.MaxPayload+1)))
	if resp.StatusCode != http.StatusRequestEntityTooLarge || called.Failure != "" {
		t.Errorf("a body of more than 6 MiB: %d %+v", resp.StatusCode, called)
	}
	if resp, body, _ = serveAt(t, c, http.MethodHead, "http://shop.example/pickups", nil); body != "" || resp.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %q %v", body, resp.Header)
	}
	// The routes and the form of events are the workload's, not the version's.
	b.wantFn(&rollout.Triggers{Routes: []string{"ANY /{proxy+}"}, Payload: "1.0"}, fnFleet(1, "function-http"))
	if _, body, _ = serveAt(t, c, http.MethodGet, "http://shop.example/a/b", nil); !strings.Contains(body, `"version":"1.0"`) || !strings.Contains(body, `"resource":"/{proxy+}"`) || !strings.Contains(body, `"pathParameters":{"proxy":"a/b"}`) {
		t.Errorf("event %s", body)
	}
}

func TestFunction_answersForBrowsersAndTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	cors := &rollout.CORS{Origins: []string{"https://shop.example"}, Methods: []string{"GET"}}
	b.wantFn(&rollout.Triggers{Routes: []string{"GET /"}, CORS: cors}, fnFleet(1, "function-http"))
	c := b.callee(1)
	resp, _, called := serveAt(t, c, http.MethodOptions, "http://api.example/", nil, "Origin", "https://shop.example", "Access-Control-Request-Method", "GET")
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Methods") != "GET" || called != (invocation.Called{}) {
		t.Errorf("preflight: %d %v %+v", resp.StatusCode, resp.Header, called)
	}
	if resp, _, _ = serveAt(t, c, http.MethodGet, "http://api.example/", nil, "Origin", "https://shop.example"); resp.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("%v", resp.Header)
	}
	if resp, _, _ = serveAt(t, c, http.MethodGet, "http://api.example/", nil, "Origin", "https://evil.example"); resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", resp.Header)
	}
	invoked := func() uint64 { n, _ := b.function(1).account.seen(time.Now()); return n }
	before := invoked()
	token := &rollout.JWT{Issuer: "http://127.0.0.1:1", Audiences: []string{"shop"}}
	b.wantFn(&rollout.Triggers{Routes: []string{"GET /"}, CORS: cors, JWT: token}, fnFleet(1, "function-http"))
	for _, header := range [][]string{{"Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.eA"}, nil, {"Authorization", "Bearer x.y.z"}} {
		if resp, _, called = serveAt(t, c, http.MethodGet, "http://api.example/", nil, header...); resp.StatusCode != http.StatusUnauthorized || called.Failure != "" {
			t.Errorf("%v: %d %+v", header, resp.StatusCode, called)
		}
	}
	var told []string
	for _, l := range b.logs(world.LogQuery{App: orders.App, Env: orders.Env}) {
		if strings.HasPrefix(l.Text, "a request was refused: ") {
			told = append(told, l.Text)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], token.Issuer) {
		t.Errorf("of three that were refused within a moment the log says %q", told)
	}
	if auth := b.function(1).wish.Load().door.auth; auth == nil {
		t.Error("no authorizer")
	} else if again, err := b.authorizer(*token); err != nil || again != auth {
		t.Errorf("another authorizer for the same issuer: %v", err)
	}
	b.wantFn(&rollout.Triggers{Routes: []string{"GET /"}, JWT: &rollout.JWT{}}, fnFleet(1, "function-http"))
	if resp, _, _ = serveAt(t, c, http.MethodGet, "http://api.example/", nil); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("who may come in cannot be told, and anybody may: %d", resp.StatusCode)
	}
	if invoked() != before {
		t.Error("who was refused has reached the function")
	}
}

func TestFunction_failuresAreResponses(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	f := fnFleet(1, "function")
	f.Scale.Max = 1
	b.wantFn(nil, f)
	c := b.callee(1)
	// The event of a request says nothing that this function does: it answers it.
	if resp, body, called := serveAt(t, c, http.MethodGet, "http://x/", nil); resp.StatusCode != 200 || called.Failure != "" {
		t.Errorf("%d %s %+v", resp.StatusCode, body, called)
	}
	var work sync.WaitGroup
	work.Go(func() { b.ask(c, `{"do":"wait","path":"go-on"}`) })
	b.until("it is at work", func(Seen) bool {
		_, busy, _ := b.function(1).pool.Count()
		return busy == 1
	})
	resp, body, called := serveAt(t, c, http.MethodGet, "http://x/", nil)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" || called.Failure != invocation.Throttled || !strings.Contains(body, `"message"`) {
		t.Errorf("%d %v %s %+v", resp.StatusCode, resp.Header, body, called)
	}
	b.state("go-on")
	work.Wait()
	for failure, status := range map[invocation.Failure]int{
		invocation.Timeout: 504, invocation.Unhandled: 502, invocation.Memory: 502, invocation.Exit: 502, invocation.Init: 502,
		invocation.TooLarge: 502, invocation.Malformed: 502, invocation.Throttled: 429,
	} {
		if got := answerOf(t, failure); got.StatusCode != status {
			t.Errorf("%s is answered with %d, want %d", failure, got.StatusCode, status)
		}
	}
}

func answerOf(t *testing.T, f invocation.Failure) *http.Response {
	t.Helper()
	resp := failure(httptest.NewRequest(http.MethodGet, "http://x/", nil), invocation.Called{Failure: f})
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestFunction_anAnswerThatIsNoneIsMalformed(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function-text"))
	resp, body, called := serveAt(t, b.callee(1), http.MethodGet, "http://x/", nil)
	if resp.StatusCode != http.StatusBadGateway || called.Failure != invocation.Malformed || called.Message == "" || !strings.Contains(body, `"message"`) {
		t.Errorf("%d %s %+v", resp.StatusCode, body, called)
	}
}

func TestFunction_streamsThroughTheGateway(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function-stream"))
	c := b.callee(1)
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.Out.URL.Scheme, p.Out.URL.Host = "http", "x" }, FlushInterval: -1, Transport: calls{c}})
	defer front.Close()
	resp, err := http.Get(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 202 || resp.Header.Get("X-Beans") != "kenya" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	first := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "one " {
		t.Fatalf("%q %v", first, err)
	}
	b.state("go-on")
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "two" {
		t.Errorf("%q %v", rest, err)
	}
	b.until("it is counted", func(s Seen) bool { return s.fleet(1).Invoked == 1 })
	// Its instance is used again, and a client that leaves does it no harm.
	pid := b.until("it is there", func(s Seen) bool { return len(s.Instances) == 1 }).Instances[0].PID
	for range 3 {
		r := httptest.NewRequest(http.MethodGet, "http://x/", nil)
		resp, called := c.Serve(r, invocation.Call{ID: "1", Real: true})
		if called.Failure != "" {
			t.Fatalf("%+v", called)
		}
		resp.Body.Close()
	}
	seen := b.until("they are counted", func(s Seen) bool { return s.fleet(1).Invoked == 4 })
	if len(seen.Instances) == 0 || seen.Instances[0].PID != pid {
		t.Errorf("process %d, then %+v", pid, seen.Instances)
	}
}

func TestFunction_passesAnAnswerOnAsItComes(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function-stream"))
	c := b.callee(1)
	invoke := func(ctx context.Context, event string, to io.Writer) ([]byte, invocation.Called) {
		return c.Invoke(ctx, []byte(event), invocation.Call{ID: "a-call", Real: true, Tail: true, To: func() io.Writer { return to }})
	}
	// One who leaves while the function says nothing is not kept by it.
	ctx, leave := context.WithCancel(t.Context())
	r, w := io.Pipe()
	left := make(chan invocation.Called, 1)
	go func() {
		_, called := invoke(ctx, `{}`, w)
		left <- called
	}()
	// The first piece is there while the function has not said the second.
	said, err := bufio.NewReader(r).ReadString(' ')
	if err != nil || !strings.HasPrefix(said, "{") || !strings.HasSuffix(said, "\x00one ") {
		t.Fatalf("%q %v", said, err)
	}
	leave()
	if called := <-left; called.Failure != invocation.Canceled {
		t.Errorf("%+v", called)
	}
	b.state("go-on")
	b.until("the function has ended in peace", func(s Seen) bool { return s.fleet(1).Invoked == 1 })

	var whole strings.Builder
	if rest, called := invoke(t.Context(), `{}`, &whole); called.Failure != "" || rest != nil || !strings.HasSuffix(whole.String(), "one two") || !strings.Contains(called.Tail, "END RequestId: a-call") {
		t.Errorf("%q, %q, %+v", rest, whole.String(), called)
	}
	whole.Reset()
	if rest, called := invoke(t.Context(), `{"do":"fail"}`, &whole); called.Failure != invocation.Unhandled || !strings.Contains(string(rest), "no beans") || !strings.HasSuffix(whole.String(), "one ") || called.Tail == "" {
		t.Errorf("%q, %q, %+v", rest, whole.String(), called)
	}
	// What is not streamed is passed on as one piece.
	b.wantFn(nil, fnFleet(2, "function"))
	c = b.callee(2)
	whole.Reset()
	if rest, called := invoke(t.Context(), `{"do":"large","size":100000}`, &whole); called.Failure != "" || rest != nil || whole.Len() != 100_002 {
		t.Errorf("%q, %d bytes, %+v", rest, whole.Len(), called)
	}
	whole.Reset()
	if rest, called := invoke(t.Context(), `{"do":"error"}`, &whole); called.Failure != invocation.Unhandled || !strings.Contains(string(rest), "no beans") || whole.Len() != 0 {
		t.Errorf("%q, %q, %+v", rest, whole.String(), called)
	}
}

// calls is the gateway's transport of a version.
type calls struct{ invocation.Callee }

func (c calls) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, called := c.Serve(r, invocation.Call{ID: "a-request", Real: true})
	if called.Failure != "" {
		return nil, errors.New(called.Message)
	}
	return resp, nil
}

// handlerFolder is an artifact of some files.
func (b *bench) handlerFolder(digit string, files map[string]string) string {
	b.t.Helper()
	digest := strings.Repeat(digit, 64)
	dir := filepath.Join(b.dir, "artifacts", digest)
	for name, text := range files {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return digest
}

func scriptFleet(v rollout.Version, runtime, handler, artifact string) world.Fleet {
	f := fnFleet(v, "")
	f.Command, f.Artifact, f.Function.Runtime, f.Function.Handler = nil, artifact, runtime, handler
	return f
}

func TestFunction_runsNodeAndPython(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ program, runtime, handler, file, code, broken string }{
		{
			"node", "nodejs", "orders.handler", "orders.mjs",
			"export const handler = async (e, c) => { if (e.fail) throw new TypeError('no beans'); console.log('roasts'); return {got: e, name: c.functionName, left: c.getRemainingTimeInMillis() > 0} }",
			"import './nowhere.mjs'\nexport const handler = async () => 1",
		},
		{
			"python3", "python3", "orders.handler", "orders.py",
			"def handler(e, c):\n    if e.get('fail'):\n        raise TypeError('no beans')\n    print('roasts')\n    return {'got': e, 'name': c.function_name, 'left': c.get_remaining_time_in_millis() > 0}\n",
			"import nowhere\ndef handler(e, c):\n    return 1\n",
		},
	} {
		t.Run(c.program, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skip("there is no " + c.program)
			}
			b := newBench(t, newFolder(t))
			b.wantFn(nil, scriptFleet(1, c.runtime, c.handler, b.handlerFolder("1", map[string]string{c.file: c.code})))
			callee := b.callee(1)
			var got struct {
				Got  map[string]int
				Name string
				Left bool
			}
			if err := json.Unmarshal([]byte(b.ask(callee, `{"n":1}`)), &got); err != nil || got.Got["n"] != 1 || got.Name != "orders" || !got.Left {
				t.Errorf("%+v %v", got, err)
			}
			payload, called := b.try(callee, `{"fail":1}`)
			if called.Failure != invocation.Unhandled || called.Type != "TypeError" || !strings.Contains(called.Message, "no beans") {
				t.Errorf("%s %+v", payload, called)
			}
			_, called = callee.Invoke(t.Context(), []byte(`{}`), invocation.Call{ID: "1", Tail: true})
			if !strings.Contains(called.Tail, "roasts") {
				t.Errorf("tail %q", called.Tail)
			}
			// One that does not load is told of before it is published.
			b.wantFn(nil, scriptFleet(2, c.runtime, c.handler, b.handlerFolder("2", map[string]string{c.file: c.broken})))
			seen := b.until("a failure", func(s Seen) bool { return s.fleet(2).Failure != "" })
			if got := seen.fleet(2).Failure; !strings.Contains(got, "nowhere") {
				t.Errorf("failure %q", got)
			}
		})
	}
}

func TestFunction_statusesWithoutABodyHaveNone(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "http://x/", nil)
	d := &door{}
	for status, want := range map[int]int{200: 200, 204: 204, 304: 304, 100: 502, 103: 502} {
		body := fmt.Sprintf(`{"statusCode":%d,"body":"beans"}`, status)
		resp, called := d.answer(r, answered{answer: &runtimeapi.Answer{Body: io.NopCloser(strings.NewReader(body))}})
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || err != nil || (called.Failure != "") != (want == 502) || (string(got) == "beans") != (want == 200) || resp.ContentLength != int64(len(got)) {
			t.Errorf("%d: %d %q %+v", status, resp.StatusCode, got, called)
		}
	}
}

func FuzzReadPrelude(f *testing.F) {
	f.Add([]byte("{\"statusCode\":200}\x00\x00\x00\x00\x00\x00\x00\x00rest"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		from := bufio.NewReaderSize(bytes.NewReader(text), 16)
		head, err := readPrelude(from)
		at := bytes.Index(text, make([]byte, preludeEnd))
		if (err == nil) != (at >= 0) && len(text) <= mostPrelude {
			t.Fatalf("%q: %v", text, err)
		}
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(from)
		if !bytes.Equal(head, text[:at]) || !bytes.Equal(rest, text[at+preludeEnd:]) {
			t.Fatalf("%q is %q and %q", text, head, rest)
		}
	})
}
