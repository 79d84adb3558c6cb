package sam

import "regexp"

// nameWithin are the resources that a text names.
var nameWithin = regexp.MustCompile(`\$\{([A-Za-z0-9]+)(?:\.\w+)?\}`)

// functionWithin is the function that a longer text names, as the addresses of
// integrations do, also by its alias or version.
func (r *reader) functionWithin(v *value) string {
	got := r.resolve(v)
	if got == nil || got.kind != scalar {
		return ""
	}
	for _, m := range nameWithin.FindAllStringSubmatch(got.text, -1) {
		named := r.resources[m[1]]
		switch kindOf(named) {
		case "AWS::Lambda::Function", "AWS::Serverless::Function":
			got.take()
			return m[1]
		case "AWS::Lambda::Alias", "AWS::Lambda::Version":
			got.take()
			return r.functionOf(named.field("Properties").field("FunctionName"))
		}
	}
	return ""
}

// route gives an AWS::ApiGatewayV2::Route to the function of its integration.
func (r *reader) route(name string, v, p *value) bool {
	target := r.resolve(p.field("Target"))
	if target == nil || target.kind != scalar || p.field("RouteKey") == nil {
		return false
	}
	m := nameWithin.FindStringSubmatch(target.text)
	if m == nil || kindOf(r.resources[m[1]]) != "AWS::ApiGatewayV2::Integration" {
		return false
	}
	integration := r.resources[m[1]].field("Properties")
	id := r.functionWithin(integration.field("IntegrationUri"))
	if id == "" {
		return false
	}
	target.take()
	r.resources[m[1]].field("Type").take()
	e := Event{At: r.at(v), Name: name, Kind: HTTPAPI, API: r.reference(p.field("ApiId")), Payload: r.text(integration.field("PayloadFormatVersion"))}
	e.Method, e.Path = routeKey(r.text(p.field("RouteKey")))
	r.pending(id, e)
	return true
}

var keyForm = regexp.MustCompile(`^([A-Za-z]+) +(/.*)$`)

// routeKey takes "GET /path" apart; $default is every method and path.
func routeKey(key string) (method, path string) {
	if m := keyForm.FindStringSubmatch(key); m != nil {
		return m[1], m[2]
	}
	return "", ""
}

// method gives an AWS::ApiGateway::Method to the function of its integration.
func (r *reader) method(name string, v, p *value) bool {
	id := r.functionWithin(p.field("Integration").field("Uri"))
	if id == "" {
		return false
	}
	e := Event{At: r.at(v), Name: name, Kind: RESTAPI, API: r.reference(p.field("RestApiId")), Method: r.text(p.field("HttpMethod"))}
	at := r.resolve(p.field("ResourceId"))
	for range 32 { // parts of a path
		if at == nil || at.kind != scalar {
			return false
		}
		at.take()
		m := nameForm.FindStringSubmatch(at.text)
		if m == nil || kindOf(r.resources[m[1]]) != "AWS::ApiGateway::Resource" {
			break // the root
		}
		part := r.resources[m[1]]
		part.field("Type").take()
		e.Path = "/" + r.text(part.field("Properties").field("PathPart")) + e.Path
		at = r.resolve(part.field("Properties").field("ParentId"))
	}
	if e.Path == "" {
		e.Path = "/"
	}
	r.pending(id, e)
	return true
}
