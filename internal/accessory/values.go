package accessory

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"titrate/internal/rollout"
)

// variables are what a program of the user's own choice is given: its env, with the
// password filled in, its secrets, and PASSWORD.
func (p Place) variables() []string {
	all := maps.Clone(p.Secrets)
	if all == nil {
		all = map[string]string{}
	}
	for name, value := range p.Spec.Env {
		all[name] = rollout.Fill(value, map[string]string{"PASSWORD": p.Password})
	}
	all["PASSWORD"] = p.Password
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.ContainsRune(all[name], 0) { // exec would refuse the whole environment
			out = append(out, name+"="+all[name])
		}
	}
	return out
}

// url fills in the connection string of the spec. What is secret is escaped, as in a URL
// it must be.
func (p Place) url(host string) string {
	values := map[string]string{}
	for _, kv := range p.variables() {
		name, value, _ := strings.Cut(kv, "=")
		values[name] = strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	}
	values["HOST"], values["PORT"], _ = net.SplitHostPort(host)
	return rollout.Fill(p.Spec.URL, values)
}
