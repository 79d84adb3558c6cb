package dev

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is what goes wrong on purpose with a share of a service's answers.
type Fault struct {
	Service string        // empty: all
	Kind    string        // 5xx, drop or latency
	Share   float64       // 0 to 1
	Delay   time.Duration // of latency
}

// ParseFault reads [SERVICE/]5xx=5%, [SERVICE/]drop=1% and
// [SERVICE/]latency=300ms[:20%].
func ParseFault(text string) (f Fault, err error) {
	bad := func(why string) (Fault, error) {
		return f, fmt.Errorf("%s: %s\n  help    5xx=5%%, drop=1%%, latency=300ms or latency=300ms:20%%; orders/5xx=5%% for one service", text, why)
	}
	kind, value, ok := strings.Cut(text, "=")
	if !ok {
		return bad("is no fault")
	}
	if service, rest, ok := strings.Cut(kind, "/"); ok {
		f.Service, kind = service, rest
	}
	f.Kind, f.Share = kind, 1
	share := value
	switch kind {
	case "5xx", "drop":
	case "latency":
		delay, some, ok := strings.Cut(value, ":")
		if f.Delay, err = time.ParseDuration(delay); err != nil || f.Delay <= 0 {
			return bad("how long? as in 300ms")
		}
		if share = some; !ok {
			return f, nil
		}
	default:
		return bad("there is no fault " + kind)
	}
	number, ok := strings.CutSuffix(share, "%")
	p, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(p > 0 && p <= 100) {
		return bad("of how many answers? as in 5%")
	}
	f.Share = p / 100
	return f, nil
}

// interposer stands between the gateway and instances, so that faults are counted as
// the version's own.
type interposer struct {
	faults []Fault

	mu sync.Mutex
	by map[string]*between // by the instance's address
}

type between struct {
	addr   string
	server *http.Server
}

// at is where the gateway reaches an instance.
func (p *interposer) at(addr string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.by[addr]; b != nil {
		return b.addr
	}
	return addr
}

// before returns an address that leads to that of an instance, with faults. Where
// none can be had it is the instance's own.
func (p *interposer) before(service, addr string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.by[addr]; b != nil {
		return b.addr
	}
	var mine []Fault
	for _, f := range p.faults {
		if f.Service == "" || f.Service == service {
			mine = append(mine, f)
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil || len(mine) == 0 {
		return addr
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: addr})
			r.Out.Host = r.In.Host
			r.Out.Header = r.In.Header.Clone() // as the gateway made them
		},
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // it broke: so does this
	}
	b := &between{l.Addr().String(), &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, f := range mine {
			if rand.Float64() >= f.Share {
				continue
			}
			switch f.Kind {
			case "5xx":
				http.Error(w, "titrate dev --fault 5xx", http.StatusInternalServerError)
				return
			case "drop":
				panic(http.ErrAbortHandler)
			case "latency":
				select {
				case <-time.After(f.Delay):
				case <-r.Context().Done():
				}
			}
		}
		proxy.ServeHTTP(w, r)
	})}}
	go b.server.Serve(l) //nolint:errcheck // it ends when it is closed
	p.by[addr] = b
	return b.addr
}

func (p *interposer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.by {
		b.server.Close()
	}
}
