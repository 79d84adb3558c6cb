package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"titrate/client"
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
	h := authenticate("", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("let in") }))
	for _, authorization := range []string{"", "Bearer ", "Basic Og=="} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", authorization)
		h.ServeHTTP(httptest.NewRecorder(), r)
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
