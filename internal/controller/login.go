package controller

import (
	"context"
	"fmt"

	"titrate/internal/manifest"
)

// logins returns what the registries of an app's images are shown: the password of
// each is the secret of that name in the first of the environments that has it.
func (c *Controller) logins(ctx context.Context, app manifest.App, envs []manifest.Environment) (map[string]Login, error) {
	out := map[string]Login{}
	for _, host := range sortedKeys(app.Registries) {
		r := app.Registries[host]
		var missing error
		for _, e := range envs {
			digests, err := c.digests(ctx, app.Name, e.Name, []string{r.Password})
			if err != nil {
				missing = err
				continue
			}
			values, err := c.Vault.Values(ctx, app.Name, e.Name, digests)
			if err != nil {
				return nil, fmt.Errorf("read the password of %s: %w", host, err)
			}
			out[host], missing = Login{Username: r.Username, Password: values[r.Password]}, nil
			break
		}
		if missing != nil {
			return nil, missing
		}
	}
	return out, nil
}
