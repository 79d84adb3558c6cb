package dev

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// A load profile is what was asked of an app and when, a JSON object a line: a head,
// then requests. It holds no credential: no Authorization, no Cookie.
type profileHead struct {
	Profile int    `json:"titrate_load_profile"` // the format
	App     string `json:"app"`
}

const profileFormat = 1

// Request is one request of a load profile.
type Request struct {
	After  float64 `json:"after_ms"` // since the recording began
	Method string  `json:"method"`
	Host   string  `json:"host"` // without port
	Path   string  `json:"path"` // with its query
	Type   string  `json:"type,omitempty"`
	Body   []byte  `json:"body,omitempty"`
	Cut    bool    `json:"cut,omitempty"` // its body was longer, and is not here
}

// maxBody bounds what is kept of a request's body.
const maxBody = 64 << 10

// recorder passes requests on to the gateway and writes them down.
type recorder struct {
	path  string
	proxy http.Handler

	mu    sync.Mutex
	file  *os.File
	out   *bufio.Writer
	began time.Time
	n     int
	err   error
}

func newRecorder(path, app, gateway string) (*recorder, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	r := &recorder{path: path, file: f, out: bufio.NewWriter(f), began: time.Now()}
	r.err = json.NewEncoder(r.out).Encode(profileHead{profileFormat, app})
	r.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: gateway})
			p.Out.Host = p.In.Host
		},
		FlushInterval: -1,
	}
	return r, nil
}

// ServeHTTP notes a request and passes it on.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	host, _, _ := strings.Cut(req.Host, ":")
	one := Request{Method: req.Method, Host: host, Path: req.URL.RequestURI(), Type: req.Header.Get("Content-Type")}
	began := time.Now()
	head, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		http.Error(w, "the request broke off", http.StatusBadRequest)
		return
	}
	if one.Body = head; len(head) > maxBody {
		one.Body, one.Cut = nil, true
	}
	req.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), req.Body), req.Body}
	r.note(one, began)
	r.proxy.ServeHTTP(w, req)
}

func (r *recorder) note(one Request, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one.After = float64(at.Sub(r.began).Microseconds()) / 1000
	if r.err == nil {
		r.err = json.NewEncoder(r.out).Encode(one)
		r.n++
	}
}

// serve answers on l until ctx ends.
func (r *recorder) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// close ends the file and says what is in it.
func (r *recorder) close() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(r.err, r.out.Flush(), r.file.Close()); err != nil {
		return fmt.Sprintf("✖ the load profile is not whole: %v", err)
	}
	return fmt.Sprintf("✔ %d requests in %s", r.n, r.path)
}
