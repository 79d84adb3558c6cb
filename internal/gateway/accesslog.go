package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"titrate/internal/rollout"
)

// AccessLog says which requests are logged, and where to. The zero value logs none.
type AccessLog struct {
	// To takes whole lines of JSON, several at a time, from one goroutine.
	To io.Writer
	// Share is the part of the requests that is logged: drawn for each, above 0, at most 1.
	Share float64
}

func (a AccessLog) validate() error {
	if a.To != nil && !(a.Share > 0 && a.Share <= 1) {
		return errors.New("gateway config: AccessLog.Share is not above 0 and at most 1")
	}
	return nil
}

const (
	accessQueue = 8192     // lines that wait to be written; more are dropped
	accessBatch = 64 << 10 // bytes that are written at once
)

// accessLog takes what requests leave, and never has one wait: what the writer is behind
// with is dropped, and counted.
type accessLog struct {
	AccessLog
	log              *slog.Logger
	queue            chan access
	written, dropped atomic.Uint64 // lines
}

// newAccessLog returns nil where nothing is logged.
func newAccessLog(a AccessLog, log *slog.Logger) *accessLog {
	if a.To == nil {
		return nil
	}
	return &accessLog{AccessLog: a, log: log, queue: make(chan access, accessQueue)}
}

// wants draws whether a request is logged.
func (l *accessLog) wants() bool { return l != nil && (l.Share == 1 || rand.Float64() < l.Share) }

// add leaves a line to be written.
func (l *accessLog) add(a access) {
	select {
	case l.queue <- a:
	default:
		l.dropped.Add(1)
	}
}

// run writes lines until ctx ends, and then those that wait.
func (l *accessLog) run(ctx context.Context) {
	if l == nil {
		return
	}
	out := &accessWriter{accessLog: l, buf: bufio.NewWriterSize(l.To, accessBatch)}
	for {
		select {
		case a := <-l.queue:
			out.write(a)
			continue
		default:
		}
		out.flush()
		select {
		case a := <-l.queue:
			out.write(a)
		case <-ctx.Done():
			for len(l.queue) > 0 {
				out.write(<-l.queue)
			}
			out.flush()
			return
		}
	}
}

// accessWriter puts lines together.
type accessWriter struct {
	*accessLog
	buf     *bufio.Writer
	pending uint64 // lines in buf
	failing bool   // the last write failed, which was told
}

func (w *accessWriter) write(a access) {
	line, err := json.Marshal(a.line())
	if err != nil {
		w.dropped.Add(1) // it holds what JSON cannot
		return
	}
	if w.buf.Available() < len(line)+1 { // so that whole lines are written
		w.flush()
	}
	w.pending++
	_, _ = w.buf.Write(append(line, '\n')) // an error stays until flush
}

func (w *accessWriter) flush() {
	if w.pending == 0 {
		return
	}
	if err := w.buf.Flush(); err == nil {
		w.written.Add(w.pending)
		w.failing = false
	} else {
		w.dropped.Add(w.pending)
		if !w.failing {
			w.failing = true
			w.log.Error("lines of the access log are dropped", slog.Any("error", fmt.Errorf("error[T0605]: the access log cannot be written: %w", err)))
		}
		w.buf.Reset(w.To)
	}
	w.pending = 0
}

// access is what is logged of one request.
type access struct {
	at       time.Time
	key      rollout.Key     // zero: no workload was found
	version  rollout.Version // 0: no version
	preview  bool
	asked    asked
	host     string
	scheme   string
	protocol string
	agent    string
	client   netip.Addr
	instance string
	id       string
	trace    trace
	traced   bool
	took     time.Duration
	outcome  outcome
}

// accessLine is a line of the access log. Names are those of OpenTelemetry's semantic
// conventions for HTTP, services and deployments (opentelemetry.io/docs/specs/semconv), and
// titrate.… where there is none. Queries are left out: they hold secrets.
type accessLine struct {
	Time        time.Time `json:"timestamp"`
	Method      string    `json:"http.request.method"`
	Path        string    `json:"url.path"`
	Scheme      string    `json:"url.scheme"`
	Host        string    `json:"server.address"`
	Status      int       `json:"http.response.status_code,omitempty"` // absent: no head was sent
	Duration    float64   `json:"http.server.request.duration"`        // seconds
	Route       string    `json:"http.route,omitempty"`                // as in metrics, without the method
	In          int64     `json:"http.request.body.size"`
	Out         int64     `json:"http.response.body.size"`
	Peer        string    `json:"network.peer.address"` // who has connected: the client, or the proxy before it
	Protocol    string    `json:"network.protocol.version"`
	Agent       string    `json:"user_agent.original,omitempty"`
	Error       string    `json:"error.type,omitempty"`
	Trace       string    `json:"trace_id,omitempty"`
	ID          []string  `json:"http.request.header.x-request-id,omitempty"`
	Resends     int       `json:"titrate.retries,omitempty"`
	App         string    `json:"service.namespace,omitempty"`
	Workload    string    `json:"service.name,omitempty"`
	Version     string    `json:"service.version,omitempty"`
	Instance    string    `json:"service.instance.id,omitempty"`
	Environment string    `json:"deployment.environment.name,omitempty"`
	Preview     bool      `json:"titrate.preview,omitempty"`
}

// methodOther is what stands for a method that is none of the known ones.
const methodOther = "_OTHER"

func (a access) line() accessLine {
	l := accessLine{
		Time: a.at.UTC(), Method: a.asked.method, Path: a.asked.path, Scheme: a.scheme, Host: a.host, Status: a.outcome.status,
		Duration: a.took.Seconds(), In: a.outcome.in, Out: a.outcome.out, Protocol: a.protocol, Agent: a.agent,
		ID: []string{a.id}, Resends: a.outcome.retries, Preview: a.preview,
		App: a.key.App, Workload: a.key.Workload, Environment: a.key.Env, Instance: a.instance,
	}
	if countedMethod(l.Method) != l.Method {
		l.Method = methodOther
	}
	if a.client.IsValid() {
		l.Peer = a.client.Unmap().String()
	}
	if a.version != 0 {
		l.Version = a.version.String()
		l.Route = string(appendRouteName(nil, a.asked.method, a.asked.path)[len(countedMethod(a.asked.method))+1:])
	}
	switch {
	case a.outcome.failed:
		l.Error = a.outcome.reason()
	case a.outcome.aborted:
		l.Error = "aborted"
	}
	if a.traced {
		l.Trace = string(a.trace.id())
	}
	return l
}

// accessRefused is what is logged of a request that reached no instance: t says which
// version was drawn, if one was.
func (g *Gateway) accessRefused(t *ticket, ref *refusal) access {
	if t != nil {
		return t.accessOf(outcome{status: ref.status, failed: true, fault: faultUnready})
	}
	return access{at: g.cfg.Clock(), outcome: outcome{status: ref.status, failed: true, fault: faultRefused}}
}

// accessOf is what a ticket knows of its request.
func (t *ticket) accessOf(o outcome) access {
	o.retries = t.retries
	a := access{at: t.gateway.cfg.Clock(), key: t.lane.key, version: t.fleet.version, preview: t.preview, asked: t.asked, outcome: o}
	if t.instance != nil {
		a.instance = t.instance.ID
	}
	return a
}
