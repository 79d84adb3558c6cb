// Command gateway runs the gateway's benchmarks and prints what they say: the rate of its
// front on net/http as a share of that of a bare httputil.ReverseProxy in the same run, and
// what routing, drawing and counting add to a request; with -peers, the loops beside nginx and
// HAProxy. Repeat with
//
//	go run ./bench/gateway
//	go run ./bench/gateway -peers
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"time"

	"titrate/bench/figures"
)

func main() {
	rounds := flag.Int("rounds", 9, "rounds of requests to each proxy, in turns")
	peers := flag.Bool("peers", false, "compare with nginx and HAProxy, which apt-get installs, by wrk")
	each := flag.Duration("each", 4*time.Second, "length of a round beside peers")
	idle := flag.Int("idle", 9000, "idle connections beside peers: each takes a descriptor here, and two of HAProxy's")
	flag.Parse()
	if *peers {
		figures.Head(os.Stdout, fmt.Sprintf("go run ./bench/gateway -peers -rounds %d -each %v", *rounds, *each))
		if err := compare(context.Background(), os.Stdout, []int{64, 256}, *rounds, *each, *idle); err != nil {
			log.Fatal(err)
		}
		return
	}
	if err := run(context.Background(), *rounds); err != nil {
		log.Fatal(err)
	}
}

// wanted are the metrics of a benchmark that are figures, by their unit.
var wanted = []struct{ bench, unit, name, suffix string }{
	{"AgainstReverseProxy", "of-plain-rate", "rate, as a share of httputil.ReverseProxy", "×, median"},
	{"AgainstReverseProxy", "req/s", "requests a second, 32 connections", ""},
	{"PickAndCount", "ns/op", "to route, draw, register and count one", "ns"},
	{"CloseWindows", "ns/op", "to close a second of 1,000 versions", "ns"},
}

func run(ctx context.Context, rounds int) error {
	out, err := bench(ctx, "AgainstReverseProxy", fmt.Sprintf("%dx", rounds))
	if err != nil {
		return err
	}
	more, err := bench(ctx, "PickAndCount|CloseWindows", "1s")
	if err != nil {
		return err
	}
	figures.Head(os.Stdout, fmt.Sprintf("go run ./bench/gateway -rounds %d", rounds))
	for _, w := range wanted {
		value, ok := metric(out+more, w.bench, w.unit)
		if !ok {
			return fmt.Errorf("the benchmark %s says no %s:\n%s", w.bench, w.unit, out+more)
		}
		figures.Line(os.Stdout, w.name, strings.TrimSpace(value+" "+w.suffix), "")
	}
	return nil
}

func bench(ctx context.Context, name, length string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark("+name+")$", "-benchtime", length, "titrate/internal/gateway")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run the benchmark %s: %w\n%s", name, err, out)
	}
	return string(out), nil
}

// metric finds the value before a unit in the line of a benchmark.
func metric(out, bench, unit string) (string, bool) {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "Benchmark"+bench) {
			continue
		}
		for i, f := range fields[1:] {
			if f == unit {
				return fields[i], true
			}
		}
	}
	return "", false
}
