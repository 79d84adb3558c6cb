// Package lambdaapi answers the part of AWS Lambda's API with which functions are called
// and released, so that tools and SDKs which know that service work with Titrate's
// functions: aws lambda invoke --endpoint-url http://127.0.0.1:7070/lambda/APP/ENV.
//
// Versions are made by pushes, and the alias live is the split of the traffic: it is read
// from there, and to change it is a command to the rollout in progress. There is no other
// alias and nothing is stored here, so that alias and versions cannot disagree.
//
// Source: "AWS Lambda API reference", versions 2015-03-31 and, of InvokeWithResponseStream, 2021-11-15.
package lambdaapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"titrate/internal/auth"
	"titrate/internal/functions"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/sigv4"
)

// Config is what the API stands on.
type Config struct {
	Functions *functions.Catalogue // never nil
	Signers   *auth.Signers        // whose keys requests are signed with; never nil
	Limit     *auth.Limit          // on wrong signatures from elsewhere; nil: there is none
	// From is where a request comes from, and whether that is not this machine.
	From func(*http.Request) (at netip.Addr, far bool)
	// Obeyed waits until a command of a rollout after the one numbered before was carried
	// out or refused.
	Obeyed func(ctx context.Context, id, before int64) (rollout.Record, error)
	Now    func() time.Time
	Log    *slog.Logger
}

type server struct{ Config }

// call is one request that was let in.
type call struct {
	http.ResponseWriter
	r        *http.Request
	app, env string
	body     []byte
	who      string
	role     auth.Role
	action   string // lambda:InvokeFunction
}

// New returns the API, to be served below /lambda/. It checks who asks by itself.
func New(cfg Config) http.Handler {
	s := &server{cfg}
	mux := http.NewServeMux()
	const root = " /lambda/{app}/{env}/"
	on := func(method, path, action string, need auth.Role, do func(context.Context, *call) error) {
		mux.HandleFunc(method+root+"2015-03-31/functions"+path, s.admit(action, need, do))
	}
	mux.HandleFunc("POST"+root+"2021-11-15/functions/{name}/response-streaming-invocations", s.admit("InvokeFunction", auth.Deployer, s.invokeStream))
	on("POST", "/{name}/invocations", "InvokeFunction", auth.Deployer, s.invoke)
	on("GET", "", "ListFunctions", auth.Viewer, s.listFunctions)
	on("GET", "/{$}", "ListFunctions", auth.Viewer, s.listFunctions)
	on("GET", "/{name}", "GetFunction", auth.Viewer, s.function)
	on("GET", "/{name}/configuration", "GetFunctionConfiguration", auth.Viewer, s.functionConfiguration)
	on("GET", "/{name}/versions", "ListVersionsByFunction", auth.Viewer, s.listVersions)
	on("POST", "/{name}/versions", "PublishVersion", auth.Deployer, s.publishVersion)
	on("GET", "/{name}/aliases", "ListAliases", auth.Viewer, s.listAliases)
	on("POST", "/{name}/aliases", "CreateAlias", auth.Deployer, s.createAlias) // and as what it comes to asks
	on("GET", "/{name}/aliases/{alias}", "GetAlias", auth.Viewer, s.getAlias)
	on("PUT", "/{name}/aliases/{alias}", "UpdateAlias", auth.Deployer, s.updateAlias) // and as what it comes to asks
	on("DELETE", "/{name}/aliases/{alias}", "DeleteAlias", auth.Deployer, s.deleteAlias)
	mux.HandleFunc("/lambda/", s.admit("", auth.Viewer, func(_ context.Context, c *call) error {
		return &fault{http.StatusNotFound, "UnknownOperationException", "there is no " + c.r.Method + " " + c.r.URL.Path +
			": of Lambda's API there are Invoke, InvokeWithResponseStream, GetFunction, GetFunctionConfiguration, ListFunctions, ListVersionsByFunction, PublishVersion and the calls of the alias live, below /lambda/APP/ENV", ""}
	}))
	return mux
}

// admit checks the signature and the role of a request before it is carried out.
func (s *server) admit(action string, need auth.Role, do func(context.Context, *call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Requestid", requestID())
		w.Header().Set("Cache-Control", "no-store")
		c := &call{ResponseWriter: w, r: r, app: r.PathValue("app"), env: r.PathValue("env"), action: "lambda:" + action}
		err := s.enter(c)
		if err == nil {
			err = c.allow(need)
		}
		if err == nil {
			err = do(r.Context(), c)
		}
		if err != nil {
			s.refuse(c, err)
		}
	}
}

// bodyWithin is how long a request may take to arrive.
const bodyWithin = time.Minute

// enter reads the request and finds who signed it. From where too many signatures were
// wrong, nobody is listened to for a while.
func (s *server) enter(c *call) error {
	now := s.Now()
	at, far := s.From(c.r)
	if s.Limit != nil && far {
		if wait := s.Limit.Wait(at, now); wait > 0 {
			c.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			return &fault{http.StatusTooManyRequests, "TooManyRequestsException", "too many wrong signatures from " + at.String(), ""}
		}
	}
	var whose auth.Token
	verify := sigv4.Verifier{Service: "lambda", Now: s.Now, Secret: func(id string) (secret string, known bool) {
		whose, secret, known = s.Signers.Find(id)
		return secret, known
	}}
	if c.r.Header.Get("Authorization") != "" || c.r.URL.Query().Has("X-Amz-Algorithm") { // else nothing is read of it
		// It comes soon, or not at all; what is answered then may take its time.
		conn := http.NewResponseController(c.ResponseWriter)
		_ = conn.SetReadDeadline(time.Now().Add(bodyWithin)) // where there is none, it is bounded by whoever leads here
		body, err := io.ReadAll(http.MaxBytesReader(c.ResponseWriter, c.r.Body, node.MaxPayload))
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return &fault{http.StatusRequestEntityTooLarge, "RequestTooLargeException", "Request must be smaller than " + strconv.Itoa(node.MaxPayload) + " bytes for the " + c.action[len("lambda:"):] + " operation", ""}
		}
		if err != nil {
			return &fault{http.StatusBadRequest, "InvalidRequestContentException", "the request broke off: " + err.Error(), ""}
		}
		_ = conn.SetReadDeadline(time.Time{})
		c.body = body
	}
	_, err := verify.Verify(c.r, c.body)
	if err != nil {
		if s.Limit != nil && far {
			s.Limit.Failed(at, now)
		}
		return err
	}
	if whose.Expired(now) {
		return &fault{http.StatusForbidden, "ExpiredTokenException", "the token " + whose.Name + " has expired at " + whose.Expires.Format(time.RFC3339), ""}
	}
	s.Signers.Used(whose.Name, now)
	c.who, c.role = whose.Name, whose.Role
	return nil
}

// allow refuses whoever asks for what takes another role.
func (c *call) allow(need auth.Role) error {
	if c.role.May(need) {
		return nil
	}
	return &fault{http.StatusForbidden, "AccessDeniedException", "User: " + c.who + " is not authorized to perform: " + c.action +
		" because its token's role is " + string(c.role) + ", and this takes " + string(need) + ": titrate token create NAME --role " + string(need) + " --aws", ""}
}
