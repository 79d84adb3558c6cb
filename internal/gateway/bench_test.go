package gateway

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// ready is a gateway with two versions, that does not serve.
func readyGateway(b *testing.B, addr string) *Gateway {
	b.Helper()
	g, err := New(Config{Epoch: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	if err := g.Apply(Table{Workloads: []Workload{{
		Key: orders, Routes: []string{"/"}, Versions: []Version{{Version: 1}, {Version: 2}}, Split: shares(9000, 1000),
	}}}); err != nil {
		b.Fatal(err)
	}
	for v := range rollout.Version(2) {
		g.SetInstances(orders, v+1, []Endpoint{{ID: "a", Addr: addr}, {ID: "b", Addr: addr}})
	}
	return g
}

// BenchmarkPickAndCount is what routing, drawing, registering and counting add
// to a request.
func BenchmarkPickAndCount(b *testing.B) {
	g := readyGateway(b, "127.0.0.1:1")
	a := arrival{method: "GET", host: "cofe.localhost:7080", path: "/orders/7"}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			t, ref := g.admit(a)
			if ref != nil {
				b.Error(ref.reason)
				return
			}
			t.begin(nil)
			t.count(outcome{status: 200, latency: time.Millisecond})
			t.finish()
		}
	})
}

// BenchmarkCloseWindows is a second's closing with 1,000 versions under load.
func BenchmarkCloseWindows(b *testing.B) {
	g, at := stoppedAt(b, 1000)
	for b.Loop() {
		b.StopTimer()
		for _, f := range g.fleets {
			for i := range 200 {
				f.meter.add(i%shards, outcome{status: 200, latency: time.Duration(i) * time.Millisecond})
			}
		}
		*at = at.Add(time.Second)
		b.StartTimer()
		g.closeWindows(*at)
	}
}

func stoppedAt(b *testing.B, versions int) (*Gateway, *time.Time) {
	b.Helper()
	at := time.Unix(1_800_000_000, 0)
	g, err := New(Config{Epoch: "bench", Ring: 2, Clock: func() time.Time { return at }})
	if err != nil {
		b.Fatal(err)
	}
	for v := range versions {
		g.SetInstances(orders, rollout.Version(v+1), []Endpoint{{ID: "a", Addr: "127.0.0.1:1"}})
	}
	return g, &at
}

// BenchmarkAgainstReverseProxy sends the same requests through the gateway and
// through a bare httputil.ReverseProxy with the same transport, in turns of one
// run on 32 connections, and reports the median ratio of their rates.
func BenchmarkAgainstReverseProxy(b *testing.B) {
	body := make([]byte, 1200)
	backend := serveBench(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}))
	g := readyGateway(b, backend)
	target, err := url.Parse("http://" + backend)
	if err != nil {
		b.Fatal(err)
	}
	plain := &httputil.ReverseProxy{
		Rewrite:    func(p *httputil.ProxyRequest) { p.SetURL(target); p.SetXForwarded() },
		Transport:  g.connect(Endpoint{}).(pool).Transport,
		BufferPool: &buffers{},
	}
	ours, theirs := serveBench(b, &front{g: g, proxy: newProxy(g)}), serveBench(b, plain)
	const turn = 2000
	round := func(addr string) time.Duration {
		began := time.Now()
		send(b, addr, turn)
		return time.Since(began)
	}
	round(ours)
	round(theirs)
	var ratios, rates []float64
	for b.Loop() {
		a, z := round(ours), round(theirs)
		ratios = append(ratios, float64(z)/float64(a))
		rates = append(rates, turn/a.Seconds())
	}
	b.ReportMetric(median(ratios), "of-plain-rate")
	b.ReportMetric(median(rates), "req/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFunctionAgainstService sends the same requests to a handler as a function's
// callee and as a plain HTTP service, both behind the gateway, in turns of one run, and
// reports the median ratio of the times of a request, and what one takes on a warm path.
func BenchmarkFunctionAgainstService(b *testing.B) {
	body := strings.Repeat("x", 1200)
	backend := serveBench(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
	service, function := readyGateway(b, backend), readyGateway(b, backend)
	for v := range rollout.Version(2) {
		function.SetInstances(orders, v+1, []Endpoint{{ID: "f", Callee: newFunction(answers(body))}})
	}
	ours, theirs := serveBench(b, &front{g: function, proxy: newProxy(function)}), serveBench(b, &front{g: service, proxy: newProxy(service)})
	const turn = 500
	round := func(addr string) (took []float64) {
		for range turn {
			began := time.Now()
			res, err := benchClient.Get("http://" + addr + "/orders/7")
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			took = append(took, float64(time.Since(began))/float64(time.Microsecond))
		}
		return took
	}
	round(ours)
	round(theirs)
	var ratios, function50, service50 []float64
	for b.Loop() {
		a, z := median(round(ours)), median(round(theirs))
		ratios, function50, service50 = append(ratios, a/z), append(function50, a), append(service50, z)
	}
	b.ReportMetric(median(ratios), "of-service-time")
	b.ReportMetric(median(function50), "function-p50-µs")
	b.ReportMetric(median(service50), "service-p50-µs")
	b.ReportMetric(0, "ns/op")
}

func median(fs []float64) float64 {
	slices.Sort(fs)
	return fs[len(fs)/2]
}

func serveBench(b *testing.B, h http.Handler) (addr string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() { defer close(ended); s.Serve(l) }()
	b.Cleanup(func() { s.Close(); <-ended })
	return l.Addr().String()
}

var benchClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func send(b *testing.B, addr string, n int) {
	b.Helper()
	const clients = 32
	var done sync.WaitGroup
	for range clients {
		done.Go(func() {
			for range n / clients {
				res, err := benchClient.Get("http://" + addr + "/orders/7")
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	done.Wait()
}
