package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
	"titrate/internal/auth"
)

func (s *server) registerTokens(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/whoami", "whoami", "Who the credential is for"), handle(s, s.whoami))
	huma.Register(api, operation(http.MethodGet, "/tokens", "tokens", "Tokens by name; they themselves are never told"), handle(s, s.tokens))
	huma.Register(api, operation(http.MethodPost, "/tokens", "createToken", "Make a token; this answer is the only one that holds it"), handle(s, s.createToken))
	huma.Register(api, operation(http.MethodDelete, "/tokens/{name}", "revokeToken", "End a token at once"), s.revokeToken)
}

func (s *server) whoami(ctx context.Context, _ *struct{}) (client.Identity, error) {
	v := whoever(ctx)
	return client.Identity{Name: v.name, Role: string(v.role), Expires: timeOrNone(v.expires), Secure: v.secure, Server: s.About.Version, Protocol: client.Protocol}, nil
}

func (s *server) tokens(context.Context, *struct{}) ([]client.Token, error) {
	out := []client.Token{}
	for _, t := range s.Tokens.List() {
		out = append(out, tokenOut(t))
	}
	return out, nil
}

func tokenOut(t auth.Token) client.Token {
	return client.Token{Name: t.Name, Role: string(t.Role), Made: t.Made, By: t.By, Expires: timeOrNone(t.Expires), Used: timeOrNone(t.Used), Expired: t.Expired(time.Now())}
}

func (s *server) createToken(ctx context.Context, in *struct{ Body client.TokenRequest }) (client.NewToken, error) {
	now := time.Now()
	var expires time.Time
	if in.Body.Expires != nil {
		if expires = *in.Body.Expires; !expires.After(now) {
			return client.NewToken{}, problem(http.StatusUnprocessableEntity, "T0803", "it would have expired already: the clock of the server says "+now.UTC().Format(time.RFC3339))
		}
	}
	role := auth.Role(in.Body.Role)
	if role == "" {
		role = auth.Deployer
	}
	t, secret, err := s.Tokens.Create(auth.Token{Name: in.Body.Name, By: who(ctx), Role: role, Expires: expires}, now)
	if err != nil {
		return client.NewToken{}, err
	}
	s.Log.Info("token made", slog.String("token", t.Name), slog.String("by", t.By), slog.String("role", string(t.Role)), slog.Time("expires", t.Expires))
	return client.NewToken{Token: tokenOut(t), Secret: secret}, nil
}

func (s *server) revokeToken(ctx context.Context, in *struct {
	Name string `path:"name" maxLength:"63"`
},
) (*struct{}, error) {
	if err := s.Tokens.Revoke(in.Name); err != nil {
		return nil, s.problem(ctx, err)
	}
	s.Log.Info("token revoked", slog.String("token", in.Name), slog.String("by", who(ctx)))
	return nil, nil
}
