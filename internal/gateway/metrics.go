package gateway

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// Metrics answers with what the gateway has counted since it began, in Prometheus's text
// format 0.0.4 or as OpenMetrics, as the request accepts, with what the process and its
// runtime use beside. It lets everybody in: whoever serves it asks for the credential.
// docs/metrics.md lists what there is.
func (g *Gateway) Metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(counted{g}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true, DisableCompression: true})
}

// counted collects the accounts.
type counted struct{ g *Gateway }

// bounds are those of the latency histogram. An account's buckets are finer; each is told
// below the bound that its middle is below, which is off by less than 1 %.
func bounds() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{ms, 2500 * time.Microsecond, 5 * ms, 10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 500 * ms, 1000 * ms, 2500 * ms, 5000 * ms, 10_000 * ms, 30_000 * ms, 60_000 * ms}
}

// family is one metric, and the labels that it has beside those of its version.
type family struct {
	name, help string
	labels     []string
}

func (f family) desc() *prometheus.Desc {
	return prometheus.NewDesc(f.name, f.help, append([]string{"app", "env", "workload", "version"}, f.labels...), nil)
}

// The metrics. Every name ends with its unit, and in _total where it only grows:
// prometheus.io/docs/practices/naming.
func families() map[string]family {
	all := map[string]family{}
	for _, f := range []family{
		{"titrate_requests_total", "Requests and events that were drawn by weight, by route and class of their status; none: no head was sent.", []string{"route", "class"}},
		{"titrate_request_failures_total", "Those of titrate_requests_total that the version failed, by reason.", []string{"route", "reason"}},
		{"titrate_requests_aborted_total", "Those of titrate_requests_total that the client left.", []string{"route"}},
		{"titrate_request_retries_total", "Sent once more, to the same instance or another.", []string{"route"}},
		{"titrate_request_body_bytes_total", "Bytes of bodies from clients.", []string{"route"}},
		{"titrate_response_body_bytes_total", "Bytes of bodies from versions.", []string{"route"}},
		{"titrate_request_duration_seconds", "What the version took: until its head, and the time it was waited for during its body.", []string{"route"}},
		{"titrate_requests_started_total", "Requests, events and previews that a version was given: those that have ended and those in flight.", nil},
		{"titrate_requests_ended_total", "Requests, events and previews that a version was given and that are over.", nil},
		{"titrate_requests_in_flight", "Requests, connections and events that are open on a version.", nil},
		{"titrate_version_weight_ratio", "The share of its workload that a version is asked to have.", nil},
		{"titrate_requests_failed_over_total", "Drawn on a version and answered by another, as it had nothing ready.", nil},
		{"titrate_requests_unready_total", "Drawn on a version and refused with 503, as no version had an instance ready.", nil},
		{"titrate_streams_drained_total", "Streams that were closed as their version lost its traffic.", nil},
		{"titrate_requests_cut_total", "Requests that outlived the drain of their version.", nil},
		{"titrate_streams_broken_total", "Streams that a version broke after they had been counted.", nil},
	} {
		all[f.name] = f
	}
	return all
}

// Describe tells the registry what Collect collects.
func (counted) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families() {
		to <- f.desc()
	}
	to <- connections()
	to <- accessLines()
}

func connections() *prometheus.Desc {
	return prometheus.NewDesc("titrate_connections", "Open connections to clients and instances that the loops for plain HTTP/1.1 have.", nil, nil)
}

func accessLines() *prometheus.Desc {
	return prometheus.NewDesc("titrate_access_log_lines_total", "Lines of the access log by what became of them: written or dropped.", []string{"outcome"}, nil)
}

// Collect reads every account once, each whole.
func (c counted) Collect(to chan<- prometheus.Metric) {
	descs := map[string]*prometheus.Desc{}
	for name, f := range families() {
		descs[name] = f.desc()
	}
	accounts, flows := c.g.Accounts()
	for _, a := range accounts {
		base := []string{a.Key.App, a.Key.Env, a.Key.Workload, a.Version.String(), a.Route}
		count := func(name string, n uint64, more ...string) {
			to <- prometheus.MustNewConstMetric(descs[name], prometheus.CounterValue, float64(n), append(base[:len(base):len(base)], more...)...)
		}
		for i, n := range a.Status {
			if n > 0 {
				count("titrate_requests_total", n, [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[i])
			}
		}
		for reason, n := range a.Failures {
			count("titrate_request_failures_total", n, reason)
		}
		count("titrate_requests_aborted_total", a.Aborted)
		count("titrate_request_retries_total", a.Retries)
		count("titrate_request_body_bytes_total", a.In)
		count("titrate_response_body_bytes_total", a.Out)
		to <- prometheus.MustNewConstHistogram(descs["titrate_request_duration_seconds"], a.Requests, a.Took.Seconds(), cumulative(a.Latency), base...)
	}
	for _, f := range flows {
		tell := func(name string, kind prometheus.ValueType, n float64) {
			to <- prometheus.MustNewConstMetric(descs[name], kind, n, f.Key.App, f.Key.Env, f.Key.Workload, f.Version.String())
		}
		tell("titrate_requests_started_total", prometheus.CounterValue, float64(f.Started))
		tell("titrate_requests_ended_total", prometheus.CounterValue, float64(f.Ended))
		tell("titrate_requests_in_flight", prometheus.GaugeValue, float64(f.InFlight))
		tell("titrate_version_weight_ratio", prometheus.GaugeValue, float64(f.Weight)/float64(rollout.Full))
		tell("titrate_requests_failed_over_total", prometheus.CounterValue, float64(f.Observed.FailedOver))
		tell("titrate_requests_unready_total", prometheus.CounterValue, float64(f.Observed.Unready))
		tell("titrate_streams_drained_total", prometheus.CounterValue, float64(f.Observed.Drained))
		tell("titrate_requests_cut_total", prometheus.CounterValue, float64(f.Observed.Cut))
		tell("titrate_streams_broken_total", prometheus.CounterValue, float64(f.Observed.Broken))
	}
	to <- prometheus.MustNewConstMetric(connections(), prometheus.GaugeValue, float64(c.g.looped.Load()))
	if l := c.g.access; l != nil {
		to <- prometheus.MustNewConstMetric(accessLines(), prometheus.CounterValue, float64(l.written.Load()), "written")
		to <- prometheus.MustNewConstMetric(accessLines(), prometheus.CounterValue, float64(l.dropped.Load()), "dropped")
	}
}

// cumulative is a histogram by the upper bounds of bounds, in seconds.
func cumulative(h analysis.Histogram) map[float64]uint64 {
	out := map[float64]uint64{}
	at, sum := 0, uint64(0)
	for _, bound := range bounds() {
		for at < len(h.Bucket) && analysis.BucketMid(int(h.Bucket[at])) <= bound {
			sum += h.Count[at]
			at++
		}
		out[bound.Seconds()] = sum
	}
	return out
}
