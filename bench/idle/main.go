// Command idle runs an app of many small services, two instances each, and prints what
// Titrate's own processes cost while nobody asks for anything. Repeat with
//
//	go run ./bench/idle -services 50
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"titrate/bench/figures"
	"titrate/client"
)

const (
	app    = "many"
	source = `package main

import (
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil {
		panic(err)
	}
}
`
	patience = 5 * time.Minute
)

func main() {
	services := flag.Int("services", 50, "how many, of two instances each")
	idle := flag.Duration("idle", 30*time.Second, "how long to watch, once all has settled")
	program := flag.String("program", "", "path of the titrate binary; empty: it is built")
	flag.Parse()
	if err := run(context.Background(), *program, *services, *idle); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, program string, services int, idle time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience+2*idle)
	defer cancel()
	p, stop, err := figures.Start(ctx, program, app)
	if err != nil {
		return err
	}
	defer stop()
	if err := write(p.Work(), services); err != nil {
		return err
	}
	if _, err := p.Commit(ctx, "many services"); err != nil {
		return err
	}
	began := time.Now()
	if said, err := p.Push(ctx); err != nil {
		return fmt.Errorf("push: %w\n%s", err, strings.Join(said, "\n"))
	}
	err = figures.Poll(ctx, func() (bool, error) {
		rs, err := p.Client.Rollouts(ctx, client.RolloutQuery{App: app})
		promoted := 0
		for _, r := range rs {
			if r.Outcome == "promoted" {
				promoted++
			}
		}
		return promoted == services, err
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	u, err := figures.Idle(ctx, p, idle)
	if err != nil {
		return err
	}
	out := os.Stdout
	figures.Head(out, fmt.Sprintf("go run ./bench/idle -services %d -idle %v", services, idle))
	figures.Line(out, "git push → all services promoted", took.Round(time.Millisecond).String(), "")
	figures.Line(out, "PSS of up + server + node", fmt.Sprintf("%.1f MB", float64(u.PSS)/1e6), "200 MB")
	figures.Line(out, "CPU of up + server + node", fmt.Sprintf("%.2f %% of a core over %v", 100*u.CPU.Seconds()/idle.Seconds(), idle), "3 % of a core")
	return nil
}

func write(dir string, services int) error {
	var m strings.Builder
	fmt.Fprintf(&m, "titrate: 1\napp: %s\ndefaults: { build: ., health: /, scale: 2, rollout: AllAtOnce }\nservices:\n", app)
	for i := range services {
		fmt.Fprintf(&m, "  s%d: { host: s%d.localhost }\n", i, i)
	}
	for name, text := range map[string]string{"go.mod": "module many\n\ngo 1.24\n", "main.go": source, "titrate.yaml": m.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the app: %w", err)
		}
	}
	return nil
}
