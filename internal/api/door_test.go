package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/client"
	"titrate/internal/auth"
)

// document is what the tests read of the OpenAPI document.
type document struct {
	OpenAPI string                               `json:"openapi"`
	Paths   map[string]map[string]documentedCall `json:"paths"`
}

type documentedCall struct {
	ID        string         `json:"operationId"`
	Summary   string         `json:"summary"`
	Responses map[string]any `json:"responses"`
}

func (i *installation) document(t *testing.T) document {
	t.Helper()
	rec := i.ask(http.MethodGet, "/api/openapi.json", "Bearer "+token)
	var doc document
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); rec.Code != http.StatusOK || err != nil {
		t.Fatalf("the document: %d, %v", rec.Code, err)
	}
	return doc
}

func (i *installation) ask(method, path, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	rec := httptest.NewRecorder()
	i.handler.ServeHTTP(rec, r)
	return rec
}

func TestAPI_nothingAnswersWithoutACredential(t *testing.T) {
	t.Parallel()
	i := install(t)
	type call struct{ method, path string }
	calls := []call{
		{"GET", "/"},
		{"GET", "/api/openapi.json"},
		{"GET", "/api/openapi.yaml"},
		{"GET", "/api/v1/nothing"},
		{"GET", "/favicon.ico"},
		{"GET", "/git/shop.git/info/refs?service=git-upload-pack"},
		{"POST", "/git/shop.git/git-receive-pack"},
		{"POST", "/shop.git/git-receive-pack"},
		{"OPTIONS", "/api/v1/apps"},
		{"HEAD", "/api/v1/apps"},
	}
	fill := strings.NewReplacer("{app}", "shop", "{env}", "production", "{workload}", "web", "{name}", "KEY", "{id}", "1")
	for path, methods := range i.document(t).Paths {
		for method := range methods {
			calls = append(calls, call{strings.ToUpper(method), fill.Replace(path)})
		}
	}
	if len(calls) < 20 {
		t.Fatalf("only %d calls", len(calls))
	}
	for _, c := range calls {
		for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "bearer " + token + "x", "Basic " + token, "Token " + token} {
			rec := i.ask(c.method, c.path, authorization)
			var p client.Problem
			if err := json.Unmarshal(rec.Body.Bytes(), &p); rec.Code != http.StatusUnauthorized || err != nil || p.Code != "T0801" || p.Status != 401 {
				t.Errorf("%s %s with %q: %d %s", c.method, c.path, authorization, rec.Code, rec.Body)
			}
			if ct := rec.Header().Get("Content-Type"); ct != "application/problem+json" || len(rec.Header().Values("WWW-Authenticate")) != 2 {
				t.Errorf("%s %s: %q, %v", c.method, c.path, ct, rec.Header())
			}
		}
	}
}

func TestAPI_takesATokenAsBearerAndAsPassword(t *testing.T) {
	t.Parallel()
	i := install(t)
	r := httptest.NewRequest(http.MethodGet, "/git/shop.git/info/refs", nil)
	r.SetBasicAuth("titrate", token)
	rec := httptest.NewRecorder()
	i.handler.ServeHTTP(rec, r)
	if rec.Code != http.StatusTeapot {
		t.Errorf("git got %d", rec.Code)
	}
	if rec := i.ask(http.MethodGet, "/api/v1/server", "bearer "+token); rec.Code != http.StatusOK {
		t.Errorf("got %d", rec.Code)
	}
}

func TestAPI_anEmptyTokenLetsNobodyIn(t *testing.T) {
	t.Parallel()
	h := newDoor(&Config{Tokens: book(t)}).authenticate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("let in") }))
	for _, authorization := range []string{"", "Bearer ", "Basic Og=="} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", authorization)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

func TestAPI_tokensComeAndGo(t *testing.T) {
	t.Parallel()
	i := install(t)
	c := &client.Client{URL: i.URL, Token: token}
	soon := time.Now().Add(time.Hour)
	made, err := c.CreateToken(t.Context(), client.TokenRequest{Name: "ci", Role: "admin", Expires: &soon})
	if err != nil || made.By != "local" || !made.Expires.Equal(soon) {
		t.Fatalf("%+v, %v", made, err)
	}
	ci := &client.Client{URL: i.URL, Token: made.Secret}
	if got, err := ci.Whoami(t.Context()); err != nil || got.Name != "ci" || got.Secure || got.Protocol != client.Protocol || got.Expires == nil {
		t.Errorf("%+v, %v", got, err)
	}
	list, err := ci.Tokens(t.Context())
	if err != nil || len(list) != 1 || list[0].Used == nil || list[0].Expired {
		t.Errorf("%+v, %v", list, err)
	}
	past := time.Now().Add(-time.Hour)
	for name, at := range map[string]*time.Time{"ci": nil, "local": nil, "a b": nil, "old": &past} {
		var p *client.Problem
		if _, err := c.CreateToken(t.Context(), client.TokenRequest{Name: name, Expires: at}); !errors.As(err, &p) || p.Status != 422 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ci.RevokeToken(t.Context(), "ci"); err != nil {
		t.Fatal(err)
	}
	var p *client.Problem
	if _, err := ci.Whoami(t.Context()); !errors.As(err, &p) || p.Status != 401 {
		t.Errorf("a revoked token: %v", err)
	}
	if err := c.RevokeToken(t.Context(), "ci"); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestAPI_anExpiredTokenSaysSo(t *testing.T) {
	t.Parallel()
	book := book(t)
	_, secret, err := book.Create(auth.Token{Name: "old", By: "local", Role: auth.Viewer, Expires: time.Now().Add(-time.Hour)}, time.Now().Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(&Config{Token: token, Tokens: book})
	if v, why := d.who(secret, time.Now()); v != (visitor{}) || !strings.Contains(why, "old has expired") {
		t.Errorf("%+v, %q", v, why)
	}
}

func TestAPI_listensToWrongTokensFromElsewhereNowAndThenOnly(t *testing.T) {
	t.Parallel()
	h := newDoor(&Config{Token: token, Tokens: book(t), Gateway: "mine", Limit: &auth.Limit{Burst: 3, Every: time.Hour}}).authenticate(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(HeaderGateway) != "" {
				t.Error("the gateway's secret goes on")
			}
			w.WriteHeader(204)
		}))
	ask := func(remote, gateway, forwarded, secret string) int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set(HeaderGateway, gateway)
		r.Header.Set("X-Forwarded-For", forwarded)
		r.SetBasicAuth("titrate", secret)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if (rec.Code == 429) != (rec.Header().Get("Retry-After") != "") {
			t.Errorf("%d with Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
		}
		return rec.Code
	}
	for range 5 { // git asks first without a credential, as often as it likes
		if got := ask("127.0.0.1:1", "mine", "192.0.2.1", ""); got != 401 {
			t.Errorf("without: %d", got)
		}
	}
	for range 3 {
		if got := ask("127.0.0.1:1", "mine", "192.0.2.1", "wrong"); got != 401 {
			t.Errorf("wrong: %d", got)
		}
	}
	for _, c := range []struct {
		remote, gateway, forwarded, secret string
		want                               int
	}{
		{"127.0.0.1:1", "mine", "192.0.2.1", "wrong", 429},
		{"127.0.0.1:1", "mine", "192.0.2.1", token, 429}, // or else the right one could be found out
		{"127.0.0.1:1", "mine", "192.0.2.2", token, 204},
		{"192.0.2.1:1", "", "", "wrong", 429}, // the same place by the other door
		{"127.0.0.1:1", "", "192.0.2.1", token, 204},
		{"127.0.0.1:1", "guessed", "192.0.2.3", "wrong", 401},
	} {
		if got := ask(c.remote, c.gateway, c.forwarded, c.secret); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	for range 9 {
		if got := ask("127.0.0.1:1", "guessed", "192.0.2.3", "wrong"); got != 401 {
			t.Errorf("from this machine: %d", got)
		}
	}
	if got := ask("127.0.0.1:1", "mine", "192.0.2.3", token); got != 204 {
		t.Errorf("one machine can have another one locked out: %d", got)
	}
}

func TestAPI_gitAnswersAtTheShortAddressToo(t *testing.T) {
	t.Parallel()
	i := install(t)
	for path, want := range map[string]int{"/shop.git/info/refs": 418, "/git/shop.git/info/refs": 418, "/shop/web.git/info/refs": 418, "/a/b/c.git/info/refs": 404, "/shop/info/refs": 404, "/": 404} {
		if rec := i.ask(http.MethodGet, path, "Bearer "+token); rec.Code != want {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

func TestAPI_refusesPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	i := install(t)
	r := httptest.NewRequest(http.MethodPost, "/api/v1/apps/shop/rollback", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	rec := httptest.NewRecorder()
	i.handler.ServeHTTP(rec, r)
	if rec.Code != http.StatusForbidden {
		t.Errorf("got %d", rec.Code)
	}
}

// TestGolden_operations keeps the list of calls: generated clients name them so.
func TestGolden_operations(t *testing.T) {
	t.Parallel()
	doc := install(t).document(t)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("version %q", doc.OpenAPI)
	}
	var lines []string
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, c := range methods {
			if c.ID == "" || ids[c.ID] || c.Summary == "" {
				t.Errorf("%s %s: id %q is empty or used twice, or there is no summary", method, path, c.ID)
			}
			ids[c.ID] = true
			lines = append(lines, c.ID+"  "+strings.ToUpper(method)+" "+path+"  "+c.Summary)
		}
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const path = "testdata/operations.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("operations differ from %s (%v); -update writes it anew:\n%s", path, err, got)
	}
}
