package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/bench/figures"
)

// peer is a proxy in front of the one backend.
type peer struct {
	name string
	at   string // host:port
	argv []string
	pid  int
}

// measured is one round of one proxy.
type measured struct {
	rate float64 // requests a second
	p99  float64 // milliseconds
	cpu  float64 // microseconds a request, of the proxy and its children
}

// compare runs Titrate's gateway beside nginx and HAProxy, in shuffled rounds of one run,
// and prints medians of ratios to nginx. All three do what a proxy must: Titrate's draws a
// version, counts exactly and says who has asked, the others only the last.
func compare(ctx context.Context, w io.Writer, connections []int, rounds int, each time.Duration, idle int) error {
	if missing := lacking("wrk", "nginx", "haproxy"); missing != nil {
		return fmt.Errorf("no %s on PATH: apt-get install wrk nginx-light haproxy", strings.Join(missing, ", "))
	}
	dir, err := os.MkdirTemp("", "titrate-bench-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // nginx drops its rights
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	peers, backend, err := configure(ctx, dir)
	if err != nil {
		return err
	}
	for _, p := range append([]*peer{backend}, peers...) {
		end, err := p.start(ctx, dir)
		if err != nil {
			return err
		}
		defer end()
	}
	if err := idlers(ctx, w, peers, idle); err != nil {
		return err
	}
	for _, n := range connections {
		all := map[string][]measured{}
		for range rounds {
			rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
			for _, p := range peers {
				m, err := p.measure(ctx, n, each)
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				all[p.name] = append(all[p.name], m)
			}
		}
		tellRatios(w, fmt.Sprintf("%d connections", n), all)
	}
	return calm(ctx, w, peers, rounds, each)
}

func lacking(programs ...string) (missing []string) {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// configure writes the configurations. The backend is an nginx of one worker, which answers
// from a file with 1,200 bytes.
func configure(ctx context.Context, dir string) (peers []*peer, backend *peer, err error) {
	program := filepath.Join(dir, "serve")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "titrate/bench/gateway/serve").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	var ports []string
	for range 4 {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, fmt.Errorf("find a free port: %w", err)
		}
		ports = append(ports, l.Addr().String())
		l.Close()
	}
	files := map[string]string{
		"body.json": `{"beans":"` + strings.Repeat("x", 1200-12) + `"}`,
		"backend.conf": nginxConf(dir, "backend", 1, `server { listen `+ports[0]+` backlog=4096; default_type application/json; location / { root `+dir+
			`; try_files /body.json =404; } }`),
		"nginx.conf": nginxConf(dir, "nginx", 2, `upstream b { server `+ports[0]+`; keepalive 512; keepalive_requests 100000000; }
server { listen `+ports[1]+` backlog=4096; location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Request-Id $request_id; } }`),
		"haproxy.cfg": "global\n  nbthread 2\n  maxconn 8000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  http-reuse always\n" +
			"frontend f\n  bind " + ports[2] + "\n  option forwardfor\n  default_backend b\nbackend b\n  server s " + ports[0] + "\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // nginx's workers read it
			return nil, nil, fmt.Errorf("write a configuration: %w", err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return []*peer{
		{name: "nginx", at: ports[1], argv: []string{"nginx", "-p", dir, "-c", at("nginx.conf")}},
		{name: "haproxy", at: ports[2], argv: []string{"haproxy", "-db", "-f", at("haproxy.cfg")}},
		{name: "titrate", at: ports[3], argv: []string{program, "-listen", ports[3], "-backend", ports[0]}},
	}, &peer{name: "backend", at: ports[0], argv: []string{"nginx", "-p", dir, "-c", at("backend.conf")}}, nil
}

func nginxConf(dir, name string, workers int, servers string) string {
	return fmt.Sprintf("daemon off; worker_processes %d; pid %s; error_log /dev/null;\nevents { worker_connections 16384; }\n"+
		"http { access_log off; keepalive_requests 100000000; keepalive_timeout 300s;\nclient_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;\n%s }\n",
		workers, filepath.Join(dir, name+".pid"), dir, dir, dir, dir, dir, servers)
}

// start starts the process and waits until it listens; end ends it.
func (p *peer) start(ctx context.Context, dir string) (end func(), err error) {
	log, err := os.Create(filepath.Join(dir, p.name+".log"))
	if err != nil {
		return nil, fmt.Errorf("make a log: %w", err)
	}
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...) //nolint:gosec // made above
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	p.pid = cmd.Process.Pid
	end = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // it was told to end
		log.Close()
	}
	waiting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = figures.Poll(waiting, func() (bool, error) {
		var d net.Dialer
		c, err := d.DialContext(waiting, "tcp", p.at)
		if err == nil {
			c.Close()
		}
		return err == nil, nil
	})
	if err != nil {
		end()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s does not listen: %w\n%s", p.name, err, text)
	}
	return end, nil
}

var (
	rateSays  = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	countSays = regexp.MustCompile(`(\d+) requests in`)
	p99Says   = regexp.MustCompile(`99%\s+([\d.]+)(us|ms|s)`)
)

// measure is one round: as many requests as can be, over connections that are kept.
func (p *peer) measure(ctx context.Context, connections int, each time.Duration) (m measured, err error) {
	before, err := figures.Family(p.pid)
	if err != nil {
		return m, err
	}
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(connections), "-d"+strconv.Itoa(int(each.Seconds()))+"s", "--latency", "http://"+p.at+"/orders/7").CombinedOutput() //nolint:gosec // made above
	if err != nil {
		return m, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		return m, fmt.Errorf("not all were answered:\n%s", out)
	}
	after, err := figures.Family(p.pid)
	if err != nil {
		return m, err
	}
	number := func(r *regexp.Regexp) (f float64) {
		if found := r.FindSubmatch(out); found != nil {
			f, _ = strconv.ParseFloat(string(found[1]), 64)
		}
		return f
	}
	m.rate, m.p99 = number(rateSays), number(p99Says)
	if found := p99Says.FindSubmatch(out); found != nil {
		m.p99 *= map[string]float64{"us": 0.001, "ms": 1, "s": 1000}[string(found[2])]
	}
	count := number(countSays)
	if m.rate == 0 || count == 0 {
		return m, errors.New("wrk says no rate:\n" + string(out))
	}
	m.cpu = float64((after-before)/time.Microsecond) / count
	return m, nil
}

// tellRatios prints medians, and of the ratios of each round the lowest and highest.
func tellRatios(w io.Writer, how string, all map[string][]measured) {
	pick := func(name string, of func(measured) float64) (out []float64) {
		for _, m := range all[name] {
			out = append(out, of(m))
		}
		return out
	}
	rate := func(m measured) float64 { return m.rate }
	cpu := func(m measured) float64 { return m.cpu }
	p99 := func(m measured) float64 { return m.p99 }
	for _, name := range []string{"nginx", "haproxy", "titrate"} {
		figures.Line(w, name+", "+how,
			fmt.Sprintf("%.0f requests/s, p99 %.2f ms, %.1f µs of CPU a request", middle(pick(name, rate)), middle(pick(name, p99)), middle(pick(name, cpu))), "")
	}
	for _, peer := range []string{"nginx", "haproxy"} {
		for _, f := range []struct {
			name string
			of   func(measured) float64
		}{{"rate", rate}, {"CPU a request", cpu}, {"p99", p99}} {
			var ratios []float64
			for i, m := range pick("titrate", f.of) {
				if other := pick(peer, f.of)[i]; other > 0 {
					ratios = append(ratios, m/other)
				}
			}
			figures.Line(w, fmt.Sprintf("titrate / %s, %s, %s", peer, how, f.name), fmt.Sprintf("%.2f (%.2f to %.2f)", middle(ratios), slices.Min(ratios), slices.Max(ratios)), "")
		}
	}
}

func middle(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
