package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Function is one function of an environment as it stands.
type Function struct {
	Name      string            `json:"name"`
	Triggers  []string          `json:"triggers" doc:"what calls it: GET /pickups/{id}, cron(0 2 * * ? *), queue orders, topic inventory"`
	Runtime   string            `json:"runtime,omitempty"`
	Handler   string            `json:"handler,omitempty"`
	Timeout   float64           `json:"timeout" doc:"seconds that one invocation may take"`
	Memory    int64             `json:"memory,omitempty" doc:"bytes that one instance may use"`
	Min       int               `json:"min" doc:"instances kept while idle"`
	Max       int               `json:"max" doc:"instances of a version at work at a time"`
	Stable    int               `json:"stable" doc:"version that was promoted last; 0: none"`
	Newest    int               `json:"newest" doc:"highest version number given"`
	Candidate int               `json:"candidate,omitempty" doc:"of the rollout in progress"`
	Rollout   int64             `json:"rollout,omitempty" doc:"in progress"`
	Versions  []FunctionVersion `json:"versions" doc:"that can be called, oldest first"`
}

// FunctionVersion is a version of a function that can be called.
type FunctionVersion struct {
	Version     int     `json:"version"`
	Release     int     `json:"release"`
	Role        string  `json:"role" enum:"stable,candidate,old"`
	Weight      float64 `json:"weight" doc:"share of its events, percent"`
	Ready       int     `json:"ready"`
	Invoked     uint64  `json:"invoked" doc:"real invocations that have ended, ever"`
	Concurrency int     `json:"concurrency" doc:"most that were at work at a time in the last five minutes"`
	Drawn       uint64  `json:"drawn" doc:"events since its weight changed"`
	RPS         float64 `json:"rps" doc:"over the last ten seconds"`
	Errors      float64 `json:"errors" doc:"share that failed over the last ten seconds, percent"`
	P50         float64 `json:"p50" doc:"milliseconds, over the last ten seconds"`
	P99         float64 `json:"p99" doc:"milliseconds, over the last ten seconds"`
	Failure     string  `json:"failure,omitempty" doc:"why it could not be started"`
	Refused     string  `json:"refused,omitempty" doc:"why it is not tried again"`
}

// InvokeRequest calls a function.
type InvokeRequest struct {
	Event         json.RawMessage `json:"event,omitempty" doc:"JSON; absent: {}"`
	Version       int             `json:"version,omitempty" minimum:"0" doc:"0: drawn by weight, as every event is"`
	Stable        bool            `json:"stable,omitempty" doc:"the stable version"`
	Kind          string          `json:"kind,omitempty" enum:"sync,event,dry-run" doc:"absent: sync"`
	ClientContext json.RawMessage `json:"client_context,omitempty" doc:"JSON, as mobile SDKs send it"`
	Tail          bool            `json:"tail,omitempty" doc:"the last lines that it writes are wanted"`
}

// ProbeRequest has the version that waits at 0 % called.
type ProbeRequest struct {
	Event json.RawMessage `json:"event,omitempty" doc:"JSON; absent: the version's own probe"`
}

// Invoked is how a call went. One that the function failed has a Failure.
type Invoked struct {
	ID      string          `json:"id,omitempty"`
	Version int             `json:"version,omitempty" doc:"that was called; absent: none was, yet"`
	Status  int             `json:"status" doc:"as Lambda's Invoke has it: 200, 202 when it was stored, 204 of a dry run, 429 when it was throttled"`
	Answer  json.RawMessage `json:"answer,omitempty" doc:"a string where the function answered no JSON"`
	Failure string          `json:"failure,omitempty" doc:"unhandled, timeout, memory, exit, init, too-large, malformed, throttled, stopped or canceled"`
	Type    string          `json:"type,omitempty" doc:"as AWS names it: Runtime.ExitError, Sandbox.Timeout"`
	Message string          `json:"message,omitempty"`
	Tail    string          `json:"tail,omitempty" doc:"the last lines that it wrote"`
	Cold    bool            `json:"cold,omitempty" doc:"an instance was started for it"`
}

// Credentials are for AWS's tools and SDKs, in place of a token.
type Credentials struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	Name            string `json:"name" doc:"of the token that they stand for: its role is theirs, and they end with it"`
	Endpoint        string `json:"endpoint" doc:"of the Lambda API, before /APP/ENV"`
}

// invokeFor is how long an answer is waited for: the longest that a function may take,
// and its start.
const invokeFor = 16 * time.Minute

// Functions lists an environment's functions, by name.
func (c *Client) Functions(ctx context.Context, app, env string) (fs []Function, err error) {
	err = c.call(ctx, http.MethodGet, envPath(app, env)+"/functions", nil, &fs)
	return fs, err
}

// Invoke calls a function, and waits for its answer: at most sixteen minutes.
func (c *Client) Invoke(ctx context.Context, app, env, name string, req InvokeRequest) (i Invoked, err error) {
	err = c.patiently().call(ctx, http.MethodPost, functionPath(app, env, name)+"/invoke", req, &i)
	return i, err
}

// Probe calls the version of a function that waits at 0 %.
func (c *Client) Probe(ctx context.Context, app, env, name string, req ProbeRequest) (i Invoked, err error) {
	err = c.patiently().call(ctx, http.MethodPost, functionPath(app, env, name)+"/probe", req, &i)
	return i, err
}

// Credentials returns what AWS's tools sign with, for the token that this client has.
func (c *Client) Credentials(ctx context.Context) (k Credentials, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/credentials", nil, &k)
	return k, err
}

func (c *Client) patiently() *Client {
	p := *c
	p.Patience = max(p.Patience, invokeFor)
	return &p
}

// functionPath is where a function is. Its name may be a path, whose slashes are escaped.
func functionPath(app, env, name string) string {
	return envPath(app, env) + "/functions/" + url.PathEscape(name)
}
