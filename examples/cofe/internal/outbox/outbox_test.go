package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/db/dbtest"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/outbox"
)

// Two processes of a consumer, a source that loses answers, transactions that
// fail: every event has its effect exactly once, in order.
func TestConsumers_haveEachEventsEffectOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const events = 250
			source := dbtest.Open(t, kind, outbox.Migrations())
			mux := http.NewServeMux()
			log := slog.New(slog.DiscardHandler)
			outbox.Register(mux, "/orders", source, log)
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1)%5 == 0 {
					mux.ServeHTTP(httptest.NewRecorder(), r) // heard, but the answer is lost
					panic(http.ErrAbortHandler)
				}
				mux.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)

			here := dbtest.Open(t, kind, outbox.InboxMigrations(), []db.Migration{{Name: "effects", SQL: []string{`CREATE TABLE effects (seq BIGINT NOT NULL)`}}})
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			var applied atomic.Int64
			for i := range 2 {
				running.Go(func() {
					client := httpx.NewClient("test")
					defer client.Close()
					err := outbox.Consumer{
						Name: "here", Owner: fmt.Sprint("p", i), Source: "orders", URL: server.URL, DB: here, Client: client, Log: log,
						Apply: func(ctx context.Context, tx db.Tx, e outbox.Event) error {
							if n := applied.Add(1); n == 20 || n == 70 || n == 150 {
								return errors.New("not now")
							}
							_, err := tx.ExecContext(ctx, `INSERT INTO effects (seq) VALUES ($1)`, e.Seq)
							return err
						},
					}.Run(ctx)
					if err != nil {
						t.Error(err)
					}
				})
			}
			var writing sync.WaitGroup
			for w := range 5 {
				writing.Go(func() {
					for i := range events / 5 {
						if err := source.Write(t.Context(), func(tx db.Tx) error {
							return outbox.Append(t.Context(), tx, "thing.happened", fmt.Sprint(w, "-", i), i)
						}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			writing.Wait()
			eventually(t, func() bool {
				status := httptest.NewRecorder()
				mux.ServeHTTP(status, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders/outbox/status", nil))
				return status.Body.String() == fmt.Sprintf(`{"head":%d,"consumers":{"here":%d}}`, events, events)
			})
			cancel()
			running.Wait()
			seqs, err := db.All(t.Context(), here.Read(), func(scan func(...any) error) (int64, error) {
				var n int64
				return n, scan(&n)
			}, `SELECT seq FROM effects ORDER BY seq`)
			if err != nil {
				t.Fatal(err)
			}
			if len(seqs) != events {
				t.Fatalf("%d effects of %d events", len(seqs), events)
			}
			for i, n := range seqs {
				if n != int64(i+1) {
					t.Fatalf("effect %d is of event %d", i+1, n)
				}
			}
		})
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to be in 40 s")
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
