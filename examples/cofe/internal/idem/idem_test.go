package idem_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/db/dbtest"
	"titrate/examples/cofe/internal/idem"
)

// shop counts what was sold: the effect of its one request.
type shop struct {
	db      *db.DB
	handler http.Handler
}

func open(t *testing.T, kind string) shop {
	t.Helper()
	d := dbtest.Open(t, kind, idem.Migrations(), []db.Migration{{Name: "sold", SQL: []string{`CREATE TABLE sold (what TEXT NOT NULL)`}}})
	return shop{d, idem.Handle(d, slog.New(slog.DiscardHandler), func(ctx context.Context, tx db.Tx, _ *http.Request, in struct{ What string }) (int, any, error) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO sold (what) VALUES ($1)`, in.What); err != nil {
			return 0, nil, err
		}
		switch in.What {
		case "poison":
			return 0, nil, idem.Refuse(http.StatusConflict, "not for sale")
		case "trouble":
			return 0, nil, errors.New("the till is stuck")
		}
		return http.StatusCreated, map[string]string{"sold": in.What}, nil
	})}
}

func (s shop) buy(t *testing.T, key, body string) (status int, answer string, replayed bool) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/buy", strings.NewReader(body))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text), w.Header().Get("Idempotency-Replayed") == "true"
}

func (s shop) sold(t *testing.T) (n int) {
	t.Helper()
	if err := s.db.Read().QueryRowContext(t.Context(), `SELECT COUNT(*) FROM sold`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestHandle_givesTheSameAnswerToTheSameRequest(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := open(t, kind)
			status, first, replayed := s.buy(t, "k1", `{"what":"kivu"}`)
			if status != 201 || replayed {
				t.Fatalf("first: %d %s replayed=%v", status, first, replayed)
			}
			status, again, replayed := s.buy(t, "k1", `{"what":"kivu"}`)
			if status != 201 || again != first || !replayed {
				t.Errorf("again: %d %s replayed=%v, want %s", status, again, replayed, first)
			}
			if n := s.sold(t); n != 1 {
				t.Errorf("sold %d times", n)
			}
		})
	}
}

func TestHandle_refusesAnotherRequestUnderTheKey(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite")
	s.buy(t, "k1", `{"what":"kivu"}`)
	if status, body, _ := s.buy(t, "k1", `{"what":"nyeri"}`); status != 422 {
		t.Errorf("another body: %d %s", status, body)
	}
	if status, _, _ := s.buy(t, "", `{"what":"nyeri"}`); status != 400 {
		t.Errorf("no key: %d", status)
	}
	if status, _, _ := s.buy(t, "k2", `{"what":`); status != 400 {
		t.Errorf("broken JSON: %d", status)
	}
	if n := s.sold(t); n != 1 {
		t.Errorf("sold %d times", n)
	}
}

func TestHandle_keepsARefusalWithoutItsEffect(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := open(t, kind)
			for i := range 2 {
				status, body, replayed := s.buy(t, "k1", `{"what":"poison"}`)
				if status != 409 || !strings.Contains(body, "not for sale") || replayed != (i == 1) {
					t.Errorf("try %d: %d %s replayed=%v", i, status, body, replayed)
				}
			}
			if status, _, _ := s.buy(t, "k2", `{"what":"trouble"}`); status != 500 {
				t.Errorf("trouble: %d", status)
			}
			if _, _, replayed := s.buy(t, "k2", `{"what":"trouble"}`); replayed {
				t.Error("an internal error was stored as the answer")
			}
			if n := s.sold(t); n != 0 {
				t.Errorf("sold %d times", n)
			}
		})
	}
}

func TestHandle_hasOneEffectForTheSameKeyAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := open(t, kind)
			var all sync.WaitGroup
			answers := make(chan string, 40)
			for i := range 40 {
				all.Go(func() {
					status, body, _ := s.buy(t, fmt.Sprintf("k%d", i%4), `{"what":"kivu"}`)
					answers <- fmt.Sprint(status, body)
				})
			}
			all.Wait()
			close(answers)
			for a := range answers {
				if a != `201{"sold":"kivu"}` && a != `201 {"sold":"kivu"}` {
					t.Errorf("answered %s", a)
				}
			}
			if n := s.sold(t); n != 4 {
				t.Errorf("4 keys sold %d times", n)
			}
		})
	}
}
