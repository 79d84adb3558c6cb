package local

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"

	"titrate/internal/httpevent"
	"titrate/internal/httpevent/jwt"
	"titrate/internal/rollout"
)

// door is what stands between requests and a function: the workload's routes, and who
// may come in. Of it only told changes once made; nil triggers are those of a function that
// is called at any path.
type door struct {
	triggers *rollout.Triggers
	router   *httpevent.Router // nil: all is $default
	old      bool              // payload 1.0
	cors     *httpevent.CORS   // nil: none
	auth     *jwt.Authorizer   // nil: anybody, unless shut
	shut     bool              // nobody: who may come in cannot be told
	told     atomic.Int64      // when it was told last why a request was refused, in nanoseconds
}

// newDoor makes one. Manifests are checked long before: what cannot be used here is told
// in the log, and lets nobody in rather than everybody.
func (s *Supervisor) newDoor(k rollout.Key, t *rollout.Triggers) *door {
	d := &door{triggers: t}
	if t == nil {
		return d
	}
	tell := func(what string, err error) {
		s.cfg.Log.Error("a function's triggers cannot be used", slog.String("app", k.App), slog.String("env", k.Env), slog.String("workload", k.Workload), slog.String("what", what), slog.Any("error", err))
	}
	d.old = t.Payload == "1.0"
	if len(t.Routes) > 0 {
		var routes []httpevent.Route
		for _, key := range t.Routes {
			routes = append(routes, httpevent.Route{Key: key, Function: k.Workload, Place: k.String()})
		}
		router, err := httpevent.NewRouter(routes)
		if err != nil {
			tell("routes", err)
		}
		d.router = router
	}
	if c := t.CORS; c != nil {
		d.cors = &httpevent.CORS{Origins: c.Origins, Methods: c.Methods, Headers: c.Headers, Expose: c.Expose, MaxAge: c.MaxAge, Credentials: c.Credentials}
	}
	if t.JWT != nil {
		auth, err := s.authorizer(*t.JWT)
		if err != nil {
			tell("jwt", err)
		}
		d.auth, d.shut = auth, err != nil
	}
	return d
}

// authorizer returns the one for an issuer and what is asked of its tokens: it keeps the
// issuer's keys, over versions and over workloads. The caller holds mu.
func (s *Supervisor) authorizer(want rollout.JWT) (*jwt.Authorizer, error) {
	text, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	name := string(text)
	if a := s.authorizers[name]; a != nil {
		return a, nil
	}
	a, err := jwt.New(jwt.Config{Issuer: want.Issuer, Audience: want.Audiences, Scopes: want.Scopes, Now: s.cfg.Now})
	if err != nil {
		return nil, err
	}
	s.authorizers[name] = a
	return a, nil
}

// match finds the route of a request. The gateway has led it here: what matches none of
// the routes, as a call from a fellow workload may, is $default's.
func (d *door) match(r *http.Request) httpevent.Match {
	if d.router != nil {
		if m, ok := d.router.Match(r.Method, r.URL.EscapedPath()); ok {
			return m
		}
	}
	return httpevent.Match{Key: "$default", Path: "$default"}
}

// event is the request as the function gets it.
func (d *door) event(c httpevent.Call) ([]byte, error) {
	if d.old {
		return httpevent.Payload1(c)
	}
	return httpevent.Payload2(c)
}

// read is the function's answer as the client gets it.
func (d *door) read(body []byte) (httpevent.Answer, error) {
	if d.old {
		return httpevent.ParseAnswer1(body)
	}
	return httpevent.ParseAnswer2(body)
}
