package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A function goes by the keys that match its folder, the longest pattern and its own
// key last.
func TestWhereOfFunctions(t *testing.T) {
	t.Parallel()
	src := `titrate: 1
app: x
defaults: { timeout: 5s, port: 8080, secrets: [A] }
services: { web: {} }
functions:
  api/a/*: { timeout: 6s, secrets: [B] }
  "**": { secrets: [C], http: { routes: by-path, cors: { maxAge: 1h } } }
  api/a/get: { secrets: [D] }
environments:
  uat: { timeout: 7s, functions: { "**/get": { timeout: 8s } } }
  production: {}
`
	app := goodIn(t, src, "api/a/get", "api/b/get")
	for key, want := range map[string]string{
		"timeout": "uat api-a-get environments.uat.functions.**/get.timeout; uat api-b-get environments.uat.functions.**/get.timeout; " +
			"production api-a-get functions.api/a/*.timeout; production api-b-get defaults.timeout",
		"port": "uat web defaults.port; production web defaults.port",
		"secrets": "uat web defaults.secrets; uat api-a-get defaults.secrets functions.**.secrets functions.api/a/*.secrets functions.api/a/get.secrets; " +
			"uat api-b-get defaults.secrets functions.**.secrets; " +
			"production web defaults.secrets; production api-a-get defaults.secrets functions.**.secrets functions.api/a/*.secrets functions.api/a/get.secrets; " +
			"production api-b-get defaults.secrets functions.**.secrets",
	} {
		_, origins := Where([]byte(src), app, key)
		var got []string
		for _, o := range origins {
			got = append(got, strings.Join(append([]string{o.Env, o.Service}, o.From...), " "))
		}
		if diff := cmp.Diff(want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	if written, _ := Where([]byte(src), app, "maxAge"); len(written) != 1 || written[0].Path != "functions.**.http.cors.maxAge" {
		t.Errorf("%+v", written)
	}
}
