// Package builtin is the marketplace inside a program: for a demo where nothing can
// be compiled. Its services are those of the repository; what a variant's commit
// changes in the store is done to the same effect here, by a wrapper.
package builtin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"titrate/examples/cofe"
	"titrate/examples/cofe/internal/service"
	"titrate/examples/cofe/services/credits"
	"titrate/examples/cofe/services/giftcards"
	"titrate/examples/cofe/services/notifications"
	"titrate/examples/cofe/services/orders"
	"titrate/examples/cofe/services/payments"
	"titrate/examples/cofe/services/rewards"
	"titrate/examples/cofe/services/store"
)

type setup func(ctx context.Context, s *service.Service) error

var setups = map[string]setup{
	store.Name: store.Setup, orders.Name: orders.Setup, payments.Name: payments.Setup, credits.Name: credits.Setup,
	giftcards.Name: giftcards.Setup, rewards.Name: rewards.Setup, notifications.Name: notifications.Setup,
}

// variantFile holds the variant's name, in each service's folder.
const variantFile = "variant"

// Main runs a service in the folder that its build has left, until it is asked to
// stop, and returns the process's exit code.
func Main(name string) int {
	own, ok := setups[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "there is no service %q\n", name)
		return 2
	}
	text, err := os.ReadFile(variantFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "which variant this is cannot be read:", err)
		return 1
	}
	return service.Main(name, func(ctx context.Context, s *service.Service) error {
		if err := own(ctx, s); err != nil {
			return err
		}
		vary(s, cofe.Variant(strings.TrimSpace(string(text))))
		return nil
	})
}

// Write writes the repository of a variant whose services are those in program:
// titrate.yaml, and in each service's folder which variant it is.
func Write(dir string, v cofe.Variant, program string) error {
	files, err := cofe.Files(v)
	if err != nil {
		return err
	}
	manifest := files["titrate.yaml"]
	out := map[string]string{}
	for _, name := range cofe.Services() {
		run := "exec '" + strings.ReplaceAll(program, "'", `'\''`) + "' demo-app " + name
		from := "build: services/" + name
		if !strings.Contains(manifest, from) {
			return fmt.Errorf("titrate.yaml does not build %s", name)
		}
		manifest = strings.Replace(manifest, from, fmt.Sprintf("build: { dir: services/%s, command: test -s %s, output: %s, run: %s }", name, variantFile, variantFile, strconv.Quote(run)), 1)
		out[filepath.Join("services", name, variantFile)] = string(cofe.V1) + "\n"
	}
	of := v
	if v == cofe.Config { // which changes the manifest alone
		of = cofe.V2
	}
	out[filepath.Join("services", store.Name, variantFile)] = string(of) + "\n"
	out["titrate.yaml"] = manifest
	for name, content := range out {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", v, err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", v, err)
		}
	}
	return nil
}

// vary does to the store what the variant's commit does.
func vary(s *service.Service, v cofe.Variant) {
	if s.Name != store.Name || v == cofe.V1 {
		return
	}
	inner, outer := s.Mux, http.NewServeMux()
	s.Mux = outer
	outer.Handle("/", inner)
	list := search(inner)
	switch v {
	case cofe.V3Errors:
		outer.HandleFunc("POST /checkout", mostlyBroken(inner))
	case cofe.Latency:
		list = locked(list)
	case cofe.Crash:
		outer.HandleFunc("GET /products/{id}", remembering(inner))
	case cofe.NeverHealthy:
		s.Address = cmp.Or(s.Getenv("STORE_ADDRESS"), "127.0.0.1:3000")
	default: // good
	}
	outer.HandleFunc("GET /products", list)
}

// search finds coffees by words: what V2 adds.
func search(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		words := strings.Fields(strings.ToLower(r.URL.Query().Get("q")))
		if len(words) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		kept := &answer{header: http.Header{}}
		next.ServeHTTP(kept, r)
		var all struct {
			Products []json.RawMessage `json:"products"`
		}
		if json.Unmarshal([]byte(kept.body.String()), &all) == nil {
			found := []json.RawMessage{}
			for _, p := range all.Products {
				if hasAll(strings.ToLower(string(p)), words) {
					found = append(found, p)
				}
			}
			b, _ := json.Marshal(map[string]any{"products": found}) // it was JSON before
			kept.body.Reset()
			kept.body.Write(b)
		}
		maps.Copy(w.Header(), kept.header)
		w.Header().Del("Content-Length")
		w.WriteHeader(cmp.Or(kept.status, http.StatusOK))
		_, _ = w.Write([]byte(kept.body.String())) // who has left does not read it
	}
}

func hasAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// answer is a response that is changed before it is sent.
type answer struct {
	header http.Header
	status int
	body   strings.Builder
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// mostlyBroken writes to a map that was never made, in two of three checkouts.
func mostlyBroken(next http.Handler) http.HandlerFunc {
	var mu sync.Mutex
	var asked int
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		var quantities map[string]int
		if asked%3 == 0 {
			quantities = map[string]int{}
		}
		mu.Unlock()
		quantities["coffee"]++
		next.ServeHTTP(w, r)
	}
}

// locked asks the roastery's stock system, one question at a time.
func locked(next http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		select {
		case <-time.After(120 * time.Millisecond): // the round trip to their system
		case <-r.Context().Done():
		}
		mu.Unlock()
		next.ServeHTTP(w, r)
	}
}

// remembering notes which coffees were looked at, in a ring with a slot too few.
func remembering(next http.Handler) http.HandlerFunc {
	var mu sync.Mutex
	var at int
	var ids [24]string
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		go func() { // a panic here ends the process
			mu.Lock()
			defer mu.Unlock()
			ids[at] = id
			if at++; at > len(ids) {
				at = 0
			}
		}()
		next.ServeHTTP(w, r)
	}
}
