package sam

// Authorizer is one of an HttpApi that asks for a token ("HttpApiAuth" of SAM). One of
// another kind has no Issuer.
type Authorizer struct {
	At
	Name, Issuer     string
	Audience, Scopes []string
	Source           string // where the token is; empty for the header Authorization
}

// auth is what an HttpApi says of authorizers, over what Globals says for all.
func (r *reader) auth(api string) *value {
	global := r.root.field("Globals").field("HttpApi").field("Auth")
	own := r.resources[api].field("Properties").field("Auth")
	switch {
	case own == nil:
		return r.table(global)
	case global == nil:
		return r.table(own)
	}
	return r.table(r.merge(global, own))
}

// authorizer is the one that an event names, or its API for all; nil: there is none.
func (r *reader) authorizer(at At, api string, p *value) *Authorizer {
	own, all := r.table(p.field("Auth")), r.auth(api)
	name, usual := r.text(own.field("Authorizer")), r.text(all.field("DefaultAuthorizer"))
	if name == "" {
		name = usual
	}
	if name == "" || name == "NONE" {
		return nil
	}
	a := &Authorizer{At: at, Name: name}
	if d := r.table(r.table(all.field("Authorizers")).field(name)); d != nil {
		jwt := r.table(d.field("JwtConfiguration"))
		a.Issuer, a.Audience = r.text(jwt.field("issuer")), r.texts(jwt.field("audience"))
		a.Scopes, a.Source = r.texts(d.field("AuthorizationScopes")), r.text(d.field("IdentitySource"))
	}
	if scopes := own.field("AuthorizationScopes"); scopes != nil {
		a.Scopes = r.texts(scopes)
	}
	return a
}
