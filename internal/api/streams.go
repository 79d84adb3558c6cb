package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// registerStreams adds what is not one answer to one request. huma describes them
// in the document; the handlers are plain, because they stream.
func (s *server) registerStreams(api huma.API, mux *http.ServeMux) {
	describe := func(op huma.Operation, contentType, description string, params ...*huma.Param) {
		op.Responses = map[string]*huma.Response{"200": {Description: description, Content: map[string]*huma.MediaType{contentType: {}}}}
		op.Parameters = params
		api.OpenAPI().AddOperation(&op)
	}
	describe(operation(http.MethodGet, "/events", "events", "What happens, as server-sent events; resumes after Last-Event-ID"),
		"text/event-stream", "Events, each with its id, kind and data",
		query("after", "id of the event after which to begin"), query("app", "only of this app"))
	mux.HandleFunc("GET /api/v1/events", s.events)
	describe(operation(http.MethodGet, "/apps/{app}/logs", "logs", "Log lines of an app, one JSON object a line"),
		"application/x-ndjson", "Log lines, oldest first",
		&huma.Param{Name: "app", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}},
		query("env", "of this environment"), query("workload", "of this workload"), query("version", "of this version"),
		query("since", "of the last 10m"), query("last", "so many lines of the past"), query("follow", "go on as lines come"), query("contains", "only with this text"),
		query("only", "of this version of a workload, and of no other: web@v3; several times for several"))
	mux.HandleFunc("GET /api/v1/apps/{app}/logs", s.logs)
	describe(operation(http.MethodGet, "/apps/{app}/builds", "builds", "What the newest build printed, one JSON object a line"),
		"application/x-ndjson", "Log lines, oldest first; the stream is the build's step",
		&huma.Param{Name: "app", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}},
		query("failed", "true: the newest that failed"))
	mux.HandleFunc("GET /api/v1/apps/{app}/builds", s.builds)
	describe(huma.Operation{OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Summary: "What the node has counted since it began, for Prometheus"},
		"text/plain", "Prometheus's text format 0.0.4, or OpenMetrics, as the request accepts")
	mux.HandleFunc("GET /metrics", s.metrics)
}

func query(name, doc string) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: doc, Schema: &huma.Schema{Type: "string"}}
}

func (s *server) logs(w http.ResponseWriter, r *http.Request) {
	q, err := s.logQuery(r)
	if err != nil {
		writeProblem(w, s.problem(r.Context(), err))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	out, rc := json.NewEncoder(w), http.NewResponseController(w)
	began := false
	err = s.Node.Logs(r.Context(), q, func(l world.LogLine) bool {
		began = true
		line := client.LogLine{At: l.At, Workload: l.Key.Workload, Version: int(l.Version), Instance: l.Instance, Stream: l.Stream, Text: l.Text}
		return out.Encode(line) == nil && rc.Flush() == nil
	})
	if err != nil && !began && r.Context().Err() == nil {
		writeProblem(w, problem(http.StatusServiceUnavailable, "T0805", "the node cannot be asked for logs: "+err.Error()))
	}
}

var onlyForm = regexp.MustCompile(`^([a-z0-9-]+)@v([1-9][0-9]{0,8})$`)

func (s *server) logQuery(r *http.Request) (world.LogQuery, error) {
	q := world.LogQuery{App: r.PathValue("app"), Env: r.FormValue("env"), Workload: r.FormValue("workload"), Contains: r.FormValue("contains")}
	if q.Env == "" {
		env, err := s.environment(r.Context(), q.App, "")
		if err != nil {
			return q, err
		}
		q.Env = env
	}
	bad := func(name string) error {
		return problem(http.StatusUnprocessableEntity, "T0803", fmt.Sprintf("%s=%q cannot be read", name, r.FormValue(name)))
	}
	for _, only := range r.Form["only"] {
		m := onlyForm.FindStringSubmatch(only)
		if m == nil {
			return q, bad("only")
		}
		n, _ := strconv.Atoi(m[2]) // digits only, by the pattern
		if q.Only == nil {
			q.Only = map[string]rollout.Version{}
		}
		q.Only[m[1]] = rollout.Version(n)
	}
	for name, into := range map[string]func(string) error{
		"version": func(t string) error { n, err := strconv.Atoi(t); q.Version = rollout.Version(n); return err },
		"last":    func(t string) error { n, err := strconv.Atoi(t); q.Last = n; return err },
		"follow":  func(t string) error { b, err := strconv.ParseBool(t); q.Follow = b; return err },
		"since": func(t string) error {
			d, err := time.ParseDuration(t)
			q.Since = s.Controller.Now().Add(-d)
			return err
		},
	} {
		if t := r.FormValue(name); t != "" {
			if err := into(t); err != nil {
				return q, bad(name)
			}
		}
	}
	return q, nil
}
