package api

import (
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
)

// problemError is a problem document (RFC 9457) with Titrate's code beside the
// standard members. It implements huma's StatusError.
type problemError struct{ client.Problem }

// GetStatus is the HTTP status.
func (p *problemError) GetStatus() int { return p.Status }

// ContentType names the format, whatever was asked for.
func (p *problemError) ContentType(string) string { return "application/problem+json" }

func problem(status int, code, detail string) *problemError {
	return &problemError{Problem: client.Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}}
}

// coded gives what huma itself finds wrong with a request Titrate's code.
func coded(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := problem(e.Status, "T0803", e.Detail)
	for _, d := range e.Errors {
		p.Errors = append(p.Errors, client.ProblemDetail{Message: d.Message, Location: d.Location})
	}
	return p, nil
}

func writeProblem(w http.ResponseWriter, p *problemError) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller is gone: nobody is left to tell
}
