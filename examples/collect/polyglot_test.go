package collect_test

import (
	"context"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/examples/collect"
	"titrate/examples/collect/internal/ledger"
	"titrate/examples/collect/internal/stagetest"
	"titrate/internal/target/local/runtimeapi"
	"titrate/internal/target/local/runtimes"
)

// The functions in JavaScript and Python do what those in Go do, under Titrate's clients
// of the Runtime API: delivered twice, a notice and a report are written once.
func TestPolyglot_doTheSame(t *testing.T) {
	t.Parallel()
	news := `{"Records":[{"Sns":{"MessageId":"m","Message":"{\"pickup\":\"p-1\",\"state\":\"collected\"}"}}]}`
	tick := string(stagetest.Tick(time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)))
	repository, clients := t.TempDir(), t.TempDir()
	if err := collect.Write(repository, collect.V2, collect.Options{Node: true, Python: true}); err != nil {
		t.Fatal(err)
	}
	if err := runtimes.Write(clients); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ folder, runtime, handler, event, says, told string }{
		{"api/prices/get", "nodejs", "index.handler", `{}`, "12.500 KWD", ""},
		{"notify/sms", "nodejs", "index.handler", news, `"2"`, "sms"},
		{"notify/dashboard", "python", "lambda_function.lambda_handler", news, `"2"`, "dashboard"},
		{"timers/nightly/forecast", "python", "lambda_function.lambda_handler", tick, `"2"`, ""},
	} {
		t.Run(c.folder, func(t *testing.T) {
			t.Parallel()
			runtime, err := runtimes.Find(t.Context(), c.runtime)
			if err != nil {
				t.Skip(err)
			}
			s := stagetest.New(t)
			if _, _, _, err := s.Store.Append(t.Context(), ledger.Entry{Request: "key:1", Kind: ledger.Step, Pickup: "p-1", State: ledger.Accepted}); err != nil {
				t.Fatal(err)
			}
			invoke := other(t, s, runtime.Command(clients, filepath.Join(repository, c.folder)), runtimeapi.Function{
				Name: "f", Version: "2", Handler: c.handler, Memory: 128, Root: filepath.Join(repository, c.folder), Runtime: runtime.Name,
			})
			if said := invoke(`{"probe":true}`); !strings.Contains(said, "able") {
				t.Errorf("probed: %s", said)
			}
			for range 2 {
				if said := invoke(c.event); !strings.Contains(said, c.says) {
					t.Errorf("it said %s", said)
				}
			}
			sum := s.Summary()
			if c.told != "" && sum.Told[c.told] != 1 {
				t.Errorf("told: %v", sum.Told)
			}
			if c.event == tick && sum.Reports["forecast"] != 1 {
				t.Errorf("reports: %v", sum.Reports)
			}
		})
	}
}

// other starts a function in another language and returns how to call it.
func other(t *testing.T, s *stagetest.Stage, command []string, f runtimeapi.Function) func(event string) string {
	t.Helper()
	env := runtimeapi.New(runtimeapi.Config{Function: f})
	host := httptest.NewServer(env)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Stderr = f.Root, t.Output()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TITRATE_URL_LEDGER=" + s.Ledger.URL}
	for name, value := range f.Variables(strings.TrimPrefix(host.URL, "http://")) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		env.Exited(runtimeapi.Ended(cmd.ProcessState.String()))
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		host.Close()
	})
	return func(event string) string {
		deadline := time.Now().Add(time.Minute)
		ctx, cancel := context.WithDeadline(t.Context(), deadline)
		defer cancel()
		a, err := env.Invoke(ctx, runtimeapi.Invocation{ID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", Payload: []byte(event), Deadline: deadline, ARN: "arn"})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		said, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(said)
	}
}
