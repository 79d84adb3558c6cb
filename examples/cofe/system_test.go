package cofe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"titrate/examples/cofe"
	"titrate/examples/cofe/internal/psp"
	"titrate/examples/cofe/load"
	"titrate/internal/porttest"
)

// market is the seven services as processes.
type market struct {
	bin, dir string
	ports    map[string]string
	running  map[string]*exec.Cmd
	database string // DATABASE_URL; empty: SQLite
}

func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("slow: set TITRATE_TEST_SLOW=1")
	}
}

// build compiles main packages into a folder.
func build(t *testing.T, dir, into string, packages ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", into + "/"}, packages...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %v: %v\n%s", packages, err, out)
	}
}

func open(t *testing.T, bin, database string) *market {
	t.Helper()
	m := &market{bin: bin, dir: t.TempDir(), ports: map[string]string{}, running: map[string]*exec.Cmd{}, database: database}
	for _, name := range cofe.Services() {
		m.ports[name] = strconv.Itoa(porttest.Held(t))
	}
	for _, name := range cofe.Services() {
		m.start(t, name)
	}
	for _, name := range cofe.Services()[:6] {
		m.healthy(t, name)
	}
	return m
}

func (m *market) url(name string) string { return "http://127.0.0.1:" + m.ports[name] }

func (m *market) start(t *testing.T, name string) {
	t.Helper()
	log, err := os.OpenFile(m.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(m.bin, name))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PORT=" + m.ports[name], "TITRATE_STATE=" + filepath.Join(m.dir, name), "TITRATE_VERSION=v1", "TITRATE_INSTANCE=" + name + "-1-a", "DATABASE_URL=" + m.database}
	for other := range m.ports {
		cmd.Env = append(cmd.Env, "TITRATE_URL_"+strings.ToUpper(other)+"="+m.url(other))
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.running[name] = cmd
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

func (m *market) log(name string) string { return filepath.Join(m.dir, name+".log") }

func (m *market) healthy(t *testing.T, name string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if status, _ := get(t, m.url(name)+"/healthz", ""); status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(m.log(name))
			t.Fatalf("%s is not healthy:\n%s", name, text)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// kill ends a process as a power cut would.
func (m *market) kill(t *testing.T, name string) {
	t.Helper()
	if err := m.running[name].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	m.running[name].Wait()
}

// inLog tells whether a service's log has a request id.
func (m *market) inLog(t *testing.T) func(id string) bool {
	t.Helper()
	var all bytes.Buffer
	for name := range m.ports {
		text, err := os.ReadFile(m.log(name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return func(id string) bool { return bytes.Contains(all.Bytes(), []byte(`"request_id":"`+id+`"`)) }
}

func get(t *testing.T, url, accept string) (int, string) {
	t.Helper()
	return send(t, http.MethodGet, url, map[string]string{"Accept": accept}, "")
}

func send(t *testing.T, method, url string, header map[string]string, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// All seven services under load, while orders is killed three times with orders
// half way: the books hold, every order comes to one end, no request is lost.
func TestMarket_holdsWhileOrdersIsKilled(t *testing.T) {
	t.Parallel()
	slow(t)
	dir, bin := t.TempDir(), t.TempDir()
	if err := cofe.Write(dir, cofe.V1); err != nil {
		t.Fatal(err)
	}
	build(t, dir, bin, "./services/...")
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			database := ""
			if kind == "postgres" {
				if database = os.Getenv("TITRATE_TEST_POSTGRES"); database == "" {
					t.Skip("no PostgreSQL: set TITRATE_TEST_POSTGRES to its URL")
				}
				database = freshDatabase(t, database)
			}
			m := open(t, bin, database)
			ctx, cancel := context.WithCancel(t.Context())
			var playing sync.WaitGroup
			var report *load.Report
			seconds := make(chan load.Stats, 100)
			playing.Go(func() {
				var err error
				if report, err = load.Run(ctx, load.Config{URL: m.url("store"), Rate: 60, OnSecond: func(s load.Stats) { seconds <- s }}); err != nil {
					t.Error(err)
				}
			})
			own := map[string]string{}
			for n := range 3 {
				<-seconds
				for key, id := range m.ordersAtOnce(t, fmt.Sprint("key-kill-", n)) {
					own[key] = id
				}
				m.kill(t, "orders")
				m.start(t, "orders")
				m.healthy(t, "orders") // the seconds of a machine that is busy are no time to start in
				<-seconds
			}
			cancel()
			playing.Wait()
			for key, id := range own {
				report.Orders[key] = id
			}
			verdict, err := load.Check(t.Context(), report, load.CheckConfig{URLs: m.urls(), InLog: m.inLog(t), Patience: 60 * time.Second, Fresh: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range verdict.Problems {
				t.Error(p)
			}
			if report.NoAnswer > 0 {
				t.Errorf("%d requests had no answer from the store: %+v", report.NoAnswer, report.Failures)
			}
			if verdict.Confirmed < len(own) || report.OK < 200 {
				t.Errorf("too little happened to tell: %d confirmed, %d requests", verdict.Confirmed, report.OK)
			}
			t.Logf("%d requests, %d failed while orders was away, p99 %s; %d orders, %d confirmed, %d rejected, %d entries",
				report.Sent, report.Failed, report.P99, verdict.Orders, verdict.Confirmed, verdict.Rejected, verdict.Entries)
			m.stopsWithin(t, 30*time.Second)
		})
	}
}

// ordersAtOnce places orders whose first try to pay is refused for a moment, so
// that they are half way when this returns.
func (m *market) ordersAtOnce(t *testing.T, prefix string) map[string]string {
	t.Helper()
	_, card := send(t, http.MethodPost, m.url("payments")+"/payments/cards", nil, `{"number":"`+psp.Busy+`"}`)
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(card), &token); err != nil {
		t.Fatal(err, card)
	}
	var mu sync.Mutex
	placed := map[string]string{}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			key := fmt.Sprint(prefix, "-", i)
			status, body := send(t, http.MethodPost, m.url("orders")+"/orders", map[string]string{"Idempotency-Key": key},
				`{"customer":"c-0005","currency":"KWD","lines":[{"product":"kivu","name":"Kivu","quantity":1,"unit":4100}],"credits":100,"gift":50,"gift_code":"GIFT-0005","card_token":"`+token.Token+`"}`)
			var accepted struct{ ID string }
			if err := json.Unmarshal([]byte(body), &accepted); err != nil || status != http.StatusAccepted {
				t.Errorf("order: %d %s", status, body)
				return
			}
			mu.Lock()
			placed[key] = accepted.ID
			mu.Unlock()
		})
	}
	all.Wait()
	return placed
}

func (m *market) urls() map[string]string {
	urls := map[string]string{}
	for name := range m.ports {
		urls[name] = m.url(name)
	}
	return urls
}

// stopsWithin asks all services to stop: each ends with exit code 0 in time.
func (m *market) stopsWithin(t *testing.T, d time.Duration) {
	t.Helper()
	for name, cmd := range m.running {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ended := make(chan error, len(m.running))
	for name, cmd := range m.running {
		go func() {
			if err := cmd.Wait(); err != nil {
				ended <- fmt.Errorf("%s: %w", name, err)
				return
			}
			ended <- nil
		}()
	}
	late := time.After(d)
	for range m.running {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-late:
			t.Fatalf("not all services stopped in %s", d)
		}
	}
}
