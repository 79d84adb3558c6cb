package daemon

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"titrate/internal/api"
	"titrate/internal/auth"
	"titrate/internal/functions"
	"titrate/internal/lambdaapi"
	"titrate/internal/rollout"
)

// openSigners reads the key that the keys of AWS's tools follow from.
func openSigners(dir folder, tokens *auth.Book, local string) (*auth.Signers, error) {
	key, err := loadKey(dir.at("keys", "aws.key"))
	if err != nil {
		return nil, err
	}
	return &auth.Signers{Book: tokens, Local: local, Key: key}, nil
}

// lambda is what AWS's tools call.
func (s *server) lambda(signers *auth.Signers, limit *auth.Limit, nodeToken string) http.Handler {
	return lambdaapi.New(lambdaapi.Config{
		Functions: &functions.Catalogue{Controller: s.controller, Store: s.store, Node: s.node}, Signers: signers, Limit: limit,
		From: func(r *http.Request) (netip.Addr, bool) {
			at, far, _ := api.From(r, nodeToken)
			return at, far
		},
		Obeyed: func(ctx context.Context, id, before int64) (rollout.Record, error) {
			return api.Obeyed(ctx, s.store, id, before)
		},
		Now: time.Now, Log: s.log,
	})
}
