package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
	"titrate/internal/secrets"
)

// EnvPath is the part of an address that names an environment.
type EnvPath struct {
	AppPath
	Env string `path:"env" maxLength:"64"`
}

// SecretPath is the part of an address that names a secret.
type SecretPath struct {
	EnvPath
	Name string `path:"name" maxLength:"128" doc:"name of the variable"`
}

func (p SecretPath) place() secrets.Place { return secrets.Place{App: p.App, Env: p.Env, Name: p.Name} }

func (s *server) registerSecrets(api huma.API) {
	const path = "/apps/{app}/environments/{env}/secrets"
	huma.Register(api, operation(http.MethodGet, path, "secrets", "Names of secrets; values are never told"), handle(s, s.secretNames))
	huma.Register(api, operation(http.MethodPut, path+"/{name}", "setSecret", "Set a value; workloads that name it get a new version (R1)"), s.setSecret)
	huma.Register(api, operation(http.MethodDelete, path+"/{name}", "unsetSecret", "Forget a value"), s.unsetSecret)
}

func (s *server) secretNames(ctx context.Context, in *EnvPath) ([]client.Secret, error) {
	list, err := s.Secrets.List(ctx, in.App, in.Env)
	if err != nil {
		return nil, err
	}
	out := []client.Secret{}
	for _, x := range list {
		out = append(out, client.Secret{Name: x.Name, Set: x.SetAt})
	}
	return out, nil
}

func (s *server) setSecret(ctx context.Context, in *struct {
	SecretPath
	Body struct {
		Value string `json:"value" minLength:"1" maxLength:"65536"`
	}
},
) (*struct{}, error) {
	if err := s.Secrets.Set(ctx, in.place(), in.Body.Value, who(ctx), s.Controller.Now()); err != nil {
		return nil, s.problem(ctx, err)
	}
	if _, err := s.Controller.Refresh(ctx, in.App, in.Env, who(ctx)); err != nil {
		return nil, s.problem(ctx, err)
	}
	return nil, nil
}

func (s *server) unsetSecret(ctx context.Context, in *SecretPath) (*struct{}, error) {
	if err := s.Secrets.Unset(ctx, in.place()); err != nil {
		return nil, s.problem(ctx, err)
	}
	return nil, nil
}
