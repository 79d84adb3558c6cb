// Command cofe-load plays customers of the marketplace against a running store,
// prints a line a second, and checks the books afterwards. It exits 0 when
// nothing failed and the books are right, 1 otherwise, 2 when used wrongly.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"titrate/examples/cofe/load"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, problems io.Writer) int {
	flags := flag.NewFlagSet("cofe-load", flag.ContinueOnError)
	flags.SetOutput(problems)
	var c load.Config
	flags.StringVar(&c.URL, "url", "http://127.0.0.1:7080", "address of the store, or of the gateway in front of it")
	flags.StringVar(&c.Host, "host", "", "Host header, where the gateway finds the store by name (cofe.localhost)")
	flags.Float64Var(&c.Rate, "rate", 200, "requests a second, on average")
	flags.DurationVar(&c.Duration, "duration", 30*time.Second, "how long; 0: until Ctrl-C")
	flags.IntVar(&c.Concurrency, "concurrency", 512, "requests at the same time, at most")
	flags.Uint64Var(&c.Seed, "seed", 1, "of all choices")
	check := flags.String("check", "", "check the books afterwards: a gateway's address, or orders=URL,credits=URL,giftcards=URL,payments=URL,rewards=URL")
	asJSON := flags.Bool("json", false, "print one JSON document instead of lines")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if !*asJSON {
		c.OnSecond = func(s load.Stats) { line(out, s) }
	}
	report, err := load.Run(ctx, c)
	if err != nil {
		fmt.Fprintln(problems, "cofe-load:", err)
		return 2
	}
	stop()
	var verdict *load.Verdict
	if *check != "" {
		v, err := load.Check(context.Background(), report, load.CheckConfig{URLs: addresses(*check)})
		if err != nil {
			fmt.Fprintln(problems, "cofe-load: check the books:", err)
			return 1
		}
		verdict = &v
	}
	if *asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(map[string]any{"report": report, "verdict": verdict}); err != nil {
			fmt.Fprintln(problems, "cofe-load:", err)
			return 1
		}
	} else {
		summary(out, report, verdict)
	}
	if report.Failed > 0 || verdict != nil && !verdict.OK {
		return 1
	}
	return 0
}

// addresses reads -check.
func addresses(text string) map[string]string {
	if !strings.Contains(text, "=") {
		return load.AllAt(text)
	}
	urls := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, url, _ := strings.Cut(pair, "=")
		urls[name] = url
	}
	return urls
}

func line(out io.Writer, s load.Stats) {
	fmt.Fprintf(out, "%4d s  %5d sent  %5d ok  %3d failed  p50 %-7s p99 %-7s", s.Second, s.Sent, s.OK, s.Failed, round(s.P50), round(s.P99))
	for _, v := range slices.Sorted(maps.Keys(s.Versions)) {
		fmt.Fprintf(out, "  %s %d", v, s.Versions[v].OK+s.Versions[v].Failed)
	}
	fmt.Fprintln(out)
}

func summary(out io.Writer, r *load.Report, v *load.Verdict) {
	fmt.Fprintf(out, "\n%d requests of %d customers in %s: %d ok, %d failed (%d without an answer)\n", r.Sent, r.Journeys, round(r.Ended.Sub(r.Started)), r.OK, r.Failed, r.NoAnswer)
	fmt.Fprintf(out, "from the scheduled arrival: p50 %s  p90 %s  p99 %s  max %s\n", round(r.P50), round(r.P90), round(r.P99), round(r.Max))
	for _, name := range slices.Sorted(maps.Keys(r.Steps)) {
		s := r.Steps[name]
		fmt.Fprintf(out, "  %-20s %6d ok  %4d failed  p50 %-8s p99 %s\n", name, s.OK, s.Failed, round(s.P50), round(s.P99))
	}
	for _, f := range r.Failures[:min(len(r.Failures), 10)] {
		fmt.Fprintf(out, "  failed: %s %s → %d %s%s\n", f.ID, f.Step, f.Status, f.Err, f.Body)
	}
	if v == nil {
		return
	}
	fmt.Fprintf(out, "books: %d orders, %d confirmed, %d rejected, %d ledger entries\n", v.Orders, v.Confirmed, v.Rejected, v.Entries)
	for _, p := range v.Problems {
		fmt.Fprintln(out, "  ✖", p)
	}
	if v.OK {
		fmt.Fprintln(out, "  ✔ every ledger sums to zero, no balance is negative, every order has one end and all or none of its parts")
	}
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}
