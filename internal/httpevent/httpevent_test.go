package httpevent

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

func call(t *testing.T) Call {
	t.Helper()
	r := httptest.NewRequest("POST", "/pickups/42?a=1&a=2", nil)
	r.Header.Add("Cookie", "x=1; y=2")
	r.Header.Add("X-Many", "one")
	r.Header.Add("X-Many", "two")
	r.Header.Set("Connection", "X-Hop")
	r.Header.Set("X-Hop", "gone")
	r.Header.Set("Content-Type", "application/json")
	return Call{
		Request: r, Body: []byte(`{"n":1}`), SourceIP: "192.0.2.1", Now: time.Unix(1700000000, 0),
		Match:      Match{Key: "POST /pickups/{id}", Path: "/pickups/{id}", Parameters: map[string]string{"id": "42"}},
		Authorizer: &Authorized{Claims: map[string]string{"sub": "me"}, Scopes: []string{"read"}},
	}
}

func TestPayload2_isUnderstoodByRealFunctions(t *testing.T) {
	t.Parallel()
	data, err := Payload2(call(t))
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	if e.RouteKey != "POST /pickups/{id}" || e.RawPath != "/pickups/42" || e.RawQueryString != "a=1&a=2" ||
		e.QueryStringParameters["a"] != "1,2" || e.Headers["x-many"] != "one,two" || len(e.Cookies) != 2 ||
		e.PathParameters["id"] != "42" || e.Body != `{"n":1}` || e.IsBase64Encoded || e.Headers["x-hop"] != "" ||
		e.RequestContext.HTTP.Method != "POST" || e.RequestContext.Authorizer.JWT.Claims["sub"] != "me" {
		t.Fatalf("event: %s", data)
	}
}

func TestPayload1_isUnderstoodByRealFunctions(t *testing.T) {
	t.Parallel()
	c := call(t)
	c.Request.Header.Set("Content-Type", "image/png")
	data, err := Payload1(c)
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	if e.Resource != "/pickups/{id}" || e.QueryStringParameters["a"] != "2" || len(e.MultiValueQueryStringParameters["a"]) != 2 ||
		len(e.MultiValueHeaders["X-Many"]) != 2 || !e.IsBase64Encoded || e.RequestContext.Identity.SourceIP != "192.0.2.1" {
		t.Fatalf("event: %s", data)
	}
}

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in     string
		one    bool
		status int // 0: refused
		body   string
	}{
		{`{"a":1}`, false, 200, `{"a":1}`},
		{`"hi"`, false, 200, "hi"},
		{`{"statusCode":201,"body":"aGk=","isBase64Encoded":true}`, false, 201, "hi"},
		{`{"statusCode":"201","body":"hi"}`, false, 201, "hi"},
		{`{"statusCode":"201","body":"hi"}`, true, 201, "hi"},
		{`{"statusCode":"2 1"}`, false, 0, ""},
		{`{"statusCode":99}`, false, 0, ""},
		{`{"statusCode":600}`, true, 0, ""},
		{`{"statusCode":200,"headers":{"a b":"c"}}`, false, 0, ""},
		{`{"statusCode":200,"headers":{"a":"c\r\nd"}}`, false, 0, ""},
		{`{"statusCode":200,"cookies":["a\n"]}`, false, 0, ""},
		{`{"body":"x"}`, true, 0, ""},
		{`null`, true, 0, ""},
		{``, false, 0, ""},
	} {
		parse := ParseAnswer2
		if c.one {
			parse = ParseAnswer1
		}
		a, err := parse([]byte(c.in))
		var refused *AnswerError
		if c.status == 0 && !errors.As(err, &refused) || c.status != 0 && (err != nil || a.Status != c.status || string(a.Body) != c.body) {
			t.Errorf("%s: %+v, %v", c.in, a, err)
		}
	}
}

func TestRouter_keepsThePrecedenceOfAPIGateway(t *testing.T) {
	t.Parallel()
	r, err := NewRouter([]Route{{Key: "GET /pets/dog/1"}, {Key: "GET /pets/dog/{id}"}, {Key: "GET /pets/{proxy+}"}, {Key: "ANY /{proxy+}"}, {Key: "$default"}})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"GET /pets/dog/1": "GET /pets/dog/1", "GET /pets/dog/2": "GET /pets/dog/{id}", "GET /pets/cat/1": "GET /pets/{proxy+}", "POST /test/5": "ANY /{proxy+}",
	} {
		method, path, _ := strings.Cut(in, " ")
		if m, _ := r.Match(method, path); m.Key != want {
			t.Errorf("%s: %q, want %q", in, m.Key, want)
		}
	}
}

func TestRouter_namesBothPlacesOfADuplicate(t *testing.T) {
	t.Parallel()
	_, err := NewRouter([]Route{{Key: "GET /a/{x}", Place: "one.yaml:3"}, {Key: "GET /a/{y}", Place: "two.yaml:9"}})
	if err == nil || !strings.Contains(err.Error(), "one.yaml:3") || !strings.Contains(err.Error(), "two.yaml:9") {
		t.Fatal(err)
	}
}

func TestByPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"api/pickups/[id]/get": "GET /pickups/{id}", "api/files/[...rest]/any": "ANY /files/{rest+}", "api/get": "GET /",
		"api/pickups": "", "api/[...a]/b/get": "", "web/get": "",
	} {
		if got, err := ByPath("api", in); got != want || (want == "") != (err != nil) {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
}

func TestCORS_answersThePreflightItself(t *testing.T) {
	t.Parallel()
	c := CORS{Origins: []string{"https://*.example.com"}, Methods: []string{"GET"}, MaxAge: time.Minute, Credentials: true}
	r := httptest.NewRequest("OPTIONS", "/", nil)
	r.Header.Set("Access-Control-Request-Method", "GET")
	r.Header.Set("Origin", "https://a.example.com")
	a, ok := c.Preflight(r)
	if !ok || a.Status != 204 || a.Header.Get("Access-Control-Allow-Origin") != "https://a.example.com" || a.Header.Get("Access-Control-Max-Age") != "60" {
		t.Fatal(a, ok)
	}
	h := http.Header{"Access-Control-Allow-Origin": {"*"}}
	r.Header.Set("Origin", "https://evil.test")
	if c.Apply(r, h); h.Get("Access-Control-Allow-Origin") != "" {
		t.Fatal(h)
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"statusCode":200,"headers":{"a":1},"body":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func([]byte) (Answer, error){ParseAnswer1, ParseAnswer2, ParsePrelude} {
			if a, err := parse(data); err == nil && (a.Status < 100 || a.Status > 599) {
				t.Fatal(a.Status)
			}
		}
	})
}

func FuzzRouter(f *testing.F) {
	f.Add("GET /a/{x}", "GET /{p+}", "/a/b")
	f.Fuzz(func(t *testing.T, one, two, path string) {
		if r, err := NewRouter([]Route{{Key: one}, {Key: two}}); err == nil {
			r.Match("GET", path)
		}
	})
}
