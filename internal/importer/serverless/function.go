package serverless

import "slices"

// function reads one function with what the provider says for all.
func (d *reader) function(n *node) Function {
	provider := d.root.under("provider")
	f := Function{
		At: n.At, Key: n.key, Name: n.under("name").str(), Description: n.under("description").str(),
		Handler: n.under("handler").str(), Image: n.under("image").str(),
		Runtime: first(n, provider, "runtime"), Architecture: first(n, provider, "architecture"),
		Memory: number(n, provider, "memorySize", defaultMemory), Timeout: number(n, provider, "timeout", defaultTimeout),
		EphemeralStorage:    n.under("ephemeralStorageSize").num(),
		ReservedConcurrency: n.under("reservedConcurrency").num(), ProvisionedConcurrency: n.under("provisionedConcurrency").num(),
		MaxRetries: n.under("maximumRetryAttempts").num(), MaxEventAge: n.under("maximumEventAge").num(),
		OnError: d.target(n.under("onError")), OnFailure: d.target(n.under("destinations", "onFailure")), OnSuccess: d.target(n.under("destinations", "onSuccess")),
		Package: packaging(n.under("package")), URL: d.url(n.under("url")),
		Env: d.env(provider.under("environment"), n.under("environment")),
	}
	if f.Image == "" {
		f.Image = n.under("image", "uri").str()
	}
	if f.Image == "" { // one of provider.ecr.images
		f.Image = n.under("image", "name").str()
	}
	if f.Name == "" {
		f.Name = d.p.Service + "-" + d.p.Provider.Stage + "-" + n.key
	}
	layers := n.under("layers")
	if layers == nil {
		layers = provider.under("layers")
	}
	if layers != nil {
		for _, l := range layers.items {
			if !d.charge(l, 1) {
				break
			}
			if t := d.target(l); t != nil {
				f.Layers = append(f.Layers, *t)
			}
		}
	}
	f.Events = d.events(n.under("events"))
	f.Deployment = d.deployment(n)
	f.Alarms = d.alarms(n)
	return f
}

// first is what the function says, else the provider.
func first(n, provider *node, key string) string {
	all := provider.under(key).str() // it is carried by every function that says nothing
	if s := n.under(key).str(); s != "" {
		return s
	}
	return all
}

func number(n, provider *node, key string, otherwise int) int {
	all := provider.under(key).num()
	if i := n.under(key).num(); i != nil {
		return *i
	}
	if all != nil {
		return *all
	}
	return otherwise
}

// env puts the function's variables over the provider's. Null takes one away.
func (d *reader) env(sources ...*node) []Variable {
	var out []Variable
	at := map[string]int{} // in out
	for _, source := range sources {
		for _, section := range sections(source) {
			for _, n := range section.fields {
				if !d.charge(n, 1) {
					return nil
				}
				v := Variable{At: n.At, Name: n.key, Value: n.str()}
				if n.null() {
					if i, ok := at[n.key]; ok {
						out[i].Name = ""
						delete(at, n.key)
					}
					continue
				}
				if n.kind != scalar {
					if v.Of = d.target(n); v.Of == nil {
						continue // it stays to be listed
					}
				}
				if i, ok := at[n.key]; ok {
					out[i] = v
					continue
				}
				at[n.key] = len(out)
				out = append(out, v)
			}
		}
	}
	return slices.DeleteFunc(out, func(v Variable) bool { return v.Name == "" })
}
