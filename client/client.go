package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client calls the API of one server. Its methods are safe for several
// goroutines, and return a [*Problem] when the server refused.
type Client struct {
	URL   string // of the server: http://127.0.0.1:7070
	Token string
	HTTP  *http.Client // nil: the standard one, without a timeout of its own

	// Patience bounds the wait for one answer, also while the server is started
	// anew; 0: 30 s. Streams ([Client.Events], [Client.Logs]) last until ctx ends.
	Patience time.Duration
}

// Server asks what the server is.
func (c *Client) Server(ctx context.Context) (s Server, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/server", nil, &s)
	return s, err
}

// Apps lists the apps as they stand.
func (c *Client) Apps(ctx context.Context) (as []App, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/apps", nil, &as)
	return as, err
}

// App tells of one app.
func (c *Client) App(ctx context.Context, app string) (a App, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/apps/"+url.PathEscape(app), nil, &a)
	return a, err
}

// Releases lists an app's releases, newest first, at most limit.
func (c *Client) Releases(ctx context.Context, app string, limit int) (rs []Release, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/apps/"+url.PathEscape(app)+"/releases?limit="+strconv.Itoa(limit), nil, &rs)
	return rs, err
}

// RolloutQuery chooses rollouts; empty fields choose all.
type RolloutQuery struct {
	App, Env, Workload string
	Release            int
	Version            int  // a candidate of that version
	Active             bool // only those without an outcome
	Limit              int  // 0: 50
}

// Rollouts lists rollouts, newest first.
func (c *Client) Rollouts(ctx context.Context, q RolloutQuery) (rs []Rollout, err error) {
	v := url.Values{}
	for name, value := range map[string]string{"app": q.App, "env": q.Env, "workload": q.Workload} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, value := range map[string]int{"release": q.Release, "version": q.Version, "limit": q.Limit} {
		if value != 0 {
			v.Set(name, strconv.Itoa(value))
		}
	}
	v.Set("active", strconv.FormatBool(q.Active))
	err = c.call(ctx, http.MethodGet, "/api/v1/rollouts?"+v.Encode(), nil, &rs)
	return rs, err
}

// Rollout tells of one rollout.
func (c *Client) Rollout(ctx context.Context, id int64) (r Rollout, err error) {
	err = c.call(ctx, http.MethodGet, rolloutPath(id), nil, &r)
	return r, err
}

// History lists a rollout's stored decisions, oldest first.
func (c *Client) History(ctx context.Context, id int64) (ls []Look, err error) {
	err = c.call(ctx, http.MethodGet, rolloutPath(id)+"/history", nil, &ls)
	return ls, err
}

// Explain tells why a rollout is where it is.
func (c *Client) Explain(ctx context.Context, id int64) (e Explanation, err error) {
	err = c.call(ctx, http.MethodGet, rolloutPath(id)+"/explain", nil, &e)
	return e, err
}

// Replay feeds a rollout's stored history through the core again.
func (c *Client) Replay(ctx context.Context, id int64) (r Replay, err error) {
	err = c.call(ctx, http.MethodPost, rolloutPath(id)+"/replay", nil, &r)
	return r, err
}

// Command asks something of a rollout. It answers when that is stored and has
// been looked at: the rollout's Refused says so when it could not be done.
func (c *Client) Command(ctx context.Context, id int64, cmd CommandRequest) (r Rollout, err error) {
	err = c.call(ctx, http.MethodPost, rolloutPath(id)+"/commands", cmd, &r)
	return r, err
}

// Rollback goes back to an earlier promoted version.
func (c *Client) Rollback(ctx context.Context, app string, req RollbackRequest) (a RollbackAnswer, err error) {
	err = c.call(ctx, http.MethodPost, "/api/v1/apps/"+url.PathEscape(app)+"/rollback", req, &a)
	return a, err
}

// Diff tells what a deploy would change.
func (c *Client) Diff(ctx context.Context, app string, req DiffRequest) (ds []Difference, err error) {
	err = c.call(ctx, http.MethodPost, "/api/v1/apps/"+url.PathEscape(app)+"/diff", req, &ds)
	return ds, err
}

// Remove takes a workload out of an environment that no manifest names any more.
func (c *Client) Remove(ctx context.Context, app, env, workload string) error {
	return c.call(ctx, http.MethodDelete, envPath(app, env)+"/workloads/"+url.PathEscape(workload), nil, nil)
}

// Accessories lists an environment's databases and caches.
func (c *Client) Accessories(ctx context.Context, app, env string) (as []Accessory, err error) {
	err = c.call(ctx, http.MethodGet, envPath(app, env)+"/accessories", nil, &as)
	return as, err
}

// RemoveAccessory stops an accessory that no manifest names any more. Its data stays.
func (c *Client) RemoveAccessory(ctx context.Context, app, env, name string) error {
	return c.call(ctx, http.MethodDelete, envPath(app, env)+"/accessories/"+url.PathEscape(name), nil, nil)
}

// AskAccessory asks for a task on an accessory's data. How far it has come stands in
// what Accessories returns.
func (c *Client) AskAccessory(ctx context.Context, app, env, name string, req TaskRequest) (t Task, err error) {
	err = c.call(ctx, http.MethodPost, envPath(app, env)+"/accessories/"+url.PathEscape(name)+"/tasks", req, &t)
	return t, err
}

// Secrets lists the names of an environment's secrets.
func (c *Client) Secrets(ctx context.Context, app, env string) (ss []Secret, err error) {
	err = c.call(ctx, http.MethodGet, envPath(app, env)+"/secrets", nil, &ss)
	return ss, err
}

// SetSecret stores a secret's value. Workloads that name it get a new version.
func (c *Client) SetSecret(ctx context.Context, app, env, name, value string) error {
	return c.call(ctx, http.MethodPut, envPath(app, env)+"/secrets/"+url.PathEscape(name), map[string]string{"value": value}, nil)
}

// UnsetSecret removes a secret.
func (c *Client) UnsetSecret(ctx context.Context, app, env, name string) error {
	return c.call(ctx, http.MethodDelete, envPath(app, env)+"/secrets/"+url.PathEscape(name), nil, nil)
}

// LogQuery chooses log lines.
type LogQuery struct {
	Env, Workload, Contains string
	Version, Last           int
	Only                    map[string]int // by workload: of this version alone, and of no other workload
	Since                   time.Duration
	Follow                  bool
}

// Logs calls yield for each line until it returns false or the lines end.
func (c *Client) Logs(ctx context.Context, app string, q LogQuery, yield func(LogLine) bool) error {
	v := url.Values{}
	for name, value := range map[string]string{"env": q.Env, "workload": q.Workload, "contains": q.Contains} {
		if value != "" {
			v.Set(name, value)
		}
	}
	v.Set("version", strconv.Itoa(q.Version))
	v.Set("last", strconv.Itoa(q.Last))
	v.Set("follow", strconv.FormatBool(q.Follow))
	if q.Since > 0 {
		v.Set("since", q.Since.String())
	}
	for workload, version := range q.Only {
		v.Add("only", workload+"@v"+strconv.Itoa(version))
	}
	return c.lines(ctx, "/api/v1/apps/"+url.PathEscape(app)+"/logs?"+v.Encode(), yield)
}

// BuildLogs calls yield for each line that the app's newest build printed until it
// returns false; with failed, the newest that failed.
func (c *Client) BuildLogs(ctx context.Context, app string, failed bool, yield func(LogLine) bool) error {
	return c.lines(ctx, "/api/v1/apps/"+url.PathEscape(app)+"/builds?failed="+strconv.FormatBool(failed), yield)
}

func (c *Client) lines(ctx context.Context, path string, yield func(LogLine) bool) error {
	resp, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l LogLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("read a log line: %w", err)
		}
		if !yield(l) {
			return nil
		}
	}
	return lines.Err()
}

// Events calls yield for each event after the one numbered after, as it happens,
// until yield returns false or ctx ends. It connects again by itself and goes on
// where it was; when some are kept no longer, one of kind [EventReset] comes first.
func (c *Client) Events(ctx context.Context, after int64, yield func(Event) bool) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		last, err := c.stream(ctx, after, yield)
		if last != after {
			after, wait = last, 100*time.Millisecond
		}
		var refused *Problem
		if ctx.Err() != nil || errors.Is(err, errEnough) || errors.As(err, &refused) && refused.Status < 500 {
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

var errEnough = errors.New("the caller has enough")

// stream reads one connection's events; see the event stream format in the HTML
// standard.
func (c *Client) stream(ctx context.Context, after int64, yield func(Event) bool) (int64, error) {
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/events", nil, http.Header{"Last-Event-ID": {strconv.FormatInt(after, 10)}})
	if err != nil {
		return after, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return after, fmt.Errorf("read an event: %w", err)
		}
		after = max(after, e.ID)
		if e.Kind == EventReset { // which may lead back, to the events of a database from before
			after = e.ID
		}
		if !yield(e) {
			return after, errEnough
		}
	}
	if err := lines.Err(); err != nil {
		return after, err
	}
	return after, io.ErrUnexpectedEOF
}

func rolloutPath(id int64) string { return "/api/v1/rollouts/" + strconv.FormatInt(id, 10) }

func envPath(app, env string) string {
	return "/api/v1/apps/" + url.PathEscape(app) + "/environments/" + url.PathEscape(env)
}

// ErrSilent is wrapped when the server took the connection and gave no answer:
// its socket is open while it starts again and again.
var ErrSilent = errors.New("the server does not answer")

const patience = 30 * time.Second

// call asks once and reads the whole answer.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	wait := c.Patience
	if wait == 0 {
		wait = patience
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, ErrSilent)
	defer cancel()
	resp, err := c.do(ctx, method, path, body, nil)
	if err != nil && errors.Is(context.Cause(ctx), ErrSilent) {
		return fmt.Errorf("%w\n  where   %s\n  saw     nothing for %v", ErrSilent, c.URL, wait)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil || resp.StatusCode == http.StatusNoContent {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the server's answer to %s %s: %w", method, path, err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, body any, head http.Header) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, content)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	for name, values := range head {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	hc := c.HTTP
	if hc == nil {
		hc = http.DefaultClient
	}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach the server: %w", err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	p := &Problem{Status: resp.StatusCode, Title: resp.Status}
	// An answer that is no problem document still has its status line.
	_ = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(p)
	return nil, p
}
