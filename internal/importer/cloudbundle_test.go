package importer

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestServerless_zipsThatHoldOtherCode: a function whose zip has the file of its handler,
// where the repository does not, is built by the project's framework, whatever plugin does it.
func TestServerless_zipsThatHoldOtherCode(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"api/serverless.yml": {Data: []byte("service: shop\nplugins: [own-bundler]\nprovider: {name: aws, runtime: nodejs20.x}\nlayers: {common: {path: common}}\nfunctions:\n  made: {handler: src/made.main}\n  plain: {handler: src/plain.main}\n")},
		"api/src/made.ts":    {}, "api/src/plain.js": {}, "api/common/nodejs/a.js": {},
		"package.json": {Data: []byte(`{"devDependencies": {"osls": "3"}}`)}, "yarn.lock": {},
	}
	o := Options{Stage: "it's", Packaged: &Packaged{
		Program: "osls", Template: []byte(`{"Resources": {}}`), Zips: map[string][]string{"shop.zip": {"src/made.js", "src/plain.js"}},
		State: []byte(`{"package": {"artifact": "/tmp/x/.serverless/shop.zip"}, "service": {"functions": {"made": {}, "plain": {}}}}`),
	}}
	d, err := Import(tree, "api/serverless.yml", o)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`fetch: "yarn install --frozen-lockfile"`, `cd api && npx osls package --stage`, `|| test -s .serverless/shop.zip`, "output: api/.serverless/shop.zip", "plain: {build: api,",
	} {
		if !strings.Contains(d.Manifest, want) {
			t.Errorf("there is no %s in\n%s", want, d.Manifest)
		}
	}
}
