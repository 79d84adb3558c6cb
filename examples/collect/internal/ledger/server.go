package ledger

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Answer is what an entry is answered with.
type Answer struct {
	Entry  Entry  `json:"entry"`
	Pickup Pickup `json:"pickup"`
	Again  bool   `json:"again"` // the request has had this entry before
	Error  string `json:"error,omitempty"`
}

// maxEntry is more than any entry has.
const maxEntry = 64 << 10

// maxPage is how many entries or pickups are listed at a time.
const maxPage = 1000

// Handler is the ledger's API, below /ledger.
func Handler(s *Store, log *slog.Logger) http.Handler {
	h := handler{s, log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ledger/healthz", func(w http.ResponseWriter, _ *http.Request) {
		h.json(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("POST /ledger/entries", h.append)
	mux.HandleFunc("GET /ledger/entries", h.entries)
	mux.HandleFunc("GET /ledger/pickups", h.find)
	mux.HandleFunc("GET /ledger/pickups/{id}", h.pickup)
	mux.HandleFunc("GET /ledger/summary", func(w http.ResponseWriter, r *http.Request) {
		sum, err := s.Summary()
		h.found(w, r, sum, err)
	})
	return mux
}

type handler struct {
	store *Store
	log   *slog.Logger
}

func (h handler) append(w http.ResponseWriter, r *http.Request) {
	var e Entry
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEntry)).Decode(&e); err != nil {
		h.json(w, http.StatusBadRequest, Answer{Error: "the body is no entry: " + err.Error()})
		return
	}
	kept, p, again, err := h.store.Append(r.Context(), e)
	status := http.StatusCreated
	switch {
	case errors.Is(err, ErrState):
		status = http.StatusConflict
	case errors.Is(err, ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, ErrOther):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, ErrInvalid):
		status = http.StatusBadRequest
	case err != nil:
		h.log.LogAttrs(r.Context(), slog.LevelError, "an entry was not written", slog.String("request", e.Request), slog.String("error", err.Error()))
		status = http.StatusServiceUnavailable
	case again:
		status = http.StatusOK
	}
	a := Answer{Entry: kept, Pickup: p, Again: again}
	if err != nil {
		a.Error = err.Error()
	}
	h.json(w, status, a)
}

func (h handler) entries(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if err != nil || after < 0 {
		after = 0
	}
	page, err := h.store.Entries(after, maxPage)
	h.found(w, r, map[string]any{"entries": page}, err)
}

func (h handler) find(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	q := Query{State: State(v.Get("state")), Customer: v.Get("customer"), Unsettled: v.Get("unsettled") == "true"}
	if text := v.Get("before"); text != "" {
		var err error
		if q.Before, err = time.Parse(time.RFC3339Nano, text); err != nil {
			h.json(w, http.StatusBadRequest, Answer{Error: "before: " + err.Error()})
			return
		}
	}
	if n, err := strconv.Atoi(v.Get("limit")); err == nil && n > 0 {
		q.Limit = min(n, maxPage)
	}
	all, err := h.store.Find(q)
	h.found(w, r, map[string]any{"pickups": all}, err)
}

func (h handler) pickup(w http.ResponseWriter, r *http.Request) {
	p, err := h.store.Pickup(r.PathValue("id"))
	h.found(w, r, p, err)
}

// found answers a question.
func (h handler) found(w http.ResponseWriter, r *http.Request, value any, err error) {
	switch {
	case errors.Is(err, ErrUnknown):
		h.json(w, http.StatusNotFound, Answer{Error: err.Error()})
	case err != nil:
		h.log.LogAttrs(r.Context(), slog.LevelError, "the book cannot be read", slog.String("error", err.Error()))
		h.json(w, http.StatusServiceUnavailable, Answer{Error: err.Error()})
	default:
		h.json(w, http.StatusOK, value)
	}
}

func (h handler) json(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // who has left does not read it
}
