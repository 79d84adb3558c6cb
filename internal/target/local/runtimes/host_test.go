package runtimes_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"titrate/internal/target/local/runtimes"
)

// host is a small Runtime API host of the tests' own, written to the same specification of AWS's as the clients. The product's host is
// internal/target/local/runtimeapi; packages of one floor do not know each other, so this one is not it.
type host struct {
	*httptest.Server
	next    chan call
	answers chan reply
	over    chan struct{} // closed when there is no more work
	done    chan struct{}
}

type call struct{ id, body string }

// reply is what a client posted: to response, error or init/error.
type reply struct {
	path, body string
	header     http.Header
	trailer    http.Header
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{next: make(chan call), answers: make(chan reply, 16), over: make(chan struct{}), done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case c := <-h.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", c.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:here:1:function:f")
			w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1")
			w.Header().Set("Lambda-Runtime-Client-Context", `{"client":{"app_title":"shop"},"custom":{"a":1}}`)
			w.Header().Set("Lambda-Runtime-Cognito-Identity", `{"cognitoIdentityId":"who","cognitoIdentityPoolId":"pool"}`)
			io.WriteString(w, c.body)
		case <-h.over:
			w.WriteHeader(http.StatusGone)
		case <-r.Context().Done():
		case <-h.done:
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read %s: %v", r.URL.Path, err)
		}
		h.answers <- reply{strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/"), string(body), r.Header, r.Trailer}
		w.WriteHeader(http.StatusAccepted)
	})
	h.Server = httptest.NewServer(mux)
	t.Cleanup(func() { close(h.done); h.Close() })
	return h
}

// invoke gives the function one event and waits for what it posts.
func (h *host) invoke(t *testing.T, p *process, id, body string) reply {
	t.Helper()
	select {
	case h.next <- call{id, body}:
	case <-p.ended:
		t.Fatalf("the process ended before the event: %s", p.out)
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
	return h.answer(t, p)
}

func (h *host) answer(t *testing.T, p *process) reply {
	t.Helper()
	select {
	case r := <-h.answers:
		return r
	case <-p.ended:
		select {
		case r := <-h.answers:
			return r
		default:
		}
		t.Fatalf("the process ended without an answer: %s", p.out)
	}
	return reply{}
}

func (r reply) errorBody(t *testing.T) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(r.trailer.Get("Lambda-Runtime-Function-Error-Body"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// process is a client at work; ended closes when it is over and out is whole.
type process struct {
	ended chan struct{}
	out   log
	cmd   *exec.Cmd
}

// log is a file that the client writes itself: what it wrote before an answer is there when the answer is.
type log struct{ *os.File }

func (l log) String() string {
	b, err := os.ReadFile(l.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// find returns the runtime, or skips where its interpreter is not installed.
func find(t *testing.T, name string) runtimes.Runtime {
	t.Helper()
	r, err := runtimes.Find(t.Context(), name)
	if err != nil {
		t.Skipf("needs the interpreter of %s: %v", name, err)
	}
	return r
}

// folder writes files, by path and content, and returns where.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	at := t.TempDir()
	for name, content := range files {
		path := filepath.Join(at, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

func clients(t *testing.T) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "clients")
	if err := runtimes.Write(at); err != nil {
		t.Fatal(err)
	}
	return at
}

// start runs handler of files in a client until the test is over.
func start(t *testing.T, h *host, r runtimes.Runtime, handler string, files map[string]string) *process {
	t.Helper()
	root := folder(t, files)
	command := r.Command(clients(t), root)
	out, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	p := &process{ended: make(chan struct{}), out: log{out}, cmd: exec.CommandContext(t.Context(), command[0], command[1:]...)}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = root, out, out
	p.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "AWS_LAMBDA_RUNTIME_API=" + h.Listener.Addr().String(), "_HANDLER=" + handler, "LAMBDA_TASK_ROOT=" + root,
		"AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_VERSION=7", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/f",
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

func has(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, text)
		}
	}
}
