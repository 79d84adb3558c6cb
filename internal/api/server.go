package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"titrate/client"
	"titrate/internal/auth"
	"titrate/internal/controller"
	"titrate/internal/functions"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/secrets"
	"titrate/internal/store"
)

// Config is what the API stands on.
type Config struct {
	Controller *controller.Controller
	Store      *store.Store
	Node       *node.Client
	Secrets    *secrets.Store
	Git        http.Handler // the git remote, below /git/
	Token      string       // the data folder's credential; never empty
	Tokens     *auth.Book   // the others; never nil
	Limit      *auth.Limit  // on wrong ones from elsewhere; nil: there is none
	// Signers are whose requests carry a signature in place of a token; nil: nobody's.
	Signers *auth.Signers
	// Lambda answers what lies below /lambda/. It lets nobody in by itself who has not
	// signed: no token opens it. Nil: there is nothing.
	Lambda  http.Handler
	Gateway string // what the gateway shows in [HeaderGateway]; empty: it leads nobody here
	About   client.Server
	// Preview returns an address at which a version is reached past the split until a
	// moment; empty when there is none. Nil: there never is.
	Preview func(k rollout.Key, v rollout.Version, until time.Time) string
	// BuildLogs returns the files that the build of a push wrote, oldest first.
	BuildLogs func(app string, push int64) ([]string, error)
	Engine    func(context.Context) *client.Engine // the container engine; nil: there is none
	Confined  []string                             // what this machine cannot confine, beside what the node says
	Log       *slog.Logger
}

type server struct {
	Config
	done <-chan struct{} // closed when the server ends: streams end with it
}

// New returns the whole HTTP door. Streams end with ctx.
func New(ctx context.Context, cfg Config) http.Handler {
	mux := http.NewServeMux()
	s := &server{Config: cfg, done: ctx.Done()}
	s.register(mux)
	if cfg.Git != nil {
		mux.Handle("/git/", cfg.Git)
		mux.Handle("/", shortGit(cfg.Git))
	}
	return limited(sameSite(s.signed(newDoor(&s.Config).authenticate(s.authorize(mux)))))
}

// signed leads requests below /lambda/ past the tokens, to where signatures are checked.
func (s *server) signed(next http.Handler) http.Handler {
	if s.Lambda == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/lambda/") {
			s.Lambda.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

var gitForm = regexp.MustCompile(`^/[^/]+(?:/[^/]+)?\.git/`)

// shortGit is the git remote at /APP.git and /APP/REPO.git too: https://HOST/APP.git is what people type.
func shortGit(git http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !gitForm.MatchString(r.URL.Path) {
			writeProblem(w, problem(http.StatusNotFound, "", "there is nothing at "+r.URL.Path))
			return
		}
		at := *r.URL
		at.Path, at.RawPath = "/git"+at.Path, ""
		r = r.WithContext(r.Context()) // a copy: the URL is the caller's
		r.URL = &at
		git.ServeHTTP(w, r)
	})
}

// register adds the operations, and the OpenAPI document at /api/openapi.json.
func (s *server) register(mux *http.ServeMux) huma.API {
	hc := huma.DefaultConfig("Titrate", s.About.Version)
	hc.OpenAPIPath, hc.DocsPath, hc.SchemasPath = "/api/openapi", "", ""
	hc.CreateHooks = nil // no $schema member: answers hold what is asked for
	hc.Transformers = []huma.Transformer{coded}
	hc.Info.Description = "What a server of Titrate tells and takes. Errors are problem documents (RFC 9457) whose code has a page: titrate explain CODE."
	hc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	hc.Security = []map[string][]string{{"token": {}}}
	api := humago.New(mux, hc)
	s.registerApps(api)
	s.registerRollouts(api)
	s.registerSecrets(api)
	s.registerCertificates(api)
	s.registerAccessories(api)
	s.registerFunctions(api)
	s.registerQueues(api)
	s.registerTokens(api)
	s.registerStreams(api, mux)
	return api
}

// limited bounds what a request without a stream may hold on to.
func limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

// problem turns an error into what the caller is told. What is not the caller's
// fault is logged here, where it ends.
func (s *server) problem(ctx context.Context, err error) *problemError {
	var known *problemError
	var p *controller.Problem
	var unset *secrets.UnsetError
	var name *secrets.NameError
	var called *auth.NameError
	var fault *store.FaultError
	var call *functions.CallError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &p):
		return fromController(p)
	case errors.Is(err, auth.ErrRole):
		return problem(http.StatusUnprocessableEntity, "T0803", err.Error())
	case errors.As(err, &unset), errors.As(err, &name), errors.As(err, &called):
		return problem(http.StatusUnprocessableEntity, codeIn(err), err.Error())
	case errors.As(err, &call):
		return problem(callStatus(call.Code), call.Code, err.Error())
	case errors.As(err, &fault):
		s.Log.Error("the store is in trouble", slog.Any("error", err))
		return problem(http.StatusServiceUnavailable, fault.Code, err.Error())
	case errors.Is(err, rollout.ErrUnknown), errors.Is(err, secrets.ErrUnset), errors.Is(err, auth.ErrUnknown):
		return problem(http.StatusNotFound, cmp.Or(codeIn(err), "T0802"), err.Error())
	case ctx.Err() != nil:
		return problem(http.StatusServiceUnavailable, "", "the caller went away, or the server ends")
	}
	s.Log.Error("a request failed", slog.Any("error", err))
	return problem(http.StatusInternalServerError, codeIn(err), err.Error())
}

// callStatus is the status of a call that did not reach its function or queue.
func callStatus(code string) int {
	switch code {
	case functions.CodeName, functions.CodeVersion, functions.CodeQueue:
		return http.StatusNotFound
	case functions.CodeEvent:
		return http.StatusUnprocessableEntity
	case functions.CodeProbe:
		return http.StatusConflict
	}
	return http.StatusServiceUnavailable
}

var codeForm = regexp.MustCompile(`^error\[(T\d{4})\]: `)

// codeIn is the code that an error's text begins with; empty when it has none.
func codeIn(err error) string {
	if m := codeForm.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return ""
}

func fromController(p *controller.Problem) *problemError {
	status, code := http.StatusInternalServerError, ""
	switch p.Kind {
	case controller.NotFound:
		status, code = http.StatusNotFound, "T0802"
	case controller.Conflict, controller.Rejected:
		status, code = http.StatusConflict, "T0804"
	case controller.Invalid, controller.BuildFailed:
		status, code = http.StatusUnprocessableEntity, "T0803"
	case controller.Unavailable:
		status, code = http.StatusServiceUnavailable, "T0805"
	}
	text := p.Message
	if own := codeIn(p); own != "" {
		code = own
	}
	if p.Hint != "" {
		text += "\n  help    " + p.Hint
	}
	return problem(status, code, text)
}
