package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"titrate/internal/auth"
)

// routes is who may what: the least role for each route of the server. A route that is
// not in it is nobody's; a test holds that every one is.
var routes = map[string]auth.Role{
	"GET /api/v1/whoami":   auth.Viewer,
	"GET /api/v1/server":   auth.Viewer,
	"GET /api/v1/events":   auth.Viewer,
	"GET /api/v1/apps":     auth.Viewer,
	"GET /api/v1/rollouts": auth.Viewer,

	"GET /metrics": auth.Viewer,

	"GET /api/v1/apps/{app}":                                auth.Viewer,
	"GET /api/v1/apps/{app}/releases":                       auth.Viewer,
	"GET /api/v1/apps/{app}/logs":                           auth.Viewer,
	"GET /api/v1/apps/{app}/builds":                         auth.Viewer,
	"POST /api/v1/apps/{app}/diff":                          auth.Viewer, // it changes nothing
	"GET /api/v1/apps/{app}/environments/{env}/secrets":     auth.Viewer, // names
	"GET /api/v1/apps/{app}/environments/{env}/accessories": auth.Viewer,
	"GET /api/v1/rollouts/{id}":                             auth.Viewer,
	"GET /api/v1/rollouts/{id}/history":                     auth.Viewer,
	"GET /api/v1/rollouts/{id}/explain":                     auth.Viewer,
	"POST /api/v1/rollouts/{id}/replay":                     auth.Viewer, // it changes nothing
	"GET /api/v1/certificates":                              auth.Viewer,
	"GET /api/v1/credentials":                               auth.Viewer, // its own: they are good for what the token is
	"GET /api/v1/apps/{app}/environments/{env}/functions":   auth.Viewer,
	"GET /api/v1/apps/{app}/environments/{env}/queues":      auth.Viewer,

	"POST /api/v1/apps/{app}/environments/{env}/functions/{name}/invoke":  auth.Deployer,
	"POST /api/v1/apps/{app}/environments/{env}/functions/{name}/probe":   auth.Deployer,
	"GET /api/v1/apps/{app}/environments/{env}/queues/{name}/messages":    auth.Deployer, // what is in them may be anybody's
	"POST /api/v1/apps/{app}/environments/{env}/queues/{name}/messages":   auth.Deployer,
	"DELETE /api/v1/apps/{app}/environments/{env}/queues/{name}/messages": auth.Deployer,
	"POST /api/v1/apps/{app}/environments/{env}/queues/{name}/redrive":    auth.Deployer,

	"POST /api/v1/apps/{app}/rollback":                                    auth.Deployer,
	"POST /api/v1/rollouts/{id}/commands":                                 auth.Deployer, // and as the verb asks
	"PUT /api/v1/apps/{app}/environments/{env}/secrets/{name}":            auth.Deployer,
	"DELETE /api/v1/apps/{app}/environments/{env}/secrets/{name}":         auth.Deployer,
	"POST /api/v1/apps/{app}/environments/{env}/accessories/{name}/tasks": auth.Deployer, // and as the task asks
	"DELETE /api/v1/apps/{app}/environments/{env}/workloads/{workload}":   auth.Admin,
	"DELETE /api/v1/apps/{app}/environments/{env}/accessories/{name}":     auth.Admin,

	"GET /api/v1/tokens":           auth.Admin,
	"POST /api/v1/tokens":          auth.Admin,
	"DELETE /api/v1/tokens/{name}": auth.Admin,
}

// verbs is who may which command of a rollout; tasks, which of an accessory.
var (
	verbs = map[string]auth.Role{
		"abort": auth.Deployer, "pause": auth.Deployer,
		"resume": auth.Approver, "promote": auth.Approver, "promote-full": auth.Approver, "set-weight": auth.Approver, "retry": auth.Approver,
	}
	tasks = map[string]auth.Role{"backup": auth.Deployer, "rehearse": auth.Deployer, "restart": auth.Deployer, "restore": auth.Admin}
)

// documents begin the routes that describe the API.
const documents = "GET /api/openapi"

// needs is the least role for a request that the mux leads to the pattern; empty:
// nobody's is enough.
func needs(pattern string, r *http.Request) auth.Role {
	switch {
	case pattern == "": // there is nothing: that may be said to anybody who came in
		return auth.Viewer
	case strings.HasPrefix(pattern, documents):
		return auth.Viewer
	case pattern == "/git/", pattern == "/":
		return needsGit(r)
	}
	return routes[pattern]
}

// needsGit tells fetching from pushing; what is neither is nothing that is served.
func needsGit(r *http.Request) auth.Role {
	service := r.URL.Query().Get("service")
	switch {
	case strings.HasSuffix(r.URL.Path, "/git-receive-pack"), service == "git-receive-pack":
		return auth.Deployer
	case strings.HasSuffix(r.URL.Path, "/git-upload-pack"), service == "git-upload-pack", !strings.Contains(r.URL.Path, ".git/"):
		return auth.Viewer
	}
	return auth.Admin
}

// authorize lets a request through to the mux whose token's role is enough for where
// it leads.
func (s *server) authorize(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		if err := s.allow(r.Context(), needs(pattern, r), r.Method+" "+r.URL.Path); err != nil {
			if pattern == "/git/" || pattern == "/" { // git shows a person nothing but plain text
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				w.WriteHeader(err.Status)
				fmt.Fprintln(w, err.Detail)
				return
			}
			writeProblem(w, err)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// allow refuses whoever asks for what takes another role.
func (s *server) allow(ctx context.Context, need auth.Role, what string) *problemError {
	v := whoever(ctx)
	if v.role.May(need) {
		return nil
	}
	s.Log.Info("refused for its role", slog.String("token", v.name), slog.String("role", string(v.role)), slog.String("what", what))
	if need == "" {
		return problem(http.StatusForbidden, "T0809", what+" is open to no role")
	}
	return problem(http.StatusForbidden, "T0809", fmt.Sprintf("the token %s is %s's, and this takes %s's\n  help    an admin makes one: titrate token create NAME --role %s", v.name, article(v.role), article(need), need))
}

// article names a role in a sentence.
func article(r auth.Role) string {
	if r == "" {
		return "nobody"
	}
	if strings.ContainsRune("aeiou", rune(r[0])) {
		return "an " + string(r)
	}
	return "a " + string(r)
}
