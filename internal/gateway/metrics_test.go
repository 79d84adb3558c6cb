package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"titrate/internal/rollout"
)

// scrape asks for the metrics and reads them as Prometheus does.
func (r *rig) scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	rec := httptest.NewRecorder()
	r.Metrics().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %s: %s", rec.Code, rec.Header(), rec.Body)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	all, err := p.TextToMetricFamilies(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// total sums the samples of a metric whose labels have these values.
func total(f *dto.MetricFamily, labels ...string) (sum float64) {
	for _, m := range f.GetMetric() {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		match := true
		for i := 0; i < len(labels); i += 2 {
			match = match && have[labels[i]] == labels[i+1]
		}
		if match {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func TestMetrics_areAsManyAsWereSent(t *testing.T) {
	t.Parallel()
	for front, moves := range fronts() {
		t.Run(front, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			answer := func(w http.ResponseWriter, q *http.Request) {
				if q.URL.Path == "/broken" {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				io.WriteString(w, "12345678")
			}
			r.version(t, 1, answer)
			r.version(t, 2, answer)
			r.split(t, map[rollout.Version]rollout.Weight{1: 7500, 2: 2500})
			const each = 30
			for i := range each {
				r.do(t, "GET", r.url(fmt.Sprintf("/orders/%d", i)), nil, moves...)
				r.do(t, "PUT", r.url("/orders/1"), strings.NewReader("abc"), moves...)
				r.do(t, "GET", r.url("/broken"), nil, moves...)
			}
			all := r.scrape(t)
			route := []string{"app", "cofe", "env", "production", "workload", "orders", "route", "GET /orders/{id}"}
			for name, want := range map[string]float64{
				"titrate_requests_total": 3 * each, "titrate_requests_started_total": 3 * each, "titrate_requests_ended_total": 3 * each,
				"titrate_request_duration_seconds": 3 * each, "titrate_response_body_bytes_total": 3 * 8 * each, "titrate_request_body_bytes_total": 3 * each,
				"titrate_request_failures_total": each, "titrate_requests_in_flight": 0, "titrate_version_weight_ratio": 1,
			} {
				if got := total(all[name]); got != want {
					t.Errorf("%s is %v, not %v", name, got, want)
				}
			}
			if got := total(all["titrate_requests_total"], append(route, "class", "2xx")...); got != each {
				t.Errorf("%v requests of the route with 2xx, not %d", got, each)
			}
			if got := total(all["titrate_request_failures_total"], "route", "GET /broken", "reason", "status"); got != each {
				t.Errorf("%v failed by their status, not %d", got, each)
			}
			for _, name := range []string{"go_goroutines", "process_open_fds"} {
				if total(all[name]) == 0 {
					t.Errorf("%s is missing", name)
				}
			}
			for _, f := range all {
				if f.GetType() == dto.MetricType_COUNTER && strings.HasPrefix(f.GetName(), "titrate_") && !strings.HasSuffix(f.GetName(), "_total") {
					t.Errorf("%s is a counter that is not named so", f.GetName())
				}
			}
		})
	}
}

// What the text format's parser has read, written as OpenMetrics by the library's own
// encoder, is what is sent to who asks for that.
func TestMetrics_areOpenMetricsForWhoAcceptsThem(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.version(t, 1, says("one"))
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	r.do(t, "GET", r.url("/a\"b"), nil)
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	rec := httptest.NewRecorder()
	r.Metrics().ServeHTTP(rec, req)
	if got := rec.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text; version=1.0.0") {
		t.Errorf("it is %s", got)
	}
	if !strings.HasSuffix(rec.Body.String(), "# EOF\n") {
		t.Error("it does not end with its end")
	}
	var want strings.Builder
	all := r.scrape(t)
	for _, name := range []string{"titrate_requests_total", "titrate_request_duration_seconds", "titrate_requests_started_total"} {
		if _, err := expfmt.MetricFamilyToOpenMetrics(&want, all[name]); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(want.String()) {
		if !strings.Contains(rec.Body.String(), line) {
			t.Errorf("%s is missing", line)
		}
	}
}

func TestMetrics_theHistogramIsNotOffByMoreThanOnePercent(t *testing.T) {
	t.Parallel()
	for _, bound := range bounds() {
		for _, off := range []struct {
			by    float64
			below bool
		}{{0.99, true}, {1.01, false}} {
			var acc account
			acc.add(outcome{status: 200, latency: time.Duration(float64(bound) * off.by)})
			if got := cumulative(acc.read().Latency)[bound.Seconds()] == 1; got != off.below {
				t.Errorf("%v of %s is below it: %t", off.by, bound, got)
			}
		}
	}
}
