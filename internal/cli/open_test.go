package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"titrate/client"
)

func TestOpen_printsTheAddressThatIsMeant(t *testing.T) {
	t.Parallel()
	wl := func(name string, urls ...string) client.Workload { return client.Workload{Name: name, URLs: urls} }
	a := client.App{Name: "shop", Environments: []client.Environment{
		{Name: "uat", Workloads: []client.Workload{wl("jobs"), wl("web", "http://uat.shop.localhost")}},
		{Name: "production", Workloads: []client.Workload{wl("jobs"), wl("web", "http://shop.localhost")}},
	}}
	env := server(t, map[string]any{"/api/v1/apps": []client.App{a}, "/api/v1/apps/shop": a})
	for line, want := range map[string]string{
		"open":                "http://shop.localhost\n",
		"open shop/web":       "http://shop.localhost\n",
		"open -e uat":         "http://uat.shop.localhost\n",
		"open shop --jq .url": "http://shop.localhost\n",
		"open shop/jobs":      "",
		"open shop@r4":        "",
	} {
		out, said, code := call(t, "", env, strings.Fields(line)...)
		if out != want || (want == "") != (code == exitUsage) {
			t.Errorf("%s: exit code %d, %q\n%s", line, code, out, said)
		}
	}
	if _, said, _ := call(t, "", env, "open", "shop/jobs"); !strings.Contains(said, "nothing of shop/jobs is reached") || !strings.Contains(said, "titrate explain host") {
		t.Error(said)
	}
}

func TestConfig_explainsAKeyAndWhereItsValueIsFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ask := func(args ...string) (string, string, int) {
		var out, said strings.Builder
		code := Main(t.Context(), append([]string{"config", "explain"}, args...), Terminal{In: strings.NewReader(""), Out: &out, Err: &said, Dir: dir})
		return out.String(), said.String(), code
	}
	if out, _, code := ask("bake"); code != exitDone || !strings.Contains(out, "# bake") || !strings.Contains(out, "There is no titrate.yaml here") {
		t.Errorf("%d\n%s", code, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "titrate.yaml"), []byte("titrate: 1\napp: shop\nservices:\n  web: { bake: 1m }\n  api: { route: /api }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, said, code := ask("bake")
	for _, want := range []string{"# bake", "titrate.yaml:4", "services.web.bake", "1m", "production   web      services.web.bake", "production   api      the default"} {
		if !strings.Contains(out, want) {
			t.Errorf("%d, no %q in\n%s%s", code, want, out, said)
		}
	}
	if out, _, _ := ask("bake", "--jq", ".written[0].line"); out != "4\n" {
		t.Error(out)
	}
	if _, said, code := ask("bakes"); code != exitUsage || !strings.Contains(said, "did you mean bake?") {
		t.Errorf("%d %s", code, said)
	}
}
