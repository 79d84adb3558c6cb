package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Leaving is a node whose sockets the next one has, as that one sees it. It supervises
// nothing any more, accepts until it is relieved, and ends when nothing is open. The next
// one speaks to it by a socket of its own:
//
//	POST /v1/relieve       the next one accepts
//	PUT  /v1/world         world.Wanted; the table that it goes on by
//	PUT  /v1/ready         Ready; what may be drawn of a version
//	GET  /v1/open          → []OpenAt
//	GET  /v1/rest?after=N  → []world.VersionWindow; those up to N are not told again
type Leaving interface {
	Relieve()
	// Follow routes by w from now on. A stale one changes nothing.
	Follow(w world.Wanted)
	// SetReady makes instances the only ready ones of a version.
	SetReady(Ready)
	Open() []OpenAt
	// Rest is the closed windows above after that nobody has been told of.
	Rest(after uint64) []world.VersionWindow
}

// OpenAt is how much is open on a version, of which what is at one address.
type OpenAt struct {
	rollout.Key
	Version rollout.Version `json:"version"`
	Addr    string          `json:"addr"`
	Open    int             `json:"open"`
}

// Ready is the instances of a version that may be drawn, by id, each at an address.
type Ready struct {
	rollout.Key
	Version   rollout.Version   `json:"version"`
	Instances map[string]string `json:"instances"`
}

// NewLeavingHandler serves the protocol of a node that leaves to callers with the token.
func NewLeavingHandler(l Leaving, token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/relieve", func(w http.ResponseWriter, _ *http.Request) {
		l.Relieve()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("PUT /v1/world", func(w http.ResponseWriter, r *http.Request) {
		var wanted world.Wanted
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWorld)).Decode(&wanted); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		l.Follow(wanted)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("PUT /v1/ready", func(w http.ResponseWriter, r *http.Request) {
		var ready Ready
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWorld)).Decode(&ready); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		l.SetReady(ready)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /v1/open", func(w http.ResponseWriter, _ *http.Request) { answer(w, l.Open()) })
	mux.HandleFunc("GET /v1/rest", func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		answer(w, l.Rest(after))
	})
	return authenticated(token, versioned(mux))
}

// Before is a node that leaves, as the next one asks it.
type Before struct{ client *Client }

// NewBefore is of the node whose socket for the next one is at path.
func NewBefore(path, token string) *Before { return &Before{NewClient(path, token)} }

// beforeTime bounds one question to a node that leaves: it may have been stopped.
const beforeTime = time.Second

// ErrLeft is wrapped when a node that left is not there any more.
var ErrLeft = errors.New("the node before has ended")

func (b *Before) call(ctx context.Context, method, path string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, beforeTime)
	defer cancel()
	err := b.client.call(ctx, method, path, body, into)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) || errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrLeft, err)
	}
	return err
}

// Relieve tells it that this node accepts.
func (b *Before) Relieve(ctx context.Context) error {
	return b.call(ctx, http.MethodPost, "/v1/relieve", nil, nil)
}

// Follow has it route by w.
func (b *Before) Follow(ctx context.Context, w world.Wanted) error {
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("write the wanted world: %w", err)
	}
	return b.call(ctx, http.MethodPut, "/v1/world", body, nil)
}

// SetReady tells it what may be drawn of a version.
func (b *Before) SetReady(ctx context.Context, r Ready) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write what is ready: %w", err)
	}
	return b.call(ctx, http.MethodPut, "/v1/ready", body, nil)
}

// Open is what is still open at it.
func (b *Before) Open(ctx context.Context) (open []OpenAt, err error) {
	err = b.call(ctx, http.MethodGet, "/v1/open", nil, &open)
	return open, err
}

// Rest is what it has counted since the window with cursor after.
func (b *Before) Rest(ctx context.Context, after uint64) (ws []world.VersionWindow, err error) {
	err = b.call(ctx, http.MethodGet, "/v1/rest?after="+strconv.FormatUint(after, 10), nil, &ws)
	return ws, err
}
