package runtimes_test

import (
	"strings"
	"testing"
)

const pythonMain = `
import sys, logging, os, decimal
class Late(ValueError): pass
def handler(event, context):
    kind = event.get("kind")
    if kind == "raise":
        raise Late("too late")
    if kind == "set":
        return {1, 2}
    if kind == "nan":
        return float("nan")
    if kind == "decimal":
        return [decimal.Decimal("3"), decimal.Decimal("1.5")]
    if kind == "exit":
        sys.exit(3)
    print("printed")
    logging.getLogger().warning("warned")
    return {"event": event, "id": context.aws_request_id, "fn": context.function_name, "v": context.function_version,
        "arn": context.invoked_function_arn, "mem": context.memory_limit_in_mb, "group": context.log_group_name,
        "left": context.get_remaining_time_in_millis() > 1000, "title": context.client_context.client.app_title,
        "custom": context.client_context.custom, "who": context.identity.cognito_identity_id, "trace": os.environ["_X_AMZN_TRACE_ID"]}
`

func TestPython_answersAndTellsItsContext(t *testing.T) {
	t.Parallel()
	r := find(t, "python3.9")
	for _, handler := range []string{"pkg.sub.handler", "pkg/sub.handler"} {
		t.Run(strings.ReplaceAll(handler, "/", "-"), func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			p := start(t, h, r, handler, map[string]string{"pkg/sub.py": pythonMain})
			for _, id := range []string{"r1", "r2"} {
				got := h.invoke(t, p, id, `{"n": "ü"}`)
				if got.path != "invocation/"+id+"/response" {
					t.Fatalf("posted to %s: %s", got.path, got.body)
				}
				has(t, "answer", got.body, `"id": "`+id+`"`, `"fn": "f"`, `"v": "7"`, `"arn": "arn:aws:lambda:here:1:function:f"`, `"mem": "128"`,
					`"group": "/aws/lambda/f"`, `"left": true`, `"title": "shop"`, `"custom": {"a": 1}`, `"who": "who"`, `"trace": "Root=1"`)
				has(t, "log", p.out.String(), "printed\n", "[WARNING]\t", "\t"+id+"\twarned\n")
			}
		})
	}
}

func TestPython_tellsOfErrors(t *testing.T) {
	t.Parallel()
	r, h := find(t, "python3"), newHost(t)
	p := start(t, h, r, "main.handler", map[string]string{"main.py": pythonMain})
	for _, c := range []struct{ body, errorType, want string }{
		{`{"kind":"raise"}`, "Late", `"errorMessage": "too late"`},
		{`{"kind":"set"}`, "Runtime.MarshalError", `Object of type set is not JSON serializable`},
		{`{"kind":"nan"}`, "Runtime.MarshalError", `Unable to marshal response`},
		{`{"kind":`, "Runtime.UnmarshalError", `Unable to unmarshal input`},
		{`{"kind":"exit"}`, "SystemExit", `"errorMessage": "3"`},
	} {
		got := h.invoke(t, p, "r", c.body)
		if got.path != "invocation/r/error" || got.header.Get("Lambda-Runtime-Function-Error-Type") != c.errorType {
			t.Errorf("%s: %+v", c.body, got)
		}
		has(t, c.body, got.body, c.want, `"errorType": "`+c.errorType+`"`, `"requestId": "r"`, `"stackTrace": [`)
		if c.errorType == "Late" {
			has(t, "trace", got.body, "main.py", "in handler")
			if strings.Contains(got.body, "titrate_python") {
				t.Errorf("the trace shows the client: %s", got.body)
			}
		}
	}
	<-p.ended
	if code := p.cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("SystemExit(3) left with %d", code)
	}
}

func TestPython_encodesDecimals(t *testing.T) {
	t.Parallel()
	r, h := find(t, "python3"), newHost(t)
	p := start(t, h, r, "main.handler", map[string]string{"main.py": pythonMain})
	if got := h.invoke(t, p, "r", `{"kind":"decimal"}`); got.body != "[3, 1.5]" {
		t.Errorf("answered %s", got.body)
	}
}

func TestPython_postsInitErrors(t *testing.T) {
	t.Parallel()
	r := find(t, "python3")
	for handler, want := range map[string]string{
		"main.nothing": "Runtime.HandlerNotFound", "gone.handler": "Runtime.ImportModuleError", "exits.handler": "SystemExit", "odd": "Runtime.MalformedHandlerName",
	} {
		t.Run(handler, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			p := start(t, h, r, handler, map[string]string{"main.py": pythonMain, "exits.py": "raise SystemExit(0)"})
			got := h.answer(t, p)
			if got.path != "init/error" || got.header.Get("Lambda-Runtime-Function-Error-Type") != want {
				t.Errorf("posted %+v", got)
			}
			<-p.ended
			if p.cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("left with %v", p.cmd.ProcessState)
			}
		})
	}
}
