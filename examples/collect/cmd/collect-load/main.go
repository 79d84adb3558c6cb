// Command collect-load plays the customers of the collection service, and checks its book
// afterwards.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"titrate/examples/collect/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "collect-load:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// run plays and checks; ok is false when the book is not as it must be.
func run(ctx context.Context, args []string, out io.Writer) (ok bool, err error) {
	f := flag.NewFlagSet("collect-load", flag.ContinueOnError)
	c := load.Config{}
	var check string
	f.StringVar(&c.URL, "url", "http://127.0.0.1:7080", "where the functions are served")
	f.StringVar(&c.Host, "host", "collect.localhost", "Host header")
	f.Float64Var(&c.Rate, "rate", 50, "requests a second")
	f.DurationVar(&c.Duration, "duration", 30*time.Second, "how long")
	f.StringVar(&check, "check", "", "address of the ledger, or of the gateway before it; empty: no check")
	if err := f.Parse(args); err != nil {
		return false, err
	}
	report, err := load.Run(ctx, c)
	if err != nil {
		return false, err
	}
	result := struct {
		Load  *load.Report  `json:"load"`
		Check *load.Verdict `json:"check,omitempty"`
	}{Load: report}
	ok = true
	if check != "" {
		verdict, err := load.Check(context.WithoutCancel(ctx), report, load.CheckConfig{URL: check, Host: c.Host})
		if err != nil {
			return false, err
		}
		result.Check, ok = &verdict, verdict.OK
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return ok, enc.Encode(result)
}
