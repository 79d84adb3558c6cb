package manifest

import (
	"errors"
	"fmt"
	"strings"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// address reads a variable that holds where another service is reached:
// { service: NAME, as: url, path: /v1 }.
func (r *reader) address(n *yaml.Node, at string) (rollout.Address, bool) {
	before := len(r.problems)
	l := r.table(n, at, inAddress)
	a := rollout.Address{
		Service: pick("", "service", l), As: rollout.AddressForm(pick(string(rollout.AddressURL), "as", l)), Path: pick("", "path", l),
	}
	if a.Service == "" {
		if len(r.problems) == before { // or else that is why
			r.fault(n, Problem{Code: codeAddress, Path: at, Message: at + " does not say which service's address it holds", Hint: "add service: NAME"})
		}
		return a, false
	}
	if e, ok := l["path"]; ok && a.As != rollout.AddressURL {
		r.fault(e.key, Problem{Code: codeAddress, Path: e.path, Message: fmt.Sprintf("as: %s has no path", a.As), Hint: "remove path, or write as: url"})
	}
	return a, true // a wrong path does not keep it from being asked whether the service is there
}

// addressKeys are the keys of a variable that holds an address.
func addressKeys() []Key {
	return []Key{
		{
			Name: "service", Places: inAddress, kind: workloadName(), Example: "service: catalog",
			Doc: "The service or function of this app whose address the variable holds. Requests to it pass the gateway: they are split by weight and measured too.",
		},
		{
			Name: "as", Places: inAddress, kind: choice([]string{"url", "hostport", "host", "port"}, nil), Default: "`url`", Example: "as: hostport",
			Doc: "How the address is written: url is http://HOST:PORT and the path; hostport, host and port are its parts.",
		},
		{
			Name: "path", Places: inAddress, Example: "path: /v1", Doc: "What the URL ends with.",
			kind: text(codeAddress, "a path: /v1", map[string]any{"pattern": `^/[^\s?#]*$`}, func(s string) error {
				if !strings.HasPrefix(s, "/") || strings.ContainsAny(s, " \t\r\n?#") {
					return errors.New("a path begins with a slash, and holds no space, ? or #")
				}
				return nil
			}),
		},
	}
}

// addressed is a variable that holds an address, and where it stands.
type addressed struct {
	at      pair
	address rollout.Address
}

// checkAddresses reports addresses, of the environment resolved last, that cannot be.
func (f *file) checkAddresses(env Environment) {
	for _, a := range f.addressed {
		p := Problem{Code: codeAddress, Path: a.at.path}
		switch s, ok := env.Service(a.address.Service); {
		case !ok:
			var known []string
			for _, o := range env.Services {
				known = append(known, o.Name)
			}
			p.Message, p.Hint = "there is no service "+f.orFunction()+quote(a.address.Service), didYouMean(a.address.Service, known)
		case s.Worker:
			p.Message, p.Hint = s.Name+" is a worker in "+env.Name+": it takes no requests", "name a service that does"
		default:
			continue
		}
		f.r.fault(a.at.value, p)
	}
	f.addressed = nil
}

// writeAddress is the address as the manifest has it.
func writeAddress(a rollout.Address) string {
	return flow(field{"service", a.Service}, field{"as", string(a.As)}, field{"path", optional(a.Path)})
}
