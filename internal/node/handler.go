package node

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"titrate/internal/world"
)

// Machine is the machine's side of the protocol: what a node does with what the
// server asks. Every method may be called from several goroutines.
type Machine interface {
	// Take applies and persists w before it returns. It follows the rules for
	// stamps of [world.Wanted]: a smaller one is refused with world.ErrStale.
	Take(ctx context.Context, w world.Wanted) error
	// Seen answers when its sequence is above after, or when ctx ends.
	Seen(ctx context.Context, after uint64) world.Seen
	Served() world.Served
	// Windows answers with the closed windows above after, or with none when ctx ends.
	Windows(ctx context.Context, after uint64) []world.VersionWindow
	Shares() []world.Shares
	// Logs writes the matching lines to w, one JSON [world.LogLine] each, and with
	// Follow goes on until ctx ends.
	Logs(ctx context.Context, q world.LogQuery, w io.Writer) error
	// Stop ends every workload, draining each, and answers when all have ended.
	Stop(ctx context.Context) error
	Functions
	Queues
}

// Exposer is a machine that tells what it has counted since it began.
type Exposer interface {
	// Metrics answers in Prometheus's text format or as OpenMetrics, as the request accepts.
	Metrics() http.Handler
}

// The limits of what a node accepts and how long it makes a caller wait.
const (
	maxWorld = 64 << 20
	maxWait  = 30 * time.Second
)

// NewHandler serves the protocol for m to callers with the token. It is meant for
// a unix socket that only the server's user can open; workloads are that user too,
// and Landlock before ABI 9 cannot keep them from connecting.
func NewHandler(m Machine, token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/world", func(w http.ResponseWriter, r *http.Request) { take(m, w, r) })
	mux.HandleFunc("GET /v1/seen", func(w http.ResponseWriter, r *http.Request) {
		ctx, after, cancel := poll(r)
		defer cancel()
		answer(w, m.Seen(ctx, after))
	})
	mux.HandleFunc("GET /v1/served", func(w http.ResponseWriter, _ *http.Request) { answer(w, m.Served()) })
	mux.HandleFunc("GET /v1/shares", func(w http.ResponseWriter, _ *http.Request) { answer(w, m.Shares()) })
	mux.HandleFunc("GET /v1/windows", func(w http.ResponseWriter, r *http.Request) {
		ctx, after, cancel := poll(r)
		defer cancel()
		answer(w, m.Windows(ctx, after))
	})
	mux.HandleFunc("POST /v1/logs", func(w http.ResponseWriter, r *http.Request) { logs(m, w, r) })
	mux.HandleFunc("POST /v1/stop", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Stop(r.Context()); err != nil {
			refuse(w, http.StatusInternalServerError, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if e, ok := m.(Exposer); ok {
		mux.Handle("GET /v1/metrics", e.Metrics())
	}
	registerCalls(mux, m)
	return authenticated(token, versioned(mux))
}

// authenticated refuses callers without the token.
func authenticated(token string, next http.Handler) http.Handler {
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token == "" || subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			refuse(w, http.StatusUnauthorized, errors.New("the node takes orders from its server only"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// versioned refuses callers whose protocol is too far from ours.
func versioned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(protocolHeader, strconv.Itoa(ProtocolVersion))
		v, err := strconv.Atoi(r.Header.Get(protocolHeader))
		if err != nil || v < ProtocolVersion-1 || v > ProtocolVersion+1 {
			refuse(w, http.StatusUpgradeRequired, errors.New("the server speaks another protocol version; restart titrate so that server and node are of one release"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func take(m Machine, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWorld))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var wanted world.Wanted
	// Fields of a newer protocol are ignored on purpose: N and N+1 interoperate.
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&wanted); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	switch err := m.Take(r.Context(), wanted); {
	case errors.Is(err, world.ErrStale):
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusUnprocessableEntity, err)
	default:
		answer(w, wanted.Stamp)
	}
}

func logs(m Machine, w http.ResponseWriter, r *http.Request) {
	var q world.LogQuery
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc := http.NewResponseController(w)
	// An error here can only end the stream: its head has been sent.
	_ = m.Logs(r.Context(), q, flushing{w, rc})
}

// flushing sends each line as it is written.
type flushing struct {
	io.Writer
	rc *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}

// poll reads ?after=N&wait=10s; without wait the answer is at once.
func poll(r *http.Request) (context.Context, uint64, context.CancelFunc) {
	after, _ := strconv.ParseUint(r.FormValue("after"), 10, 64) // absent or odd: from the beginning
	wait, _ := time.ParseDuration(r.FormValue("wait"))
	ctx, cancel := context.WithTimeout(r.Context(), min(wait, maxWait))
	return ctx, after, cancel
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller is gone: nobody is left to tell
}

type refusal struct {
	Error string `json:"error"`
	Kind  string `json:"kind,omitempty"` // a name of errorNames
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(refusal{err.Error(), nameOf(err)})
}
