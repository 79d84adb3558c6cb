// Command keepalive replays a trace of function calls through the keep-alive policy and through fixed times beside it.
package main

import (
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"titrate/internal/target/local/keepalive"
)

func main() {
	data := flag.String("data", "../shared/data/azure-functions-2019", "folder with invocations_N.csv and durations_N.csv")
	settings := keepalive.Default()
	flag.DurationVar(&settings.Standard, "standard", settings.Standard, "keep-alive while a histogram says nothing")
	flag.IntVar(&settings.MinSamples, "samples", settings.MinSamples, "least idle times for a histogram")
	flag.Parse()
	if err := run(*data, settings); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(data string, settings keepalive.Settings) error {
	if err := settings.Validate(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "| set | keep-alive | calls | cold | beside 10m | cold but first calls | idle-warm, mean of functions | beside 10m | cold, mean of functions | beside 10m |\n|---|---|---|---|---|---|---|---|---|---|")
	small, err := read(data, "100")
	if err != nil {
		return err
	}
	large, err := read(data, "500")
	if err != nil {
		return err
	}
	for _, set := range []struct {
		name      string
		functions []function
	}{{"100", small}, {"500", large}, {"500 without the 100", without(large, small)}} {
		var base result
		for _, p := range []policy{fixed(10 * time.Minute), fixed(20 * time.Minute), {"hybrid", (*keepalive.History).Windows, settings}} {
			r := replay(set.functions, p)
			if base.calls == 0 {
				base = r
			}
			fmt.Fprintf(os.Stdout, "| %s | %s | %d | %.3f %% | %.2f | %.3f %% | %.4f | %.2f | %.1f %% | %.2f |\n", set.name, p.name, r.calls, 100*r.cold(), r.cold()/base.cold(),
				100*float64(r.colds-r.firsts)/float64(r.calls), r.idle, r.idle/base.idle,
				100*r.share, r.share/base.share)
		}
	}
	return nil
}

// function is one row of the trace: its calls in each minute, and how long one takes.
type function struct {
	id      string
	minutes []int
	busy    time.Duration
}

func read(data, set string) ([]function, error) {
	durations, err := rows(filepath.Join(data, "durations_"+set+".csv"), 4)
	if err != nil {
		return nil, err
	}
	busy := map[string]time.Duration{}
	for _, row := range durations {
		ms, err := strconv.ParseFloat(row[3], 64)
		if err != nil {
			return nil, fmt.Errorf("duration of %s: %w", row[2], err)
		}
		busy[row[0]+row[1]+row[2]] = time.Duration(ms * float64(time.Millisecond))
	}
	calls, err := rows(filepath.Join(data, "invocations_"+set+".csv"), 5)
	if err != nil {
		return nil, err
	}
	var all []function
	for _, row := range calls {
		f := function{id: row[0] + row[1] + row[2], busy: busy[row[0]+row[1]+row[2]]}
		for _, text := range row[4:] {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, fmt.Errorf("calls of %s: %w", row[2], err)
			}
			f.minutes = append(f.minutes, n)
		}
		all = append(all, f)
	}
	return all, nil
}

// rows gives those below the heading, each of at least the columns named.
func rows(path string, columns int) ([][]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the trace: %w: name its folder with -data", err)
	}
	defer file.Close()
	all, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(all) < 2 || len(all[0]) < columns {
		return nil, fmt.Errorf("read %s: want a heading, rows and %d columns", path, columns)
	}
	return all[1:], nil
}

// without leaves out those on which the settings were chosen: the smaller set is part of the larger.
func without(all, known []function) []function {
	seen := map[string]bool{}
	for _, f := range known {
		seen[f.id] = true
	}
	var rest []function
	for _, f := range all {
		if !seen[f.id] {
			rest = append(rest, f)
		}
	}
	return rest
}
