package controller

import (
	"context"
	"fmt"
	"sync"

	"titrate/internal/rollout"
)

// secretCache holds the values of the versions' secrets, so that the wanted world
// can be derived without asking anyone. They are never stored or logged.
type secretCache struct {
	mu     sync.RWMutex
	values map[secretKey]string
}

// secretKey names a value by its digest, so that each version keeps the value
// that it was made with.
type secretKey struct{ app, env, name, digest string }

// fill learns the values of the versions' secrets.
func (s *secretCache) fill(ctx context.Context, vault Vault, versions []rollout.VersionRecord) error {
	for _, v := range versions {
		missing := map[string]string{}
		for name, digest := range v.Config.Secrets {
			if _, known := s.value(v.Key, name, digest); !known {
				missing[name] = digest
			}
		}
		if len(missing) == 0 {
			continue
		}
		if vault == nil {
			return fmt.Errorf("%s %s needs secrets, and there is no vault", v.Key, v.Number)
		}
		values, err := vault.Values(ctx, v.Key.App, v.Key.Env, missing)
		if err != nil {
			return fmt.Errorf("secrets of %s %s: %w", v.Key, v.Number, err)
		}
		s.learn(v.Key, missing, values)
	}
	return nil
}

func (s *secretCache) learn(k rollout.Key, digests, values map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[secretKey]string{}
	}
	for name, value := range values {
		s.values[secretKey{k.App, k.Env, name, digests[name]}] = value
	}
}

func (s *secretCache) value(k rollout.Key, name, digest string) (string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	value, ok := s.values[secretKey{k.App, k.Env, name, digest}]
	return value, ok
}

// of returns the secrets of a version, or nil when it has none.
func (s *secretCache) of(v rollout.VersionRecord) map[string]string {
	return s.among(v.Key, v.Config.Secrets)
}

// among returns the values of digests by name, or nil when there are none.
func (s *secretCache) among(k rollout.Key, digests map[string]string) map[string]string {
	var values map[string]string
	for name, digest := range digests {
		if value, ok := s.value(k, name, digest); ok {
			if values == nil {
				values = map[string]string{}
			}
			values[name] = value
		}
	}
	return values
}
