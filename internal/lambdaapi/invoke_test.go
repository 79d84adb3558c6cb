package lambdaapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"titrate/internal/invocation"
	"titrate/internal/node"
	"titrate/internal/rollout"
)

func TestInvoke_asLambdaAnswers(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", over)
	k := i.local(t)
	a := i.ask(t, k, "POST", "/api-pickups-get/invocations", `{"id":7}`, "X-Amz-Log-Type", "Tail", "X-Amz-Client-Context", base64.StdEncoding.EncodeToString([]byte(`{"custom":1}`)))
	tail, _ := base64.StdEncoding.DecodeString(a.header.Get("X-Amz-Log-Result"))
	if a.status != 200 || a.body != `{"id":7}` || a.header.Get("X-Amz-Executed-Version") != "1" || string(tail) != "START\nEND\n" || a.header.Get("X-Amz-Function-Error") != "" ||
		len(a.header.Get("X-Amzn-Requestid")) != 36 {
		t.Errorf("%+v", a)
	}
	if last := i.machine.last(); last.Version != 0 || last.Kind != node.Sync || !last.Tail || last.ClientContext != `{"custom":1}` || last.ID != a.header.Get("X-Amzn-Requestid") {
		t.Errorf("%+v", last)
	}
	if a := i.ask(t, k, "POST", "/api-pickups-get/invocations", "", "X-Amz-Invocation-Type", "Event"); a.status != 202 || a.body != "" || i.machine.last().Kind != node.Event || string(i.machine.last().Payload) != "{}" {
		t.Errorf("%+v", a)
	}
	if a := i.ask(t, k, "POST", "/api-pickups-get/invocations", "", "X-Amz-Invocation-Type", "DryRun"); a.status != 204 || i.machine.last().Kind != node.DryRun {
		t.Errorf("%+v", a)
	}
	for kind, want := range map[string]node.InvocationKind{"Event": node.Event, "RequestResponse": node.Sync} {
		if a := i.ask(t, k, "POST", "/api-pickups-get/invocations?Qualifier=stable", "", "X-Amz-Invocation-Type", kind); a.status/100 != 2 || !i.machine.last().Stable || i.machine.last().Kind != want {
			t.Errorf("%s: %+v, %+v", kind, a, i.machine.last())
		}
	}
	for name, want := range map[string]rollout.Version{
		"api-pickups-get:live": 0, "api-pickups-get:1": 1, "api-pickups-get:$LATEST": 1, "000000000000:function:api-pickups-get:1": 1,
		"arn:aws:lambda:eu-central-1:123456789012:function:api-pickups-get": 0, "api/pickups/get": 0,
	} {
		if a := i.ask(t, k, "POST", "/"+url.PathEscape(name)+"/invocations", "{}"); a.status != 200 || i.machine.last().Version != want {
			t.Errorf("%s: %d %s, version %d", name, a.status, a.body, i.machine.last().Version)
		}
	}
}

func TestInvoke_whatIsWrongHasLambdasType(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", over)
	k := i.local(t)
	const path = "/api-pickups-get/invocations"
	refused(t, i.ask(t, k, "POST", path, `{"id":`), 400, "InvalidRequestContentException", "Could not parse request body into json")
	refused(t, i.ask(t, k, "POST", path, "", "X-Amz-Invocation-Type", "Later"), 400, "InvalidParameterValueException", "Later")
	refused(t, i.ask(t, k, "POST", path, "", "X-Amz-Log-Type", "All"), 400, "InvalidParameterValueException")
	refused(t, i.ask(t, k, "POST", path, "", "X-Amz-Client-Context", "e30"), 400, "InvalidRequestContentException")
	refused(t, i.ask(t, k, "POST", path, `"`+strings.Repeat("x", node.MaxPayload)+`"`), 413, "RequestTooLargeException", "6291456")
	refused(t, i.ask(t, k, "POST", "/wed/invocations", ""), 404, "ResourceNotFoundException", "Function not found: arn:aws:lambda:local:000000000000:function:wed", "titrate fn ls")
	refused(t, i.ask(t, k, "POST", "/site/invocations", ""), 404, "ResourceNotFoundException", "is a service")
	refused(t, i.ask(t, k, "POST", path+"?Qualifier=9", ""), 404, "ResourceNotFoundException", "no version v9")
	refused(t, i.ask(t, k, "POST", path+"?Qualifier=blue", ""), 404, "ResourceNotFoundException", "function:api-pickups-get:blue", "live, which is the only alias")
	refused(t, i.ask(t, k, "POST", "/api-pickups-get:1/invocations?Qualifier=2", ""), 400, "InvalidParameterValueException", "derived qualifier")
	refused(t, i.ask(t, k, "POST", "/a%20b/invocations", ""), 400, "InvalidParameterValueException")
	refused(t, i.ask(t, k, "PATCH", "/api-pickups-get", ""), 404, "UnknownOperationException", "PATCH")

	for _, c := range []struct {
		failure invocation.Failure
		status  int
		code    string
	}{
		{invocation.Throttled, 429, "TooManyRequestsException"},
		{invocation.Stopped, 502, "ResourceNotReadyException"},
	} {
		i.machine.answer = func(node.Invocation) (node.Invoked, error) { return node.Invoked{Failure: c.failure, Version: 1}, nil }
		a := i.ask(t, k, "POST", path, "")
		refused(t, a, c.status, c.code)
		if c.status == 429 && (a.header.Get("Retry-After") == "" || a.json(t)["Reason"] != "ReservedFunctionConcurrentInvocationLimitExceeded") {
			t.Errorf("%+v", a)
		}
	}
	i.machine.answer = func(node.Invocation) (node.Invoked, error) { return node.Invoked{}, node.ErrEvent }
	refused(t, i.ask(t, k, "POST", path, "{}", "X-Amz-Invocation-Type", "Event"), 413, "RequestTooLargeException", "256 KiB")
	i.machine.answer = func(node.Invocation) (node.Invoked, error) { return node.Invoked{}, node.ErrNotReady }
	refused(t, i.ask(t, k, "POST", path, ""), 502, "ResourceNotReadyException")
	i.machine.answer = func(node.Invocation) (node.Invoked, error) {
		return node.Invoked{Failure: invocation.Timeout, Version: 1, Payload: []byte(`{"errorType":"Sandbox.Timeout"}`)}, nil
	}
	if a := i.ask(t, k, "POST", path, ""); a.status != 200 || a.header.Get("X-Amz-Function-Error") != "Unhandled" || a.body != `{"errorType":"Sandbox.Timeout"}` {
		t.Errorf("%+v", a)
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"web", "web:live", "arn:aws:lambda:eu-central-1:123456789012:function:web:$LATEST", "000000000000:function:web", ":", "a/b"} {
		f.Add(s, "1")
	}
	f.Fuzz(func(t *testing.T, name, qualifier string) {
		r, err := http.NewRequest(http.MethodGet, "http://localhost/?"+url.Values{"Qualifier": {qualifier}}.Encode(), nil)
		if err != nil {
			t.Fatal(err) // the qualifier is escaped
		}
		r.SetPathValue("name", name)
		n, err := (&call{r: r}).named()
		if err == nil && (n.name == "" || strings.ContainsAny(n.name, "/:. ") || qualifier != "" && n.qualifier != qualifier) {
			t.Errorf("%q %q: %+v", name, qualifier, n)
		}
	})
}
