package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/examples/collect/functions"
	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
	"titrate/examples/collect/internal/stagetest"
	"titrate/internal/target/local/runtimeapi"

	"github.com/aws/aws-lambda-go/lambda"
)

// asProgram makes the test binary the program of the functions: its own, or one with
// AWS's library in the place of the repository's runtime.
const asProgram = "COLLECT_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "":
		os.Exit(m.Run())
	case "own":
		main()
	case "aws":
		a, err := app.Environment(os.Getenv, slog.New(slog.DiscardHandler))
		if err != nil {
			panic(err)
		}
		h, _ := functions.Find(functions.All(a), os.Getenv("_HANDLER"), "")
		lambda.Start(raw(h))
	}
}

// raw gives a handler to AWS's library as it is.
type raw fn.Handler

func (r raw) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return r(ctx, payload) }

// host is a process, or a goroutine, behind a Runtime API of its own.
type host struct {
	mu  sync.Mutex // one event at a time
	env *runtimeapi.Environment
	url string
}

func newHost(t *testing.T, f runtimeapi.Function) *host {
	t.Helper()
	h := &host{env: runtimeapi.New(runtimeapi.Config{Function: f})}
	server := httptest.NewServer(h.env)
	t.Cleanup(server.Close)
	h.url = strings.TrimPrefix(server.URL, "http://")
	return h
}

func (h *host) invoke(ctx context.Context, event []byte) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	deadline := time.Now().Add(time.Minute)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	a, err := h.env.Invoke(ctx, runtimeapi.Invocation{ID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", Payload: event, Deadline: deadline, ARN: "arn"})
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	return io.ReadAll(a.Body)
}

// process starts the program as one function.
func process(t *testing.T, s *stagetest.Stage, what string, f runtimeapi.Function, without string) (*host, *strings.Builder) {
	t.Helper()
	h := newHost(t, f)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	env := f.Variables(h.url)
	env[asProgram] = what
	env["TITRATE_URL_LEDGER"], env["AWS_ENDPOINT_URL_SQS"], env["AWS_ENDPOINT_URL_SNS"], env["TITRATE_EVENTS_TOKEN"] = s.Ledger.URL, s.Bus.URL, s.Bus.URL, stagetest.Token
	delete(env, without)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		h.env.Exited(runtimeapi.Ended(cmd.ProcessState.String()))
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return h, &said
}

// All sixty-four do their work through a Runtime API: customers ask, events go round,
// timers fire.
func TestFunctions_throughTheRuntimeAPI(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	direct := functions.All(s.App)
	hosts := map[string]*host{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(func() {
		stop()
		all.Wait()
		client.CloseIdleConnections()
	})
	for folder, handler := range direct {
		h := newHost(t, runtimeapi.Function{Name: strings.ReplaceAll(folder, "/", "-"), Version: "1", Handler: folder, Memory: 128})
		hosts[folder] = h
		all.Go(func() {
			if err := (fn.Program{API: h.url, Handler: handler, Client: client}).Run(ctx); err != nil {
				t.Errorf("%s: %v", folder, err)
			}
		})
	}
	called := sync.Map{}
	s.Call = func(ctx context.Context, folder string, event []byte) ([]byte, error) {
		called.Store(folder, true)
		return hosts[folder].invoke(ctx, event)
	}
	var id string
	for i := range 12 {
		card := app.Pays
		if i == 0 {
			card = app.Declined
		}
		body := fmt.Sprintf(`{"customer":"c-1","item":"sofa","area":"salmiya","card":%q}`, card)
		id = post(t, s, "/pickups", fmt.Sprintf("key-%d", i), body)
	}
	if failed := s.Settle(t.Context()); len(failed) > 0 {
		t.Errorf("%d deliveries failed: %v", len(failed), failed[0])
	}
	post(t, s, "/cancellations", "", `{"pickup":"`+id+`"}`)
	post(t, s, "/quotes", "", `{"items":["sofa"]}`)
	s.Send("dead", `{"pickup":"`+id+`"}`)
	s.Settle(t.Context())
	for folder := range direct {
		switch {
		case strings.HasPrefix(folder, "timers/"):
			if _, err := s.Call(t.Context(), folder, stagetest.Tick(time.Now())); err != nil {
				t.Errorf("%s: %v", folder, err)
			}
		case strings.HasPrefix(folder, "api/") && strings.HasSuffix(folder, "/get"):
			path := strings.TrimSuffix(strings.TrimPrefix(folder, "api"), "/get")
			get(t, s, path+"?customer=c-1&pickup="+id+"&name=intake&driver=amal")
		}
	}
	get(t, s, "/pickups/"+id)
	for folder := range direct {
		if _, ok := called.Load(folder); !ok {
			t.Errorf("%s was never called", folder)
		}
	}
	if sum := s.Summary(); sum.States[ledger.Collected]+sum.States[ledger.Failed]+sum.States[ledger.Cancelled] != 12 {
		t.Errorf("%+v", sum)
	}
}

func post(t *testing.T, s *stagetest.Stage, path, key, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Front.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", key)
	said := answered(t, req)
	_, id, _ := strings.Cut(said, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

func get(t *testing.T, s *stagetest.Stage, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Front.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answered(t, req)
}

func answered(t *testing.T, req *http.Request) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusInternalServerError {
		t.Errorf("%s: %d %s, %v", req.URL.Path, resp.StatusCode, said, err)
	}
	return string(said)
}

// The program is the function that the platform names, by its handler or by its name; and
// AWS's own library does the same handlers.
func TestProgram_isTheFunctionThatIsNamed(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	for _, c := range []struct {
		what string
		f    runtimeapi.Function
	}{
		{"own", runtimeapi.Function{Name: "timers-hourly-intake", Handler: "bootstrap"}},
		{"own", runtimeapi.Function{Name: "collect-production-timers-hourly-intake", Handler: "timers/hourly/intake"}},
		{"aws", runtimeapi.Function{Name: "timers-hourly-intake", Handler: "timers/hourly/intake"}},
	} {
		c.f.Version, c.f.Memory, c.f.Root = "1", 128, t.TempDir()
		h, said := process(t, s, c.what, c.f, "")
		if _, err := h.invoke(t.Context(), stagetest.Tick(time.Date(2026, 3, 1, 2, 15, 0, 0, time.UTC))); err != nil {
			t.Errorf("%s as %s: %v\n%s", c.what, c.f.Handler, err, said)
		}
		var f *runtimeapi.InvocationError
		if _, err := h.invoke(t.Context(), []byte(`{}`)); !errors.As(err, &f) || f.Class != runtimeapi.Unhandled || !strings.Contains(f.Message, "no time") {
			t.Errorf("%s as %s: %v", c.what, c.f.Handler, err)
		}
	}
	if n := s.Summary().Reports["intake"]; n != 1 {
		t.Errorf("%d reports", n)
	}
}

func TestProgram_saysWhyItCannotStart(t *testing.T) {
	t.Parallel()
	s := stagetest.New(t)
	for _, c := range []struct{ handler, without, says string }{
		{"on/nothing", "", "there is no function"}, {"on/quote", "TITRATE_URL_LEDGER", "not set: TITRATE_URL_LEDGER"},
	} {
		h, _ := process(t, s, "own", runtimeapi.Function{Name: "x", Handler: c.handler, Root: t.TempDir()}, c.without)
		if err := h.env.Ready(nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.handler, err)
		}
	}
}
