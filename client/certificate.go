package client

import (
	"context"
	"net/http"
	"time"
)

// Certificate says how a host stands that is to be served over TLS.
type Certificate struct {
	Host    string     `json:"host"`
	Source  string     `json:"source,omitempty" enum:"file,acme" doc:"where it is from; absent: there is none"`
	File    string     `json:"file,omitempty"`
	Issuer  string     `json:"issuer,omitempty"`
	From    *time.Time `json:"from,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
	Problem string     `json:"problem,omitempty" doc:"why there is none, it is not valid, or the next one does not come"`
	Failed  int        `json:"failed,omitempty" doc:"attempts in a row that failed"`
	Next    *time.Time `json:"next,omitempty" doc:"when it is tried again"`
}

// Certificates lists the hosts that are to be served over TLS, by name.
func (c *Client) Certificates(ctx context.Context) (cs []Certificate, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/certificates", nil, &cs)
	return cs, err
}
