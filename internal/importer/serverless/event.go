package serverless

import "strings"

// events reads what calls a function. Kinds that are not carried stay to be listed.
func (d *reader) events(n *node) []Event {
	if n == nil {
		return nil
	}
	var out []Event
	for _, item := range n.items {
		for _, f := range item.fields {
			if e := d.event(f); e != nil {
				out = append(out, *e)
			}
		}
	}
	return out
}

func (d *reader) event(n *node) *Event {
	e := &Event{At: n.At, Kind: n.key}
	if n.null() {
		return nil
	}
	switch n.key {
	case KindHTTP, KindHTTPAPI:
		e.HTTP = d.http(n)
	case KindSchedule:
		e.Schedule = schedule(n)
	case "eventBridge":
		e.Kind = KindSchedule
		if e.Schedule = schedule(n); e.Schedule != nil {
			break
		}
		return nil
	case KindSQS, KindStream:
		e.Source = d.source(n)
	case KindSNS:
		e.Topic = d.subscription(n)
	case KindS3:
		e.Bucket = d.bucket(n)
	default:
		return nil
	}
	if e.HTTP == nil && e.Schedule == nil && e.Source == nil && e.Topic == nil && e.Bucket == nil {
		return nil
	}
	return e
}

// http reads "GET path", or a mapping.
func (d *reader) http(n *node) *HTTP {
	h := &HTTP{Payload: "1.0"}
	if n.key == KindHTTPAPI {
		h.Payload = "2.0"
		if p := d.p.Provider.HTTPAPI; p != nil && p.Payload != "" {
			h.Payload = p.Payload
		}
	}
	switch n.kind {
	case scalar:
		method, path, ok := strings.Cut(strings.TrimSpace(n.text), " ")
		if !ok && method != "*" {
			n.odd = "it is not METHOD and path"
			return nil
		}
		n.str()
		h.Method, h.Path = method, strings.TrimSpace(path)
	case table:
		h.Method, h.Path = n.under("method").str(), n.under("path").str()
		h.CORS, h.Authorizer = cors(n.under("cors")), d.authorizer(n.under("authorizer"))
		if yes := n.under("private").truth(); yes != nil {
			h.Private = *yes
		}
	case list:
		return nil
	}
	h.Method = strings.ToUpper(h.Method)
	if h.Method == "" || h.Method == "ANY" {
		h.Method = "*"
	}
	if h.Path == "" && n.kind == scalar || h.Path == "*" {
		h.Path = "*"
	} else if !strings.HasPrefix(h.Path, "/") {
		h.Path = "/" + h.Path
	}
	return h
}

func cors(n *node) *CORS {
	if n == nil || n.kind == list {
		return nil
	}
	if n.kind == scalar {
		if yes := n.truth(); yes == nil || !*yes {
			return nil
		}
		return &CORS{Default: true}
	}
	c := &CORS{Credentials: n.under("allowCredentials").truth(), MaxAge: n.under("maxAge").num()}
	for _, key := range []string{"origin", "origins", "allowedOrigins"} {
		c.Origins = append(c.Origins, n.under(key).strs()...)
	}
	for _, key := range []string{"headers", "allowedHeaders"} {
		c.Headers = append(c.Headers, n.under(key).strs()...)
	}
	for _, key := range []string{"methods", "allowedMethods"} {
		c.Methods = append(c.Methods, n.under(key).strs()...)
	}
	c.Expose = n.under("exposedResponseHeaders").strs()
	return c
}

func (d *reader) authorizer(n *node) *Authorizer {
	if n.null() || n.kind == list {
		return nil
	}
	if n.kind == scalar {
		a := &Authorizer{At: n.At, Name: n.str()}
		if strings.HasPrefix(a.Name, "arn:") {
			a.ARN, a.Name = d.target(n), ""
		}
		return a
	}
	return &Authorizer{
		At: n.At, Name: n.under("name").str(), Type: n.under("type").str(), ARN: d.target(n.under("arn")),
		Issuer: n.under("issuerUrl").str(), Audience: n.under("audience").strs(), IdentitySource: n.under("identitySource").strs(),
		Scopes: n.under("scopes").strs(), Function: n.under("functionName").str(), ResultTTL: n.under("resultTtlInSeconds").num(),
	}
}

func (d *reader) url(n *node) *URL {
	if n.null() || n.kind == list {
		return nil
	}
	if n.kind == scalar {
		if yes := n.truth(); yes == nil || !*yes {
			return nil
		}
		return &URL{At: n.At}
	}
	return &URL{At: n.At, Authorizer: n.under("authorizer").str(), InvokeMode: n.under("invokeMode").str(), CORS: cors(n.under("cors"))}
}

// schedule reads a timer; nil: there is no rate.
func schedule(n *node) *Schedule {
	switch {
	case n.kind == scalar && n.key == KindSchedule:
		return &Schedule{Rates: []string{n.str()}}
	case n.kind != table:
		return nil
	}
	rates := n.under("rate")
	if n.key == "eventBridge" {
		rates = n.under("schedule")
	}
	s := &Schedule{Rates: rates.strs()}
	if len(s.Rates) == 0 {
		return nil
	}
	s.Enabled, s.Name, s.Description, s.Timezone = n.under("enabled").truth(), n.under("name").str(), n.under("description").str(), n.under("timezone").str()
	if in := n.under("input"); in != nil {
		s.Input = in.json()
	}
	return s
}

// source reads a queue or a stream.
func (d *reader) source(n *node) *Source {
	if n.kind == scalar {
		return &Source{From: *d.target(n), Type: streamType(n)}
	}
	from := d.target(n.under("arn"))
	if from == nil {
		return nil
	}
	s := &Source{
		From: *from, Type: n.under("type").str(), Enabled: n.under("enabled").truth(),
		BatchSize: n.under("batchSize").num(), MaxConcurrency: n.under("maximumConcurrency").num(),
		Start: n.under("startingPosition").str(), Retries: n.under("maximumRetryAttempts").num(), MaxAge: n.under("maximumRecordAgeInSeconds").num(),
		Bisect: n.under("bisectBatchOnFunctionError").truth(), Parallel: n.under("parallelizationFactor").num(),
	}
	for _, key := range []string{"maximumBatchingWindow", "batchWindow"} {
		if i := n.under(key).num(); i != nil {
			s.Window = i
		}
	}
	if mode := n.under("functionResponseType"); mode != nil && mode.text == "ReportBatchItemFailures" {
		mode.str()
		s.PartialResponse = true
	}
	if f := n.under("filterPatterns"); f != nil {
		s.Filters = f.json()
	}
	return s
}

// streamType is told by the ARN's service.
func streamType(n *node) string {
	if parts := strings.Split(n.text, ":"); n.key == KindStream && len(parts) > 2 && parts[0] == "arn" {
		return parts[2]
	}
	return ""
}

func (d *reader) subscription(n *node) *TopicSub {
	if n.kind == scalar {
		return &TopicSub{Topic: *d.target(n)}
	}
	topic := d.target(n.under("arn"))
	if name := n.under("topicName").str(); name != "" {
		if topic == nil {
			topic = &Target{}
		}
		topic.Name = name
	}
	if topic == nil {
		return nil
	}
	s := &TopicSub{Topic: *topic, DisplayName: n.under("displayName").str(), FilterScope: n.under("filterPolicyScope").str()}
	if f := n.under("filterPolicy"); f != nil {
		s.Filter = f.json()
	}
	return s
}

func (d *reader) bucket(n *node) *Bucket {
	if n.kind == scalar {
		return &Bucket{Bucket: *d.target(n)}
	}
	b := d.target(n.under("bucket"))
	if b == nil {
		return nil
	}
	out := &Bucket{Bucket: *b, Event: n.under("event").str(), Existing: n.under("existing").truth()}
	if rules := n.under("rules"); rules != nil {
		for _, rule := range rules.items {
			out.Prefix = append(out.Prefix, rule.under("prefix").strs()...)
			out.Suffix = append(out.Suffix, rule.under("suffix").strs()...)
		}
	}
	return out
}
