package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Protocol is the version of the API that this client knows. It grows when a client
// of before would misread what a server says.
const Protocol = 1

// Identity says who a credential is for, and what answers.
type Identity struct {
	Name     string     `json:"name" doc:"of the token; local: the data folder's"`
	Role     string     `json:"role" doc:"what it may: viewer, deployer, approver or admin"`
	Expires  *time.Time `json:"expires,omitempty"`
	Secure   bool       `json:"secure" doc:"this call came over TLS"`
	Server   string     `json:"server" doc:"version of the server"`
	Protocol int        `json:"protocol" doc:"version of the API that it speaks"`
}

// Token is a credential by its name.
type Token struct {
	Name    string     `json:"name"`
	Role    string     `json:"role" doc:"what it may: viewer, deployer, approver or admin"`
	Made    time.Time  `json:"made"`
	By      string     `json:"by" doc:"who made it"`
	Expires *time.Time `json:"expires,omitempty"`
	Expired bool       `json:"expired,omitempty"`
	Used    *time.Time `json:"used,omitempty" doc:"last, to the minute; absent: never"`
}

// TokenRequest asks for a token.
type TokenRequest struct {
	Name    string     `json:"name" minLength:"1" maxLength:"63"`
	Role    string     `json:"role,omitempty" enum:"viewer,deployer,approver,admin" doc:"absent: deployer"`
	Expires *time.Time `json:"expires,omitempty" doc:"absent: never"`
}

// NewToken is a token that was made just now.
type NewToken struct {
	Token
	Secret string `json:"token" doc:"what is to be shown to the server; it is told this once"`
}

// Whoami asks who the credential is for.
func (c *Client) Whoami(ctx context.Context) (i Identity, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/whoami", nil, &i)
	return i, err
}

// Tokens lists the server's tokens, by name.
func (c *Client) Tokens(ctx context.Context) (ts []Token, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/tokens", nil, &ts)
	return ts, err
}

// CreateToken has a token made.
func (c *Client) CreateToken(ctx context.Context, req TokenRequest) (t NewToken, err error) {
	err = c.call(ctx, http.MethodPost, "/api/v1/tokens", req, &t)
	return t, err
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/tokens/"+url.PathEscape(name), nil, nil)
}
