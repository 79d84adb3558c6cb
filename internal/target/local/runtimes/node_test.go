package runtimes_test

import (
	"strings"
	"testing"
)

const nodeMain = `
export const echo = async (event, context) => {
  console.log('seen', event.n);
  return { event, id: context.awsRequestId, fn: context.functionName, arn: context.invokedFunctionArn, mem: context.memoryLimitInMB,
    group: context.logGroupName, waits: context.callbackWaitsForEmptyEventLoop, left: context.getRemainingTimeInMillis() > 1000,
    title: context.clientContext.client.app_title, who: context.identity.cognitoIdentityId, trace: process.env._X_AMZN_TRACE_ID };
};
export const kinds = (event, context, callback) => {
  switch (event.kind) {
    case 'callback': return void setTimeout(callback, 1, null, 'by callback');
    case 'error': return void callback(new TypeError('no such thing'));
    case 'throw': throw new RangeError('too far');
    case 'string': return Promise.reject('just words');
    case 'later': callback(null, 'said first'); setTimeout(() => console.log('worked after'), 5); return;
    case 'early': context.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 3600e3); callback(null, 'at once'); return;
    case 'never': return;
    case 'hang': return new Promise(() => {});
    case 'circular': { const a = {}; a.a = a; return Promise.resolve(a); }
    case 'undefined': return Promise.resolve();
    case 'unhandled': Promise.reject(new Error('forgotten')); return new Promise((r) => setTimeout(r, 3600e3));
    case 'uncaught': setTimeout(() => { throw new Error('out of nowhere'); }, 1); return new Promise((r) => setTimeout(r, 3600e3));
  }
};
export const stream = awslambda.streamifyResponse(async (event, out, context) => {
  if (event.kind === 'before') throw new Error('before any byte');
  if (event.kind === 'open') return;
  if (event.kind === 'destroyed') { out.write('one,'); out.destroy(new Error('pipeline broke')); return new Promise(() => {}); }
  if (event.kind === 'http') out = awslambda.HttpResponseStream.from(out, { statusCode: 201, headers: { a: 'b' } });
  else out.setContentType('text/plain');
  out.write('one,');
  if (event.kind === 'after') throw new Error('after a byte');
  out.write('two');
  out.end();
});
`

func TestNode_answersAndTellsItsContext(t *testing.T) {
	t.Parallel()
	r, h := find(t, "nodejs"), newHost(t)
	p := start(t, h, r, "src/a/main.echo", map[string]string{"src/a/main.mjs": nodeMain})
	for _, id := range []string{"r1", "r2"} {
		got := h.invoke(t, p, id, `{"n":"ü"}`)
		if got.path != "invocation/"+id+"/response" {
			t.Fatalf("posted to %s: %s", got.path, got.body)
		}
		has(t, "answer", got.body, `"event":{"n":"ü"}`, `"id":"`+id+`"`, `"fn":"f"`, `"arn":"arn:aws:lambda:here:1:function:f"`, `"mem":"128"`,
			`"group":"/aws/lambda/f"`, `"waits":true`, `"left":true`, `"title":"shop"`, `"who":"who"`, `"trace":"Root=1"`)
		has(t, "log", p.out.String(), "\t"+id+"\tINFO\tseen ü\n")
	}
}

func TestNode_answersInEveryWay(t *testing.T) {
	t.Parallel()
	r, h := find(t, "nodejs"), newHost(t)
	p := start(t, h, r, "main.kinds", map[string]string{"main.mjs": nodeMain})
	for _, c := range []struct{ kind, where, want, errorType string }{
		{"callback", "response", `"by callback"`, ""},
		{"error", "error", `"errorMessage":"no such thing"`, "TypeError"},
		{"throw", "error", `"trace":["RangeError: too far"`, "RangeError"},
		{"string", "error", `{"errorType":"string","errorMessage":"just words","trace":[]}`, "string"},
		{"later", "response", `"said first"`, ""},
		{"never", "response", `null`, ""},
		{"hang", "response", `null`, ""},
		{"circular", "error", `Unable to stringify response body`, "Runtime.MarshalError"},
		{"undefined", "response", `null`, ""},
		{"early", "response", `"at once"`, ""},
	} {
		got := h.invoke(t, p, c.kind, `{"kind":"`+c.kind+`"}`)
		if got.path != "invocation/"+c.kind+"/"+c.where || !strings.Contains(got.body, c.want) {
			t.Errorf("%s: posted %s to %s", c.kind, got.body, got.path)
		}
		if e := got.header.Get("Lambda-Runtime-Function-Error-Type"); e != c.errorType {
			t.Errorf("%s: error type %q", c.kind, e)
		}
		if c.kind == "later" {
			has(t, "log at the answer", p.out.String(), "worked after")
		}
	}
	if got := h.invoke(t, p, "bad", `{"a":`); got.header.Get("Lambda-Runtime-Function-Error-Type") != "Runtime.UnmarshalError" {
		t.Errorf("an event that is not JSON: %+v", got)
	}
}

func TestNode_tellsOfErrorsNobodyCaughtThenEnds(t *testing.T) {
	t.Parallel()
	r := find(t, "nodejs")
	for _, c := range []struct {
		kind, errorType string
		code            int
	}{{"unhandled", "Runtime.UnhandledPromiseRejection", 128}, {"uncaught", "Error", 129}} {
		h := newHost(t)
		p := start(t, h, r, "main.kinds", map[string]string{"main.mjs": nodeMain})
		got := h.invoke(t, p, "r", `{"kind":"`+c.kind+`"}`)
		if got.path != "invocation/r/error" || got.header.Get("Lambda-Runtime-Function-Error-Type") != c.errorType {
			t.Errorf("%s: %+v", c.kind, got)
		}
		<-p.ended
		if code := p.cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%s: exit code %d", c.kind, code)
		}
	}
}

func TestNode_streams(t *testing.T) {
	t.Parallel()
	r, h := find(t, "nodejs"), newHost(t)
	p := start(t, h, r, "main.stream", map[string]string{"main.mjs": nodeMain})
	plain := h.invoke(t, p, "plain", `{}`)
	if plain.body != "one,two" || plain.header.Get("Content-Type") != "text/plain" || plain.header.Get("Lambda-Runtime-Function-Response-Mode") != "streaming" {
		t.Errorf("plain: %+v", plain)
	}
	http := h.invoke(t, p, "http", `{"kind":"http"}`)
	if want := `{"statusCode":201,"headers":{"a":"b"}}` + strings.Repeat("\x00", 8) + "one,two"; http.body != want {
		t.Errorf("http: %q", http.body)
	}
	if ct := http.header.Get("Content-Type"); ct != "application/vnd.awslambda.http-integration-response" {
		t.Errorf("http: content type %s", ct)
	}
	before := h.invoke(t, p, "before", `{"kind":"before"}`)
	if before.path != "invocation/before/error" {
		t.Errorf("before: %+v", before)
	}
	open := h.invoke(t, p, "open", `{"kind":"open"}`)
	if open.header.Get("Lambda-Runtime-Function-Error-Type") != "Runtime.StreamError" {
		t.Errorf("open: %+v", open)
	}
	destroyed := h.invoke(t, p, "destroyed", `{"kind":"destroyed"}`)
	if destroyed.body != "one," || destroyed.trailer.Get("Lambda-Runtime-Function-Error-Type") != "Error" {
		t.Errorf("destroyed: %+v", destroyed)
	}
	after := h.invoke(t, p, "after", `{"kind":"after"}`)
	if after.body != "one," || after.trailer.Get("Lambda-Runtime-Function-Error-Type") != "Error" {
		t.Errorf("after: %+v", after)
	}
	has(t, "trailer", after.errorBody(t), `"errorMessage":"after a byte"`)
}

func TestNode_loadsEveryKindOfModule(t *testing.T) {
	t.Parallel()
	r := find(t, "nodejs")
	esm, cjs := `export const go = async () => 'esm'`, `exports.go = async () => 'cjs'`
	for name, c := range map[string]struct {
		handler, want string
		files         map[string]string
	}{
		"cjs by default": {"a.go", `"cjs"`, map[string]string{"a.js": cjs}},
		"type module":    {"a.go", `"esm"`, map[string]string{"a.js": esm, "package.json": `{"type":"module"}`}},
		"cjs file":       {"a.go", `"cjs"`, map[string]string{"a.cjs": cjs, "package.json": `{"type":"module"}`}},
		"nested export":  {"a.x.go", `"in"`, map[string]string{"a.js": `module.exports = { x: { go: async () => 'in' } }`}},
		"made at run time": {"a.go", `"made"`, map[string]string{
			"a.js": `const all = {}; for (const k of ['go']) all[k] = async () => 'made'; module.exports = Object.assign({}, all)`,
		}},
		"top-level await": {"a.go", `5`, map[string]string{"a.mjs": `const n = await Promise.resolve(5); export const go = async () => n`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			p := start(t, h, r, c.handler, c.files)
			if got := h.invoke(t, p, "r", `{}`); got.body != c.want {
				t.Errorf("answered %s", got.body)
			}
		})
	}
}

func TestNode_tellsOfALoadThatCannotEnd(t *testing.T) {
	t.Parallel()
	r, h := find(t, "nodejs"), newHost(t)
	p := start(t, h, r, "main.go", map[string]string{"main.mjs": `await new Promise(() => {}); export const go = 1`})
	got := h.answer(t, p)
	if got.path != "init/error" || got.header.Get("Lambda-Runtime-Function-Error-Type") != "Runtime.ExitError" {
		t.Errorf("posted %+v", got)
	}
}

func TestNode_postsInitErrors(t *testing.T) {
	t.Parallel()
	r, h := find(t, "nodejs"), newHost(t)
	p := start(t, h, r, "main.nothing", map[string]string{"main.mjs": nodeMain})
	got := h.answer(t, p)
	if got.path != "init/error" || got.header.Get("Lambda-Runtime-Function-Error-Type") != "Runtime.HandlerNotFound" {
		t.Errorf("posted %+v", got)
	}
	<-p.ended
	if p.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("left with %v", p.cmd.ProcessState)
	}
}
