package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
	"titrate/internal/functions"
	"titrate/internal/node"
	"titrate/internal/rollout"
)

// FunctionPath is the part of an address that names a function: its workload, or its
// path as the manifest has it.
type FunctionPath struct {
	EnvPath
	Name string `path:"name" maxLength:"200" doc:"the workload's name, or the path in the manifest, its slashes escaped"`
}

func (s *server) registerFunctions(api huma.API) {
	const path = "/apps/{app}/environments/{env}/functions"
	huma.Register(api, operation(http.MethodGet, path, "functions", "The functions of an environment"), handle(s, s.listFunctions))
	invoke := operation(http.MethodPost, path+"/{name}/invoke", "invoke", "Call a function")
	probe := operation(http.MethodPost, path+"/{name}/probe", "probe", "Call the version of a function that waits at 0 %, which counts nowhere")
	for _, op := range []*huma.Operation{&invoke, &probe} {
		op.MaxBodyBytes = node.MaxPayload + 64<<10
		op.BodyReadTimeout = time.Minute
	}
	huma.Register(api, invoke, handle(s, s.invoke))
	huma.Register(api, probe, handle(s, s.probe))
	huma.Register(api, operation(http.MethodGet, "/credentials", "credentials", "What AWS's tools sign with, for the token that asks"), handle(s, s.credentials))
}

func (s *server) catalogue() *functions.Catalogue {
	return &functions.Catalogue{Controller: s.Controller, Store: s.Store, Node: s.Node}
}

func (s *server) listFunctions(ctx context.Context, in *EnvPath) ([]client.Function, error) {
	all, err := s.catalogue().List(ctx, in.App, in.Env)
	if err != nil {
		return nil, err
	}
	out := []client.Function{}
	for _, f := range all {
		w, err := s.wireFunction(ctx, f)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

func (s *server) wireFunction(ctx context.Context, f functions.Function) (client.Function, error) {
	w := client.Function{
		Name: f.Key.Workload, Triggers: functions.Describe(f.Triggers), Min: f.Scale.Min, Max: f.Scale.Max,
		Stable: int(f.Stable), Newest: int(f.Newest), Candidate: int(f.Candidate), Rollout: f.Rollout, Versions: []client.FunctionVersion{},
	}
	for _, r := range f.Running {
		v := client.FunctionVersion{
			Version: int(r.Version), Release: int(r.Release), Role: "old", Weight: percent(r.Asked), Ready: r.Ready, Invoked: r.Invoked, Concurrency: r.Concurrency,
			Drawn: r.Drawn, RPS: r.Recent.RPS, Errors: 100 * r.Recent.Failed, P50: ms(r.Recent.P50), P99: ms(r.Recent.P99), Failure: r.Failure, Refused: r.Refused,
		}
		switch r.Version {
		case f.Stable:
			v.Role = "stable"
		case f.Candidate:
			v.Role = "candidate"
		}
		w.Versions = append(w.Versions, v)
	}
	record, err := s.Store.Version(ctx, f.Key, cmp.Or(f.Latest(), f.Newest))
	if errors.Is(err, rollout.ErrUnknown) {
		return w, nil
	}
	if run := record.Config.Function; err == nil && run != nil {
		w.Runtime, w.Handler = cmp.Or(run.Runtime, record.Artifact.Runtime), cmp.Or(run.Handler, record.Artifact.Handler)
		w.Timeout, w.Memory = run.Timeout.Seconds(), record.Config.Limits.Memory
	}
	return w, err
}

func (s *server) invoke(ctx context.Context, in *struct {
	FunctionPath
	Body client.InvokeRequest
},
) (client.Invoked, error) {
	if in.Body.Stable && in.Body.Version != 0 {
		return client.Invoked{}, problem(http.StatusUnprocessableEntity, "T0803", "a version and the stable one at once\n  help    keep one of them")
	}
	return s.call(ctx, in.FunctionPath, node.Invocation{
		Version: rollout.Version(in.Body.Version), Stable: in.Body.Stable, Kind: node.InvocationKind(cmp.Or(in.Body.Kind, string(node.Sync))),
		Payload: in.Body.Event, ClientContext: string(in.Body.ClientContext), Tail: in.Body.Tail,
	})
}

// probe calls what waits at 0 %, with the version's own probe or another event.
func (s *server) probe(ctx context.Context, in *struct {
	FunctionPath
	Body client.ProbeRequest
},
) (client.Invoked, error) {
	f, err := s.catalogue().Find(ctx, in.App, in.Env, in.Name)
	if err != nil {
		return client.Invoked{}, err
	}
	v := f.Waiting()
	if v == 0 {
		return client.Invoked{}, problem(http.StatusConflict, functions.CodeProbe, fmt.Sprintf("no version of %s waits at 0 %%\n  help    titrate fn invoke %s --version v%d calls the newest that runs", f.Key.Workload, f.Key.Workload, f.Latest()))
	}
	event := in.Body.Event
	if len(event) == 0 {
		record, err := s.Store.Version(ctx, f.Key, v)
		if err != nil {
			return client.Invoked{}, err
		}
		if record.Config.Function == nil || len(record.Config.Function.Probe) == 0 {
			return client.Invoked{}, problem(http.StatusConflict, functions.CodeProbe, fmt.Sprintf("%s of %s has no probe: that it starts is enough\n  help    give one: titrate fn probe %s --event '{…}', or probe: in titrate.yaml", v, f.Key.Workload, f.Key.Workload))
		}
		event = record.Config.Function.Probe
	}
	return s.call(ctx, in.FunctionPath, node.Invocation{Version: v, Kind: node.Sync, Payload: event, Tail: true})
}

// call has the node call a function.
func (s *server) call(ctx context.Context, at FunctionPath, i node.Invocation) (client.Invoked, error) {
	i.Key = rollout.Key{App: at.App, Env: at.Env, Workload: functions.Name(at.Name)}
	if len(bytes.TrimSpace(i.Payload)) == 0 {
		i.Payload = []byte("{}")
	}
	got, err := s.Node.Invoke(ctx, i)
	if err != nil {
		return client.Invoked{}, s.catalogue().Explain(ctx, at.Name, i, err)
	}
	return wireInvoked(got), nil
}

func wireInvoked(i node.Invoked) client.Invoked {
	return client.Invoked{
		ID: i.ID, Version: int(i.Version), Status: i.Status, Answer: asJSON(i.Payload), Failure: string(i.Failure),
		Type: i.Type, Message: i.Message, Tail: i.Tail, Cold: i.Cold,
	}
}

// asJSON is an answer as it is, or as a string where it is no JSON.
func asJSON(answer []byte) json.RawMessage {
	if len(answer) == 0 || json.Valid(answer) {
		return answer
	}
	text, err := json.Marshal(string(answer))
	if err != nil {
		return nil
	}
	return text
}

func (s *server) credentials(ctx context.Context, _ *struct{}) (client.Credentials, error) {
	if s.Signers == nil {
		return client.Credentials{}, problem(http.StatusNotFound, "T0802", "this server takes no requests of AWS's tools")
	}
	id, secret, err := s.Signers.Keys(who(ctx))
	if err != nil {
		return client.Credentials{}, err
	}
	base := s.About.API
	if whoever(ctx).secure && s.About.URL != "" {
		base = s.About.URL
	}
	return client.Credentials{AccessKeyID: id, SecretAccessKey: secret, Name: who(ctx), Endpoint: base + "/lambda"}, nil
}
