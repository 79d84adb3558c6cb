package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"titrate/client"
)

// With --dev it is the titrate dev of the folder that is asked, and no server.
func TestDev_isAskedForItsFunctionsAndQueues(t *testing.T) {
	t.Parallel()
	folder, cache := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "titrate.yaml"), []byte("titrate: 1\napp: shop\nservices: { web: { build: web } }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, int) {
		var out bytes.Buffer
		code := Main(t.Context(), args, Terminal{In: strings.NewReader(""), Out: &out, Err: &out, Dir: folder, Env: []string{"XDG_CACHE_HOME=" + cache}})
		return out.String(), code
	}
	for _, args := range [][]string{{"fn", "invoke", "mail", "--dev"}, {"queue", "ls", "--dev"}, {"queue", "send", "letters", "hello", "--dev"}} {
		if said, code := run(args...); code != exitFailed || !strings.Contains(said, "error[T0594]") || !strings.Contains(said, "help    titrate dev") {
			t.Errorf("%q without one: exit code %d, %s", args, code, said)
		}
	}
	if said, code := run("queue", "ls", "--dev", "--env", "production"); code != exitUsage || !strings.Contains(said, "leave --app and --env out") {
		t.Errorf("of another environment: exit code %d, %s", code, said)
	}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/apps/shop/environments/dev/functions/mail/invoke" || r.Header.Get("Authorization") != "Bearer sesame" {
			t.Errorf("%s %s by %s", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		_ = json.NewEncoder(w).Encode(client.Invoked{Status: 200, Answer: json.RawMessage(`"hello"`)})
	}))
	defer door.Close()
	s := &session{Terminal: Terminal{Env: []string{"XDG_CACHE_HOME=" + cache}}}
	dir, err := s.devDir("shop", folder)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "door.json"), []byte(`{"url":"`+door.URL+`","token":"sesame"}`), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if said, code := run("fn", "invoke", "mail", "--dev"); code != exitDone || said != "\"hello\"\n" {
		t.Errorf("exit code %d, %s", code, said)
	}
}
