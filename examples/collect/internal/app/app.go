// Package app is what the functions have in common: the ledger, the queues and topics,
// and the way of a pickup through them.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"titrate/examples/collect/internal/bus"
	"titrate/examples/collect/internal/ledger"
)

// Edition says which edition of the service this is: it stands in every report.
const Edition = "1"

// App is what a function works with.
type App struct {
	Ledger ledger.Client
	Bus    bus.Bus
	Now    func() time.Time
	Log    *slog.Logger
}

// Environment makes an App of the variables that the platform gives a function. The
// error names what is not set.
func Environment(getenv func(string) string, log *slog.Logger) (*App, error) {
	var missing []string
	need := func(name string) string {
		value := getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	client := &http.Client{
		Timeout:   20 * time.Second, // each call has the function's own deadline besides
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute},
	}
	a := &App{
		Ledger: ledger.Client{URL: need("TITRATE_URL_LEDGER"), HTTP: client},
		Bus:    bus.Bus{Queues: need("AWS_ENDPOINT_URL_SQS"), Topics: need("AWS_ENDPOINT_URL_SNS"), Token: getenv("TITRATE_EVENTS_TOKEN"), Client: client},
		Now:    time.Now, Log: log,
	}
	if len(missing) > 0 {
		return nil, errors.New("not set: " + strings.Join(missing, ", "))
	}
	return a, nil
}

// Able reports whether a function could work: a probe asks. In the first release of all
// the ledger takes requests only when the functions do.
func (a *App) Able(ctx context.Context) error {
	if _, err := a.Ledger.Summary(ctx); err != nil && !errors.Is(err, ledger.ErrNotYet) {
		return fmt.Errorf("the ledger cannot be asked: %w", err)
	}
	return nil
}

// Bad notes a message that goes back to its queue.
func (a *App) Bad(id string, err error) {
	a.Log.LogAttrs(context.Background(), slog.LevelError, "a message goes back", slog.String("message", id), slog.String("error", err.Error()))
}
