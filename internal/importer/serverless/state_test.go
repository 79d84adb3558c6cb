package serverless

import (
	"testing"
	"testing/fstest"
)

// TestRead_aProgramByItsState: a configuration that is a program is read as the framework
// has resolved it: what it shares or generates is seen through, and what comes of the
// shell or the account is named, not copied.
func TestRead_aProgramByItsState(t *testing.T) {
	t.Parallel()
	program := "const shared = { TABLE: 'orders' };\nmodule.exports = {\n  service: 'shop',\n  provider: {\n    environment: { KEY: process.env.STRIPE, PASS: '${ssm:/pass}' },\n  },\n  functions: {\n    hello: {\n      environment: shared,\n      deploymentSettings: {},\n    },\n    bye: {\n      environment: shared,\n      vpc: { x: 1 },\n    },\n  },\n};\n"
	state := `{"service": {"service": "shop", "serviceObject": {"name": "shop"}, "pluginsData": {}, "artifact": "/x/.serverless/shop.zip",
 "provider": {"name": "aws", "runtime": "nodejs20.x", "stage": "prod", "region": "eu-west-1", "versionFunctions": true, "vpc": {}, "environment": {"KEY": "sk_live", "PASS": "hidden"},
  "compiledCloudFormationTemplate": {"Resources": {"Policy": {"arn": "arn:aws:sqs:eu-west-1:1:jobs"}}}},
 "custom": {"deploymentSettings": {"type": "Linear10PercentEvery1Minute"}},
 "functions": {
  "hello": {"handler": "h.hello", "environment": {"TABLE": "orders"}, "deploymentSettings": {}, "events": [{"httpApi": "GET /hello", "resolvedMethod": "GET", "resolvedPath": "/hello"}, {"sqs": {"arn": {"$ref": "$[\"service\"][\"provider\"][\"compiledCloudFormationTemplate\"][\"Resources\"][\"Policy\"][\"arn\"]"}}}], "package": {"artifact": ".serverless/hello.zip"}, "memory": 1024, "timeout": 6, "vpc": {}, "versionLogicalId": "V"},
  "bye": {"handler": "h.bye", "environment": {"$ref": "$[\"service\"][\"functions\"][\"hello\"][\"environment\"]"}, "vpc": {"x": 1}}},
 "initialServerlessConfig": {"service": "shop", "frameworkVersion": "3", "functions": {"$ref": "$[\"service\"][\"functions\"]"}, "package": {"individually": true, "artifact": "/x/.serverless/shop.zip"}}}}`
	p, err := Read(fstest.MapFS{"serverless.js": {Data: []byte(program)}}, Options{File: "serverless.js", State: []byte(state)})
	if err != nil {
		t.Fatal(err)
	}
	if p.Service != "shop" || p.Provider.Stage != "prod" || p.FrameworkVersion != "3" || p.Package == nil || !p.Package.Individually || p.Package.Artifact != "" || len(p.Functions) != 2 {
		t.Fatalf("got %+v", p)
	}
	hello, bye := p.Functions[0], p.Functions[1]
	if hello.At != (At{"serverless.js", 8}) || bye.At != (At{"serverless.js", 12}) {
		t.Errorf("they stand at %v and %v", hello.At, bye.At)
	}
	if len(hello.Events) != 2 || hello.Events[1].Source == nil || hello.Events[1].Source.From.Name != "jobs" || hello.Package != nil && hello.Package.Artifact != "" {
		t.Errorf("hello is %+v", hello)
	}
	if hello.Deployment == nil || hello.Deployment.Type != "Linear10PercentEvery1Minute" {
		t.Errorf("hello is shifted by %+v", hello.Deployment)
	}
	values := map[string]string{}
	for _, v := range bye.Env {
		values[v.Name] = v.Value
	}
	if values["TABLE"] != "orders" || values["KEY"] != "${env:STRIPE}" || values["PASS"] != "${ssm:/pass}" {
		t.Errorf("bye has %v", values)
	}
	var lost []string
	for _, l := range p.Lost {
		lost = append(lost, l.Key)
	}
	want := map[string]bool{"provider.environment.KEY": true, "provider.environment.PASS": true, "functions.bye.vpc": true}
	for _, key := range lost {
		delete(want, key)
		if key == "functions.hello.vpc" || key == "provider.vpc" || key == "pluginsData" || key == "functions.hello.memory" {
			t.Errorf("%s is of the framework's own making and listed", key)
		}
	}
	if len(want) > 0 {
		t.Errorf("lost is %v, without %v", lost, want)
	}
}

// FuzzState: no state makes it hang, panic or end in an error without a place.
func FuzzState(f *testing.F) {
	for _, s := range []string{
		`{"service": {"service": "a", "functions": {"f": {"handler": "h.f", "events": [{"httpApi": "GET /"}]}}}}`,
		`{"service": {"custom": {"$ref": "$[\"service\"][\"custom\"]"}}}`, `{"service": {"a": {"$ref": "$"}, "b": [{"$ref": "$[\"service\"][\"b\"]"}, {"$ref": "$[\"service\"][\"b\"][0]"}]}}`,
		`{"service": {"initialServerlessConfig": {"x": {"y": 1}}, "provider": 7, "functions": [1], "package": "x"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		if len(state) == 0 {
			return
		}
		p, err := Read(fstest.MapFS{"serverless.ts": {Data: []byte("export = { functions: { f: {} } }")}}, Options{File: "serverless.ts", State: state})
		if (p == nil) == (err == nil) {
			t.Fatalf("%v, %v", p, err)
		}
	})
}
