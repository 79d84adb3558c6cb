package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
)

func (s *server) registerCertificates(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/certificates", "certificates", "Hosts that are to be served over TLS, and how each stands"), handle(s, s.certificates))
}

func (s *server) certificates(ctx context.Context, _ *struct{}) ([]client.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	seen, err := s.Node.Seen(ctx, 0)
	if err != nil {
		return nil, problem(http.StatusServiceUnavailable, "T0805", "the node cannot be asked for its certificates: "+err.Error())
	}
	out := []client.Certificate{}
	for _, c := range seen.Certificates {
		out = append(out, client.Certificate{
			Host: c.Host, Source: string(c.Source), File: c.File, Issuer: c.Issuer, From: timeOrNone(c.From), Until: timeOrNone(c.Until),
			Problem: c.Problem, Failed: c.Failed, Next: timeOrNone(c.Next),
		})
	}
	return out, nil
}

// timeOrNone is a time that may be none.
func timeOrNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
