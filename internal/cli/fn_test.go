package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/client"
)

// collect is a server with an app that has two functions and two queues. What it is asked
// beside lists is kept in asked.
func collect(t *testing.T, invoked client.Invoked) (env []string, asked func() string) {
	t.Helper()
	const at = "/api/v1/apps/collect/environments/production"
	app := client.App{Name: "collect", Release: 7, Environments: []client.Environment{{Name: "production"}}}
	answers := map[string]any{
		"GET /api/v1/apps":         []client.App{app},
		"GET /api/v1/apps/collect": app,
		"GET " + at + "/functions": []client.Function{
			{
				Name: "api-pickups-get", Triggers: []string{"GET /pickups/{id}", "queue pickups"}, Runtime: "nodejs22", Handler: "index.handler", Timeout: 10, Memory: 256 << 20, Max: 50,
				Stable: 3, Newest: 4, Candidate: 4, Rollout: 9, Versions: []client.FunctionVersion{
					{Version: 3, Role: "stable", Weight: 90, RPS: 9, Errors: 0, P50: 1.5, P99: 20, Invoked: 1000, Concurrency: 3},
					{Version: 4, Role: "candidate", Weight: 10, RPS: 1, Errors: 5, P50: 2, P99: 30, Invoked: 12},
				},
			},
			{Name: "nightly-report", Triggers: []string{"cron(0 2 * * ? *)"}, Timeout: 900, Max: 10, Stable: 1, Newest: 1, Versions: []client.FunctionVersion{{Version: 1, Role: "stable", Weight: 100}}},
			{Name: "fresh", Newest: 1, Candidate: 1},
		},
		"GET " + at + "/queues": []client.Queue{
			{Name: "orders", Visible: 12, InFlight: 3, Oldest: 139, Calls: []string{"on-order"}, DeadLetter: "orders-dead"},
			{Name: "orders-dead", Visible: 1, Oldest: 3600, DeadOf: []string{"orders"}},
			{Name: "plain"},
		},
		"GET " + at + "/queues/orders-dead/messages": []client.Message{{ID: "m1", Body: "{\n}", Received: 5, From: "orders", Sent: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)}},
		"POST " + at + "/queues/orders/messages":     client.Sent{ID: "m2"},
		"POST " + at + "/queues/orders-dead/redrive": client.Moved{Messages: 1},
		"DELETE " + at + "/queues/orders/messages":   client.Moved{Messages: 15},
		"GET /api/v1/credentials":                    client.Credentials{AccessKeyID: "TITRATEX", SecretAccessKey: "s3", Name: "local", Endpoint: "http://127.0.0.1:7070/lambda"},
		"POST /api/v1/tokens":                        client.NewToken{Token: client.Token{Name: "ci", Role: "deployer"}, Secret: "titrate_x"},
	}
	said := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		v, ok := answers[r.Method+" "+r.URL.Path]
		switch {
		case strings.HasSuffix(r.URL.Path, "/invoke"), strings.HasSuffix(r.URL.Path, "/probe"):
			v, ok = invoked, true
		case strings.HasSuffix(r.URL.Path, "/logs"):
			said = r.URL.RawQuery
			v, ok = client.LogLine{Workload: "api-pickups-get", Version: 3, Text: "hello"}, true
		}
		if r.Method != http.MethodGet {
			said = r.Method + " " + strings.TrimPrefix(r.URL.EscapedPath(), at) + " " + string(b)
		}
		if strings.HasSuffix(r.URL.Path, "/credentials") {
			said = r.Header.Get("Authorization")
		}
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			v = client.Problem{Status: http.StatusNotFound, Code: "T0802", Detail: "there is nothing at " + r.URL.Path}
		}
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return []string{"TITRATE_SERVER=" + srv.URL, "TITRATE_TOKEN=t"}, func() string { return said }
}

func TestFn_lsTellsTriggersVersionsAndErrors(t *testing.T) {
	t.Parallel()
	env, _ := collect(t, client.Invoked{})
	out, said, code := call(t, "", env, "fn", "ls")
	want := strings.Join([]string{
		"name             triggers              live              candidate   calls   errors",
		"api-pickups-get  GET /pickups/{id} +1  v3 90 %, v4 10 %  v4 at 10 %  10.0/s  0.5 %",
		"nightly-report   cron(0 2 * * ? *)     v1                -           0/s     -",
		"fresh            -                     -                 v1          0/s     -",
	}, "\n") + "\n"
	if code != exitDone || out != want {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	if out, _, code := call(t, "", env, "fn", "ls", "-o", "wide"); code != exitDone || !strings.Contains(out, "GET /pickups/{id}, queue pickups") || !strings.Contains(out, "nodejs22") || !strings.Contains(out, "256MB") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, _, code := call(t, "", env, "fn", "ls", "--jq", ".[0].versions[1].weight"); code != exitDone || out != "10\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestFn_invokeWritesTheAnswer(t *testing.T) {
	t.Parallel()
	env, asked := collect(t, client.Invoked{Version: 3, Status: 200, Answer: json.RawMessage(`{"ok":true}`), Tail: "START\nEND\n"})
	out, said, code := call(t, "", env, "fn", "invoke", "api/pickups/get", "--event", `{"id": 7}`, "--version", "v3", "--tail")
	if code != exitDone || out != "{\"ok\":true}\n" || said != "START\nEND\n" {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	if got := asked(); got != `POST /functions/api%2Fpickups%2Fget/invoke {"event":{"id":7},"version":3,"tail":true}` {
		t.Error(got)
	}
	if _, _, code = call(t, ` [1] `, env, "fn", "invoke", "nightly-report", "--event", "-", "--stable"); code != exitDone || asked() != `POST /functions/nightly-report/invoke {"event":[1],"stable":true}` {
		t.Error(code, asked())
	}
	if _, _, code = call(t, "", env, "fn", "invoke", "nightly-report", "--async", "--stable"); code != exitDone || asked() != `POST /functions/nightly-report/invoke {"stable":true,"kind":"event"}` {
		t.Error(code, asked())
	}
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, []byte(`"from a file"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code = call(t, "", env, "fn", "invoke", "nightly-report", "--event", path, "--dry-run", "-o", "json"); code != exitDone || !strings.Contains(asked(), `{"event":"from a file","kind":"dry-run"}`) ||
		!strings.Contains(out, `"version": 3`) {
		t.Error(code, asked(), out)
	}
	for _, wrong := range [][]string{
		{"--event", "nowhere.json"}, {"--version", "v3", "--stable"}, {"--async", "--dry-run"}, {"--version", "0"},
	} {
		if _, said, code := call(t, "", env, append([]string{"fn", "invoke", "web"}, wrong...)...); code != exitUsage {
			t.Errorf("%v: %d %s", wrong, code, said)
		}
	}
	if _, said, code := call(t, "{", env, "fn", "invoke", "web", "--event", "-"); code != exitUsage || !strings.Contains(said, "no JSON") {
		t.Errorf("%d %s", code, said)
	}
}

func TestFn_aFailureEndsWith3(t *testing.T) {
	t.Parallel()
	env, _ := collect(t, client.Invoked{
		Version: 4, Status: 200, Failure: "unhandled", Type: "TypeError", Message: "no beans", Answer: json.RawMessage(`{"errorType":"TypeError"}`), Tail: "before\nafter\n",
	})
	out, said, code := call(t, "", env, "fn", "invoke", "api-pickups-get")
	if code != exitRefused || out != "" || !strings.Contains(said, "error[T0866]: api-pickups-get v4 failed\n  saw     TypeError: no beans\n  wrote   before\n          after\n  help    titrate fn logs api-pickups-get") {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	if out, _, code = call(t, "", env, "fn", "invoke", "api-pickups-get", "--jq", ".type"); code != exitRefused || out != "TypeError\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if _, said, code = call(t, "", env, "fn", "probe", "api-pickups-get"); code != exitRefused || strings.Contains(said, "passes") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	env, _ = collect(t, client.Invoked{Status: 429, Failure: "throttled"})
	if _, said, code = call(t, "", env, "fn", "invoke", "api-pickups-get"); code != exitFailed || !strings.Contains(said, "T0865") {
		t.Errorf("exit code %d\n%s", code, said)
	}
}

func TestFn_probeSaysWhetherItPasses(t *testing.T) {
	t.Parallel()
	env, asked := collect(t, client.Invoked{Version: 4, Status: 200, Answer: json.RawMessage(`1`)})
	out, said, code := call(t, "", env, "fn", "probe", "api-pickups-get", "--event", `{}`)
	if code != exitDone || out != "1\n" || !strings.Contains(said, "api-pickups-get v4 passes") || asked() != `POST /functions/api-pickups-get/probe {"event":{}}` {
		t.Errorf("exit code %d\n%s%s%s", code, out, said, asked())
	}
}

func TestFn_logsTakesAPath(t *testing.T) {
	t.Parallel()
	env, asked := collect(t, client.Invoked{})
	out, said, code := call(t, "", env, "fn", "logs", "api/pickups/get", "--version", "3")
	if code != exitDone || !strings.Contains(out, "hello") || !strings.Contains(asked(), "workload=api-pickups-get") || !strings.Contains(asked(), "version=3") {
		t.Errorf("exit code %d\n%s%s%s", code, out, said, asked())
	}
	if _, said, code := call(t, "", env, "fn", "logs", "web"); code != exitUsage || !strings.Contains(said, "nightly-report") {
		t.Errorf("exit code %d\n%s", code, said)
	}
}

func TestFn_credentialsAreForAShell(t *testing.T) {
	t.Parallel()
	env, asked := collect(t, client.Invoked{})
	out, said, code := call(t, "", env, "fn", "credentials")
	want := "export AWS_ACCESS_KEY_ID=TITRATEX\nexport AWS_SECRET_ACCESS_KEY=s3\nexport AWS_DEFAULT_REGION=local\nexport AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:7070/lambda/collect/production\n"
	if code != exitDone || out != want || asked() != "Bearer t" {
		t.Errorf("exit code %d\n%s%s%s", code, out, said, asked())
	}
	out, said, code = call(t, "", env, "token", "create", "ci", "--aws")
	if code != exitDone || !strings.Contains(out, "export TITRATE_TOKEN=titrate_x\nexport AWS_ACCESS_KEY_ID=TITRATEX\n") || !strings.Contains(out, "/lambda/APP/ENV") || asked() != "Bearer titrate_x" {
		t.Errorf("exit code %d\n%s%s%s", code, out, said, asked())
	}
}

func TestQueue_commands(t *testing.T) {
	t.Parallel()
	env, asked := collect(t, client.Invoked{})
	out, said, code := call(t, "", env, "queue", "ls")
	want := strings.Join([]string{
		"name         waiting  in flight  delayed  oldest  calls     dead letters",
		"orders       12       3          0        2m19s   on-order  orders-dead",
		"orders-dead  1        0          0        1h00m   -         of orders",
		"plain        0        0          0        -       -         -",
	}, "\n") + "\n"
	if code != exitDone || out != want {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	for _, args := range [][]string{{"queue", "send", "orders", "a b"}, {"queue", "send", "orders"}, {"queue", "send", "orders", "-"}} {
		out, said, code = call(t, "a b", env, args...)
		if code != exitDone || out != "m2\n" || asked() != `POST /queues/orders/messages {"body":"a b"}` {
			t.Errorf("%v: exit code %d\n%s%s%s", args, code, out, said, asked())
		}
	}
	if _, _, code = call(t, "", env, "queue", "send", "orders", "x", "--delay", "30s", "--attribute", "a=b", "--dedup", "n1"); code != exitDone ||
		asked() != `POST /queues/orders/messages {"body":"x","attributes":{"a":"b"},"delay":30,"dedup":"n1"}` {
		t.Error(code, asked())
	}
	for _, name := range []string{"orders", "orders-dead"} { // either name leads to the dead letters
		if out, said, code = call(t, "", env, "queue", "dead", name); code != exitDone || !strings.Contains(out, "m1  sent ") || !strings.Contains(out, "received 5  orders\n  {\n  }\n") {
			t.Errorf("exit code %d\n%s%s", code, out, said)
		}
		if _, said, code = call(t, "", env, "queue", "redrive", name); code != exitDone || said != "1 message of orders-dead went back.\n" {
			t.Errorf("exit code %d\n%s", code, said)
		}
	}
	if _, said, code = call(t, "", env, "queue", "dead", "plain"); code != exitUsage || !strings.Contains(said, "deadLetter: plain-dead") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if _, said, code = call(t, "", env, "queue", "redrive", "nothing"); code != exitUsage || !strings.Contains(said, "orders") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if _, said, code = call(t, "", env, "queue", "purge", "orders"); code != exitUsage || !strings.Contains(said, "--confirm orders") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if _, said, code = call(t, "", env, "queue", "purge", "orders", "--confirm", "orders"); code != exitDone || said != "Removed 15 messages of orders.\n" {
		t.Errorf("exit code %d\n%s", code, said)
	}
}

func TestPercent_endsWithADigit(t *testing.T) {
	t.Parallel()
	for p, want := range map[float64]string{50: "50 %", 49.99999: "50 %", 0.5: "0.5 %", 33.3333: "33.33 %", 0.001: "0 %"} {
		if got := percent(p); got != want {
			t.Errorf("%v is %q, want %q", p, got, want)
		}
	}
}
