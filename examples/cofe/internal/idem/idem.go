// Package idem applies a request with an Idempotency-Key at most once: the key
// is stored with the request's hash and the answer, in the transaction that has
// the effect. The same request again gets the same answer; another request
// under the same key gets 422.
package idem

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
)

// ErrReused is returned for a key that another request has used.
var ErrReused = errors.New("this Idempotency-Key belongs to another request")

// Reply is an answer as it is stored.
type Reply struct {
	Status int
	Body   []byte // JSON
}

// RefusedError is an error that is an answer too: nothing of the effect is kept, the
// refusal is stored and given again to the same request.
type RefusedError struct {
	Status   int
	Sentence string
}

// Error returns the sentence.
func (r *RefusedError) Error() string { return r.Sentence }

// Refuse returns a refusal.
func Refuse(status int, sentence string) error {
	return &RefusedError{Status: status, Sentence: sentence}
}

// Migrations make the table of keys.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "idempotency-1", SQL: []string{
		`CREATE TABLE idempotency (key TEXT PRIMARY KEY, request_hash TEXT NOT NULL,
			status BIGINT NOT NULL, body TEXT NOT NULL, at BIGINT NOT NULL)`,
		`CREATE INDEX idempotency_at ON idempotency (at)`,
	}}}
}

// Hash names a request: what must be equal under one key.
func Hash(method, path string, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", method, path)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// Do runs effect under key, or returns the stored reply. Of several at the same
// time one has the effect; the others wait for it.
func Do(ctx context.Context, d *db.DB, key, hash string, effect func(tx db.Tx) (Reply, error)) (reply Reply, replayed bool, err error) {
	err = d.Write(ctx, func(tx db.Tx) error {
		reply, replayed, err = claim(ctx, tx, key, hash)
		if err != nil || replayed {
			return err
		}
		if reply, err = effect(tx); err != nil {
			return err
		}
		return keep(ctx, tx, key, reply)
	})
	var refusal *RefusedError
	if !errors.As(err, &refusal) {
		return reply, replayed, err
	}
	// The effect is rolled back; the refusal is stored by itself. Whoever came
	// in between has an answer already, and that one counts.
	err = d.Write(ctx, func(tx db.Tx) error {
		reply, replayed, err = claim(ctx, tx, key, hash)
		if err != nil || replayed {
			return err
		}
		body, err := json.Marshal(map[string]string{"error": refusal.Sentence})
		if err != nil {
			return err
		}
		reply = Reply{Status: refusal.Status, Body: body}
		return keep(ctx, tx, key, reply)
	})
	return reply, replayed, err
}

// claim takes the key for this transaction, or finds its reply. In PostgreSQL
// the insertion waits for another transaction that has the key.
func claim(ctx context.Context, tx db.Tx, key, hash string) (Reply, bool, error) {
	done, err := tx.ExecContext(ctx, `INSERT INTO idempotency (key, request_hash, status, body, at)
		VALUES ($1, $2, 0, '', $3) ON CONFLICT (key) DO NOTHING`, key, hash, db.Now())
	if err != nil {
		return Reply{}, false, fmt.Errorf("claim the key: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return Reply{}, false, err
	}
	return stored(ctx, tx, key, hash)
}

func stored(ctx context.Context, q db.Querier, key, hash string) (reply Reply, found bool, err error) {
	var theirs, body string
	err = q.QueryRowContext(ctx, `SELECT request_hash, status, body FROM idempotency WHERE key = $1`, key).Scan(&theirs, &reply.Status, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return Reply{}, false, nil
	}
	if err != nil {
		return Reply{}, false, fmt.Errorf("read the key: %w", err)
	}
	if theirs != hash {
		return Reply{}, false, ErrReused
	}
	reply.Body = []byte(body)
	return reply, true, nil
}

func keep(ctx context.Context, tx db.Tx, key string, reply Reply) error {
	_, err := tx.ExecContext(ctx, `UPDATE idempotency SET status = $2, body = $3 WHERE key = $1`, key, reply.Status, string(reply.Body))
	if err != nil {
		return fmt.Errorf("keep the answer: %w", err)
	}
	return nil
}

// Sweep forgets keys older than before: a client that repeats a request after
// two days is not heard again.
func Sweep(ctx context.Context, tx db.Tx, before int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM idempotency WHERE at < $1`, before)
	return err
}

// Handle makes a handler of an effect that reads the request as a T.
func Handle[T any](d *db.DB, log *slog.Logger, effect func(ctx context.Context, tx db.Tx, r *http.Request, in T) (status int, out any, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, key, hash, ok := Read[T](w, r)
		if !ok {
			return
		}
		ctx := r.Context()
		reply, replayed, err := Do(ctx, d, key, hash, func(tx db.Tx) (Reply, error) {
			status, out, err := effect(ctx, tx, r, in)
			if err != nil {
				return Reply{}, err
			}
			body, err := json.Marshal(out)
			return Reply{Status: status, Body: body}, err
		})
		Write(w, r, log, reply, replayed, err)
	}
}

// Read reads what an idempotent request must have; ok is false when it has
// answered already.
func Read[T any](w http.ResponseWriter, r *http.Request) (in T, key, hash string, ok bool) {
	key = r.Header.Get(httpx.IdempotencyKey)
	if key == "" || len(key) > 128 {
		httpx.Error(w, http.StatusBadRequest, "this request needs an Idempotency-Key of at most 128 characters")
		return in, "", "", false
	}
	body, err := httpx.Body(w, r)
	if err != nil {
		httpx.Error(w, http.StatusBadRequest, "the body is incomplete or larger than 64 KiB")
		return in, "", "", false
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &in); err != nil {
			httpx.Error(w, http.StatusBadRequest, "the body is not the JSON this request takes")
			return in, "", "", false
		}
	}
	return in, key, Hash(r.Method, r.URL.Path, body), true
}

// Write answers with what Do returned.
func Write(w http.ResponseWriter, r *http.Request, log *slog.Logger, reply Reply, replayed bool, err error) {
	switch {
	case errors.Is(err, ErrReused):
		httpx.Error(w, http.StatusUnprocessableEntity, ErrReused.Error())
	case err != nil:
		httpx.Fail(w, r, log, err)
	default:
		if replayed {
			w.Header().Set("Idempotency-Replayed", "true")
		}
		httpx.Raw(w, reply.Status, reply.Body)
	}
}
