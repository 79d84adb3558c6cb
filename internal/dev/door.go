package dev

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/client"
	"titrate/internal/durable"
	"titrate/internal/events"
	"titrate/internal/functions"
	"titrate/internal/gateway"
	"titrate/internal/queue"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// Env is the environment under which what runs here is asked for.
const Env = env

// Door is where a run is asked. It speaks of the API of a server what calls functions and
// fills queues, to whoever may read the folder that it is written to.
type Door struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

const doorFile = "door.json"

// FindDoor returns the door of the titrate dev that keeps its things in dir. Where none
// runs, the error says so.
func FindDoor(ctx context.Context, dir string) (d Door, err error) {
	text, err := os.ReadFile(filepath.Join(dir, doorFile))
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err == nil {
		var c net.Conn
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if c, err = new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(d.URL, "http://")); err == nil {
			c.Close()
			return d, nil
		}
	}
	return d, fmt.Errorf("error[T0594]: no titrate dev runs for this folder: %w\n  where   %s\n  help    titrate dev, in another terminal; without --dev a server is asked", err, dir)
}

// door serves until ctx ends.
func (d *dev) door(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at := Door{URL: "http://" + l.Addr().String(), Token: rand.Text()}
	text, err := json.Marshal(at)
	if err == nil {
		err = durable.WriteFile(d.path(doorFile), text)
	}
	if err != nil {
		l.Close()
		return fmt.Errorf("write where it is asked: %w", err)
	}
	s := &http.Server{Handler: behind(at.Token, d.asked()), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	err = s.Serve(l)
	if rerr := os.Remove(d.path(doorFile)); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		d.say.fault(rerr)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// behind lets through who has the token.
func behind(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+token)) != 1 {
			write(w, http.StatusUnauthorized, client.Problem{Status: http.StatusUnauthorized, Title: "Unauthorized", Detail: "this is another titrate dev than the one that was meant"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// asked is what may be asked, at the addresses that a server has for it.
func (d *dev) asked() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, do func(r *http.Request, app, name string) (any, error)) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v1/apps/{app}/environments/"+env+path, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, mostAsked)
			got, err := do(r, r.PathValue("app"), r.PathValue("name"))
			if err != nil {
				p := d.problem(r, err)
				write(w, p.Status, p)
				return
			}
			write(w, http.StatusOK, got)
		})
	}
	on("POST /functions/{name}/invoke", d.invoke)
	on("GET /queues", d.queues)
	on("POST /queues/{name}/messages", func(r *http.Request, app, name string) (any, error) {
		var req client.SendRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			return nil, fmt.Errorf("%w: %w", events.ErrContent, err)
		}
		m := events.Message{Body: []byte(req.Body), Delay: time.Duration(req.Delay * float64(time.Second)), Dedup: req.Dedup, Attributes: map[string]events.Attribute{}}
		for name, value := range req.Attributes {
			m.Attributes[name] = events.Attribute{Type: "String", Value: []byte(value)}
		}
		id, err := d.events.Send(r.Context(), app, env, name, m)
		return client.Sent{ID: id}, err
	})
	on("GET /queues/{name}/messages", d.messages)
	on("DELETE /queues/{name}/messages", func(r *http.Request, app, name string) (any, error) {
		n, err := d.events.Purge(r.Context(), app, env, name)
		return client.Moved{Messages: int(n)}, err
	})
	on("POST /queues/{name}/redrive", func(r *http.Request, app, name string) (any, error) {
		n, err := d.events.Redrive(r.Context(), app, env, name, 0)
		return client.Moved{Messages: int(n)}, err
	})
	return mux
}

// mostAsked bounds a request: an event of 6 MiB, and what is said beside it.
const mostAsked = 6<<20 + 64<<10

func (d *dev) invoke(r *http.Request, app, name string) (any, error) {
	var req client.InvokeRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return nil, fmt.Errorf("%w: %w", events.ErrContent, err)
	}
	if len(req.Event) == 0 {
		req.Event = json.RawMessage("{}")
	}
	k, v := rollout.Key{App: app, Env: env, Workload: functions.Name(name)}, rollout.Version(req.Version)
	if !slices.Contains(d.called(), k.Workload) {
		return nil, fmt.Errorf("%s: %w", name, gateway.ErrNoWorkload)
	}
	switch req.Kind {
	case "event":
		id, err := d.events.Invoke(r.Context(), k, req.Event, events.Which{Version: v, Stable: req.Stable})
		return client.Invoked{ID: id, Version: req.Version, Status: http.StatusAccepted}, err
	case "dry-run":
		return client.Invoked{Version: req.Version, Status: http.StatusNoContent}, nil
	}
	got, err := d.gateway.Deliver(r.Context(), k, gateway.Event{Payload: req.Event, Version: v, Stable: req.Stable, ClientContext: string(req.ClientContext), Tail: req.Tail})
	if err != nil {
		return nil, err
	}
	answer := json.RawMessage(got.Answer)
	if len(answer) > 0 && !json.Valid(answer) {
		if answer, err = json.Marshal(string(got.Answer)); err != nil {
			return nil, err
		}
	}
	return client.Invoked{
		Version: int(got.Version), Status: http.StatusOK, Answer: answer, Failure: string(got.Failure), Type: got.Type, Message: got.Message, Tail: got.Tail, Cold: got.Cold,
	}, nil
}

func (d *dev) queues(r *http.Request, app, _ string) (any, error) {
	all, err := d.events.Queues(r.Context(), app, env)
	out := []client.Queue{}
	for _, q := range all {
		if q.Own && q.Visible+q.InFlight+q.Delayed == 0 {
			continue
		}
		out = append(out, client.Queue{
			Name: q.Name, Visible: int(q.Visible), InFlight: int(q.InFlight), Delayed: int(q.Delayed), Oldest: q.Age.Seconds(), Calls: q.Calls,
			DeadLetter: q.DeadLetter, DeadOf: q.For, MaxReceive: q.MaxReceive, Visibility: q.Visibility.Seconds(), Retention: q.Retention.Seconds(),
		})
	}
	return out, err
}

func (d *dev) messages(r *http.Request, app, name string) (any, error) {
	limit, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("limit"), "10"))
	if err != nil || limit < 1 || limit > 100 {
		return nil, fmt.Errorf("%w: limit is a number from 1 to 100", events.ErrContent)
	}
	all, err := d.events.Peek(r.Context(), app, env, name, limit)
	out := []client.Message{}
	for _, m := range all {
		out = append(out, client.Message{ID: m.ID, Body: string(m.Body), Attributes: m.Attributes, Sent: m.Sent, Received: m.Received, From: m.Source})
	}
	return out, err
}

// called are the functions that run here, or are to.
func (d *dev) called() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.functions
}

// callable notes which functions the world has.
func (d *dev) callable(w world.Wanted) {
	var names []string
	for _, wl := range w.Workloads {
		if wl.Triggers != nil {
			names = append(names, wl.Key.Workload)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.functions = names
}

// problem is what is said of a request that could not be done.
func (d *dev) problem(r *http.Request, err error) client.Problem {
	p := client.Problem{Status: http.StatusServiceUnavailable, Code: functions.CodeNotReady, Detail: err.Error() + "\n  help    titrate dev says what it does not run, and why"}
	some := func(names []string) string {
		if len(names) == 0 {
			return "\n  saw     none"
		}
		return "\n  saw     " + strings.Join(names[:min(len(names), 8)], ", ")
	}
	switch {
	case errors.Is(err, gateway.ErrNoWorkload), errors.Is(err, gateway.ErrNotFunction):
		p.Status, p.Code = http.StatusNotFound, functions.CodeName
		p.Detail = fmt.Sprintf("titrate dev runs no function %s", r.PathValue("name")) + some(d.called())
	case errors.Is(err, gateway.ErrNoVersion):
		p.Status, p.Code, p.Detail = http.StatusNotFound, functions.CodeVersion, err.Error()+"\n  help    leave --version out"
	case errors.Is(err, events.ErrUnknown), errors.Is(err, queue.ErrUnknown):
		p.Status, p.Code = http.StatusNotFound, functions.CodeQueue
		all, _ := d.events.Queues(r.Context(), r.PathValue("app"), env) // else it says less
		var names []string
		for _, q := range all {
			if !q.Own {
				names = append(names, q.Name)
			}
		}
		p.Detail = fmt.Sprintf("titrate dev has no queue %s", r.PathValue("name")) + some(names)
	case errors.Is(err, events.ErrContent), errors.Is(err, queue.ErrLimit):
		p.Status, p.Code, p.Detail = http.StatusUnprocessableEntity, functions.CodeEvent, err.Error()
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// write answers with JSON. Who has gone has no use for it.
func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
