// Package httpx is how the services speak HTTP: request ids that travel, one
// log line a request, JSON replies, a client that retries only what is safe to
// repeat, and a server that finishes what it has begun.
package httpx

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"
)

// RequestID is the header that names a request in every log it reaches.
const RequestID = "X-Request-Id"

// IdempotencyKey is the header that makes a request safe to repeat.
const IdempotencyKey = "Idempotency-Key"

// MaxBody is the most that a service reads of a request's body.
const MaxBody = 64 << 10

// Info says who answers; it is in every response and log line.
type Info struct{ Service, Version, Instance string }

type idKey struct{}

// ID returns the request id in ctx, empty outside of a request.
func ID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}

// WithID returns ctx with a request id, for work that no request began.
func WithID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, idKey{}, id)
}

// NewID returns a random id.
func NewID() string { return strings.ToLower(rand.Text()) }

// Wrap gives every request an id, logs it once when it is over, and answers 500
// where the handler panics.
func Wrap(info Info, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := r.Header.Get(RequestID)
		if !validID(id) {
			id = NewID()
		}
		ctx := WithID(r.Context(), id)
		r = r.WithContext(ctx)
		rec := &recorder{ResponseWriter: w}
		rec.Header().Set(RequestID, id)
		rec.Header().Set("Titrate-Version", info.Version)
		defer func() {
			if v := recover(); v != nil {
				log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("request_id", id), slog.String("error", fmt.Sprint(v)),
					slog.String("at", panicAt()), slog.String("method", r.Method), slog.String("path", r.URL.Path))
				if rec.status == 0 {
					Error(rec, http.StatusInternalServerError, "something broke here; it has been logged")
				}
			}
			log.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("request_id", id), slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.Int("status", rec.Status()), slog.Float64("ms", float64(time.Since(began).Microseconds())/1000))
		}()
		next.ServeHTTP(rec, r)
	})
}

func validID(id string) bool {
	const allowed = "-_.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return id != "" && len(id) <= 64 && strings.Trim(id, allowed) == ""
}

// panicAt returns "cart.go:41" of the frame that panicked: the first below the
// runtime's own.
func panicAt() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", frame.File[strings.LastIndexByte(frame.File, '/')+1:], frame.Line)
		}
		if !more {
			return ""
		}
	}
}

// recorder keeps the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Status returns what was answered; nothing written is net/http's 200.
func (r *recorder) Status() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// JSON writes v.
func JSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		Error(w, http.StatusInternalServerError, "the answer cannot be written as JSON")
		return
	}
	Raw(w, status, body)
}

// Raw writes a body that is JSON already.
func Raw(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client went away: nobody is left to tell
}

// Error writes a sentence for the person.
func Error(w http.ResponseWriter, status int, sentence string) {
	JSON(w, status, map[string]string{"error": sentence})
}

// Fail logs an error that is nobody's fault outside, and answers 500.
func Fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		Error(w, 499, "the client went away")
		return
	}
	log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("request_id", ID(r.Context())), slog.String("error", err.Error()))
	Error(w, http.StatusInternalServerError, "something broke here; it has been logged")
}

// Body reads at most MaxBody bytes of the request's body.
func Body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return body, nil
}
