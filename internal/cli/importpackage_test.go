package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestImport_runsTheProjectsOwnFramework: what it writes goes into the manifest, with
// notes where the two differ; where it fails or is left out, the file is read alone.
func TestImport_runsTheProjectsOwnFramework(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("the project's own framework needs node, which is not here")
	}
	const yml = "service: shop\nplugins: [serverless-plugin-warmup]\nprovider: {name: aws, runtime: nodejs20.x}\nfunctions:\n  hello: {handler: h.hello, memorySize: '${cf:sizes.memory}', events: [{httpApi: GET /hello}]}\n"
	const template = `{"Resources": {
  "HelloLambdaFunction": {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"S3Bucket": "b", "S3Key": "k"}, "Handler": "h.hello", "Runtime": "nodejs22.x", "FunctionName": "shop-dev-hello", "MemorySize": 256, "Timeout": 6, "Environment": {"Variables": {"ADDED": "yes"}}}},
  "WarmUpPluginLambdaFunction": {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "w.warm", "Runtime": "nodejs20.x", "MemorySize": 128, "Timeout": 10}},
  "Rule": {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(5 minutes)", "State": "ENABLED", "Targets": [{"Arn": {"Fn::GetAtt": ["WarmUpPluginLambdaFunction", "Arn"]}, "Id": "w"}]}},
  "Integration": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {"IntegrationType": "AWS_PROXY", "IntegrationUri": {"Fn::GetAtt": ["HelloLambdaFunction", "Arn"]}, "PayloadFormatVersion": "2.0"}},
  "Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"RouteKey": "GET /hello", "Target": {"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]}}},
  "Resource": {"Type": "AWS::ApiGateway::Resource", "Properties": {"PathPart": "old", "ParentId": {"Fn::GetAtt": ["RestApi", "RootResourceId"]}}},
  "Method": {"Type": "AWS::ApiGateway::Method", "Properties": {"HttpMethod": "GET", "ResourceId": {"Ref": "Resource"}, "Integration": {"Uri": {"Fn::Join": ["", ["arn:functions/", {"Fn::GetAtt": ["HelloLambdaFunction", "Arn"]}, "/invocations"]]}}}}
}}`
	for _, c := range []struct {
		name, flags, script string
		out, said           []string
		not                 string
	}{
		{
			"taken", "", "printf '%s' '" + template + "' > \"$3/cloudformation-template-update-stack.json\"",
			[]string{"memory: 256MB", "runtime: nodejs22", "ADDED:", "warm-up-plugin", "rate(5 minutes)", "GET /hello", "GET /old"},
			[]string{"node_modules/.bin/serverless package --package", "the file says nodejs20.x, and serverless package nodejs22.x", "a plugin adds this function", "ADDED is not in the files", "serverless package adds http GET /old"},
			"serverless package does not have",
		},
		{"left out", " --no-package", "exit 1", []string{"runtime: nodejs20"}, []string{"what the plugin does is not known"}, "Running"},
		{"failing", "", "echo no such plugin; exit 1", []string{"runtime: nodejs20"}, []string{"no such plugin", "the files are read alone"}, "a plugin adds"},
		{"writing nothing", "", "exit 0", []string{"runtime: nodejs20"}, []string{"wrote no cloudformation-template-update-stack.json"}, "a plugin adds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			bin := filepath.Join(dir, "node_modules", ".bin")
			if err := os.MkdirAll(bin, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"serverless.yml": yml, "h.js": "exports.hello = async () => ({})\n", "node_modules/.bin/serverless": "#!/bin/sh\n" + c.script + "\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			var out, said bytes.Buffer
			code := Main(t.Context(), strings.Fields("import serverless.yml"+c.flags), Terminal{In: strings.NewReader(""), Out: &out, Err: &said, Dir: dir, Env: append(os.Environ(), "TITRATE_DATA="+t.TempDir())})
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, &said)
			}
			for _, want := range c.out {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the manifest has no %q:\n%s", want, &out)
				}
			}
			for _, want := range c.said {
				if !strings.Contains(said.String(), want) {
					t.Errorf("nothing says %q:\n%s", want, &said)
				}
			}
			if strings.Contains(said.String(), c.not) {
				t.Errorf("it says %q:\n%s", c.not, &said)
			}
		})
	}
}

// TestImport_aProgramIsReadByTheProjectsOwnFramework: without it the error says what to type.
func TestImport_aProgramIsReadByTheProjectsOwnFramework(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("the project's own framework needs node, which is not here")
	}
	const state = `{"service": {"service": "shop", "plugins": ["serverless-esbuild"], "provider": {"name": "aws", "runtime": "nodejs20.x", "stage": "dev"}, "functions": {"hello": {"handler": "src/h.hello", "package": {"artifact": ".serverless/hello.zip"}}}}}`
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func() (code int, out, said string) {
		t.Helper()
		var o, e bytes.Buffer
		code = Main(t.Context(), []string{"import"}, Terminal{In: strings.NewReader(""), Out: &o, Err: &e, Dir: dir, Env: append(os.Environ(), "TITRATE_DATA="+t.TempDir())})
		return code, o.String(), e.String()
	}
	write("serverless.ts", "export = {\n  service: 'shop',\n  functions: {\n    hello: { handler: 'src/h.hello' },\n  },\n};\n")
	write("package.json", `{"devDependencies": {"serverless": "3"}}`)
	write("src/h.ts", "export const hello = async () => 'hello'\n")
	if code, _, said := run(); code == 0 || !strings.Contains(said, "T0902") || !strings.Contains(said, "npm ci") {
		t.Errorf("without the framework: exit code %d, %s", code, said)
	}
	write("node_modules/.bin/serverless", "#!/bin/sh\nprintf '%s' '{\"Resources\": {}}' > \"$3/cloudformation-template-update-stack.json\"\nprintf '%s' '"+state+"' > \"$3/serverless-state.json\"\n")
	code, out, said := run()
	if code != 0 || !strings.Contains(out, "output: .serverless/hello.zip") || !strings.Contains(out, "npx serverless package") || !strings.Contains(said, "serverless.ts:4") {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
}
