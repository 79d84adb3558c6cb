package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"titrate/client"
	"titrate/internal/auth"
)

// roled is the installation's client with a new token of the role.
func (i *installation) roled(t *testing.T, role auth.Role) *client.Client {
	t.Helper()
	made, err := (&client.Client{URL: i.URL, Token: token}).CreateToken(t.Context(), client.TokenRequest{Name: "a-" + string(role), Role: string(role)})
	if err != nil {
		t.Fatal(err)
	}
	return &client.Client{URL: i.URL, Token: made.Secret}
}

// A new call that nobody gave a role fails here: it would be nobody's.
func TestRoles_everyRouteHasOne(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for path, methods := range install(t).document(t).Paths {
		for method := range methods {
			pattern := strings.ToUpper(method) + " " + path
			seen[pattern] = true
			if !auth.Admin.May(routes[pattern]) {
				t.Errorf("%s is open to no role: give it one in roles.go", pattern)
			}
		}
	}
	for pattern := range routes {
		if !seen[pattern] {
			t.Errorf("%s has a role and is no route", pattern)
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d routes", len(seen))
	}
}

func TestRoles_aRouteWithoutOneIsNobodys(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/forgotten", func(http.ResponseWriter, *http.Request) { t.Error("let in") })
	s := &server{Config: Config{Token: token, Tokens: book(t), Log: slog.New(slog.DiscardHandler)}}
	h := newDoor(&s.Config).authenticate(s.authorize(mux))
	r := httptest.NewRequest(http.MethodGet, "/api/v1/forgotten", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "open to no role") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// Each role is let in where the table says so, and nowhere else; what is beyond the
// door answers as it will.
func TestRoles_areKeptOnEveryRoute(t *testing.T) {
	t.Parallel()
	i := install(t)
	fill := strings.NewReplacer("{app}", "nothing", "{env}", "nowhere", "{workload}", "web", "{name}", "NONE", "{id}", "999")
	for _, role := range auth.Roles() {
		c := i.roled(t, role)
		for pattern, need := range routes {
			method, path, _ := strings.Cut(pattern, " ")
			if path == "/api/v1/events" && role.May(need) {
				continue // it would go on
			}
			rec := i.ask(method, fill.Replace(path), "Bearer "+c.Token)
			var p client.Problem
			_ = json.Unmarshal(rec.Body.Bytes(), &p)
			refused := rec.Code == http.StatusForbidden && p.Code == "T0809"
			if refused == role.May(need) {
				t.Errorf("%s as %s: %d %s", pattern, role, rec.Code, rec.Body)
			}
			if refused && !strings.Contains(p.Detail, "--role "+string(need)) {
				t.Errorf("%s as %s says %s", pattern, role, p.Detail)
			}
		}
	}
}

func TestRoles_gitIsReadByAViewerAndWrittenByADeployer(t *testing.T) {
	t.Parallel()
	i := install(t)
	secrets := map[auth.Role]string{}
	for _, role := range auth.Roles() {
		secrets[role] = i.roled(t, role).Token
	}
	for _, c := range []struct {
		method, path string
		need         auth.Role
	}{
		{"GET", "/git/shop.git/info/refs?service=git-upload-pack", auth.Viewer},
		{"POST", "/git/shop.git/git-upload-pack", auth.Viewer},
		{"GET", "/shop.git/info/refs?service=git-upload-pack", auth.Viewer},
		{"GET", "/git/shop.git/info/refs?service=git-receive-pack", auth.Deployer},
		{"GET", "/shop.git/info/refs?service=git-receive-pack", auth.Deployer},
		{"GET", "/git/shop/web.git/info/refs?service=git-receive-pack&service=git-upload-pack", auth.Deployer},
		{"POST", "/git/shop.git/git-receive-pack", auth.Deployer},
		{"POST", "/git/shop.git/git-receive-pack?service=git-upload-pack", auth.Deployer},
		{"POST", "/shop/web.git/git%2Dreceive-pack", auth.Deployer},
		{"GET", "/git/shop.git/info/refs", auth.Admin},
		{"GET", "/git/shop.git/HEAD", auth.Admin},
	} {
		for role, secret := range secrets {
			rec := i.ask(c.method, c.path, "Bearer "+secret)
			if want := role.May(c.need); (rec.Code != http.StatusForbidden) != want {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, role, rec.Code, rec.Body)
			} else if !want && (!strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain") || !strings.Contains(rec.Body.String(), "takes a")) {
				t.Errorf("git shows nothing of %q: %s", rec.Header().Get("Content-Type"), rec.Body)
			}
		}
	}
}

// A new verb or kind that nobody gave a role fails here.
func TestRoles_everyVerbAndTaskHasOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of    reflect.Type
		field string
		roles map[string]auth.Role
	}{
		{reflect.TypeFor[client.CommandRequest](), "Verb", verbs},
		{reflect.TypeFor[client.TaskRequest](), "Kind", tasks},
	} {
		f, _ := c.of.FieldByName(c.field)
		words := strings.Split(f.Tag.Get("enum"), ",")
		for _, word := range words {
			if !auth.Admin.May(c.roles[word]) {
				t.Errorf("%s %q is open to no role: give it one in roles.go", c.field, word)
			}
		}
		if len(words) != len(c.roles) {
			t.Errorf("%d of %s, and %d have a role", len(words), c.field, len(c.roles))
		}
	}
}

func TestRoles_aVerbAndATaskHaveTheirOwn(t *testing.T) {
	t.Parallel()
	i := install(t)
	for _, role := range auth.Roles() {
		c := i.roled(t, role)
		for verb, need := range verbs {
			_, err := c.Command(t.Context(), 999, client.CommandRequest{Verb: verb})
			if got := !refused(err); got != role.May(need) {
				t.Errorf("%s as %s: %v", verb, role, err)
			}
		}
		for kind, need := range tasks {
			_, err := c.AskAccessory(t.Context(), "nothing", "nowhere", "db", client.TaskRequest{Kind: kind})
			if got := !refused(err); got != role.May(need) {
				t.Errorf("%s as %s: %v", kind, role, err)
			}
		}
	}
}

func refused(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Status == http.StatusForbidden && p.Code == "T0809"
}

func TestRoles_areToldAndADeployersIsTheDefault(t *testing.T) {
	t.Parallel()
	i := install(t)
	c := &client.Client{URL: i.URL, Token: token}
	made, err := c.CreateToken(t.Context(), client.TokenRequest{Name: "ci"})
	if err != nil || made.Role != "deployer" {
		t.Fatalf("%+v, %v", made, err)
	}
	if who, err := (&client.Client{URL: i.URL, Token: made.Secret}).Whoami(t.Context()); err != nil || who.Role != "deployer" {
		t.Errorf("%+v, %v", who, err)
	}
	if who, err := c.Whoami(t.Context()); err != nil || who.Role != "admin" {
		t.Errorf("%+v, %v", who, err)
	}
	list, err := c.Tokens(t.Context())
	if err != nil || len(list) != 1 || list[0].Role != "deployer" || list[0].Used == nil || time.Since(*list[0].Used) > 2*time.Minute {
		t.Errorf("%+v, %v", list, err)
	}
	var p *client.Problem
	if _, err := c.CreateToken(t.Context(), client.TokenRequest{Name: "x", Role: "root"}); !errors.As(err, &p) || p.Status != 422 {
		t.Error(err)
	}
}
