package httpevent

import (
	"encoding/json"
	"net/url"
	"strings"
)

const timeLayout = "02/Jan/2006:15:04:05 -0700"

type event2 struct {
	Version        string            `json:"version"`
	RouteKey       string            `json:"routeKey"`
	RawPath        string            `json:"rawPath"`
	RawQuery       string            `json:"rawQueryString"`
	Cookies        []string          `json:"cookies,omitempty"`
	Headers        map[string]string `json:"headers"`
	Query          map[string]string `json:"queryStringParameters,omitempty"`
	Context        context2          `json:"requestContext"`
	Body           string            `json:"body,omitempty"`
	PathParameters map[string]string `json:"pathParameters,omitempty"`
	IsBase64       bool              `json:"isBase64Encoded"`
	Variables      map[string]string `json:"stageVariables,omitempty"`
}

type context2 struct {
	AccountID    string       `json:"accountId"`
	APIID        string       `json:"apiId"`
	Authorizer   *authorizer2 `json:"authorizer,omitempty"`
	DomainName   string       `json:"domainName"`
	DomainPrefix string       `json:"domainPrefix"`
	HTTP         contextHTTP  `json:"http"`
	RequestID    string       `json:"requestId"`
	RouteKey     string       `json:"routeKey"`
	Stage        string       `json:"stage"`
	Time         string       `json:"time"`
	TimeEpoch    int64        `json:"timeEpoch"`
}

type contextHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

type authorizer2 struct {
	JWT jwtContext `json:"jwt"`
}

type jwtContext struct {
	Claims map[string]string `json:"claims"`
	Scopes []string          `json:"scopes"`
}

// Payload2 returns the event in payload format 2.0: header names in lower
// case, repeated headers and query parameters joined by commas, cookies apart.
func Payload2(c Call) ([]byte, error) {
	r, path := c.Request, c.path()
	body, b64 := c.body()
	e := event2{
		Version: "2.0", RouteKey: c.Match.Key, RawPath: path, RawQuery: r.URL.RawQuery,
		Headers: map[string]string{}, Query: map[string]string{},
		Body: body, IsBase64: b64, PathParameters: c.Match.Parameters, Variables: c.Variables,
	}
	for name, values := range headers(r) {
		if name != "Cookie" {
			e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
			continue
		}
		for _, line := range values {
			for cookie := range strings.SplitSeq(line, ";") {
				if cookie = strings.TrimSpace(cookie); cookie != "" {
					e.Cookies = append(e.Cookies, cookie)
				}
			}
		}
	}
	for name, values := range query(r.URL) {
		e.Query[name] = strings.Join(values, ",")
	}
	e.Context = context2{
		AccountID: c.Account, APIID: c.API, DomainName: r.Host, DomainPrefix: prefix(r.Host),
		HTTP:      contextHTTP{r.Method, path, r.Proto, c.SourceIP, r.UserAgent()},
		RequestID: c.RequestID, RouteKey: c.Match.Key, Stage: c.stage(),
		Time: c.Now.UTC().Format(timeLayout), TimeEpoch: c.Now.UnixMilli(),
	}
	if c.Authorizer != nil {
		e.Context.Authorizer = &authorizer2{jwtContext(*c.Authorizer)}
	}
	return json.Marshal(e)
}

// path returns the path as the function sees it: behind the stage's name,
// unless the stage is $default.
func (c Call) path() string {
	path := c.Request.URL.Path
	if path == "" {
		path = "/"
	}
	if stage := c.stage(); stage != "$default" {
		return "/" + stage + path
	}
	return path
}

// query parses the query; pairs that cannot be parsed are left to the raw one.
func query(u *url.URL) url.Values {
	values, _ := url.ParseQuery(u.RawQuery)
	return values
}

func prefix(host string) string {
	first, _, _ := strings.Cut(host, ".")
	return first
}
