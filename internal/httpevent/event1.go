package httpevent

import "encoding/json"

type event1 struct {
	Version        string              `json:"version"`
	Resource       string              `json:"resource"`
	Path           string              `json:"path"`
	Method         string              `json:"httpMethod"`
	Headers        map[string]string   `json:"headers"`
	MultiHeaders   map[string][]string `json:"multiValueHeaders"`
	Query          map[string]string   `json:"queryStringParameters"`
	MultiQuery     map[string][]string `json:"multiValueQueryStringParameters"`
	Context        context1            `json:"requestContext"`
	PathParameters map[string]string   `json:"pathParameters"`
	Variables      map[string]string   `json:"stageVariables"`
	Body           *string             `json:"body"`
	IsBase64       bool                `json:"isBase64Encoded"`
}

type context1 struct {
	AccountID    string         `json:"accountId"`
	APIID        string         `json:"apiId"`
	Authorizer   map[string]any `json:"authorizer,omitempty"`
	DomainName   string         `json:"domainName"`
	DomainPrefix string         `json:"domainPrefix"`
	ExtendedID   string         `json:"extendedRequestId"`
	Method       string         `json:"httpMethod"`
	Identity     identity       `json:"identity"`
	Path         string         `json:"path"`
	Protocol     string         `json:"protocol"`
	RequestID    string         `json:"requestId"`
	RequestTime  string         `json:"requestTime"`
	TimeEpoch    int64          `json:"requestTimeEpoch"`
	ResourceID   string         `json:"resourceId"`
	ResourcePath string         `json:"resourcePath"`
	Stage        string         `json:"stage"`
}

type identity struct {
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// Payload1 returns the event in payload format 1.0: each header and query
// parameter with its last value, and with all of them in the multi-value maps.
func Payload1(c Call) ([]byte, error) {
	r, path := c.Request, c.path()
	body, b64 := c.body()
	resource := c.Match.Path
	e := event1{
		Version: "1.0", Resource: resource, Path: path, Method: r.Method,
		Headers: map[string]string{}, MultiHeaders: headers(r),
		PathParameters: c.Match.Parameters, Variables: c.Variables, IsBase64: b64,
	}
	if len(c.Body) > 0 {
		e.Body = &body
	}
	for name, values := range e.MultiHeaders {
		if len(values) > 0 {
			e.Headers[name] = values[len(values)-1]
		}
	}
	if q := query(r.URL); len(q) > 0 {
		e.Query, e.MultiQuery = map[string]string{}, q
		for name, values := range q {
			e.Query[name] = values[len(values)-1]
		}
	}
	e.Context = context1{
		AccountID: c.Account, APIID: c.API, DomainName: r.Host, DomainPrefix: prefix(r.Host),
		ExtendedID: c.RequestID, Method: r.Method, Identity: identity{c.SourceIP, r.UserAgent()},
		Path: path, Protocol: r.Proto, RequestID: c.RequestID,
		RequestTime: c.Now.UTC().Format(timeLayout), TimeEpoch: c.Now.UnixMilli(),
		ResourceID: c.Match.Key, ResourcePath: resource, Stage: c.stage(),
	}
	if c.Authorizer != nil {
		e.Context.Authorizer = map[string]any{"claims": c.Authorizer.Claims, "scopes": c.Authorizer.Scopes}
	}
	return json.Marshal(e)
}
