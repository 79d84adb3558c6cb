package importer

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"titrate/internal/importer/serverless"
)

// serverless reads a project of the Serverless Framework.
func (b *builder) serverless() error {
	o := serverless.Options{File: b.file, Params: b.options.Params}
	if b.options.Stage != "" {
		o.Options = map[string]string{"stage": b.options.Stage}
	}
	if isProgram(b.file) {
		if b.options.Packaged == nil || len(b.options.Packaged.State) == 0 {
			return &Error{codeUnknown, b.file, "a configuration that is a program is read by the project's own framework, whose package command left nothing", "npm ci, which installs serverless or osls, then titrate import " + b.file}
		}
		o.State = b.options.Packaged.State
	}
	p, err := serverless.Read(b.tree, o)
	if err != nil {
		var bad *serverless.Error
		if errors.As(err, &bad) {
			return &Error{codeUnread, b.file, bad.Error(), "mend it there, or name another file: titrate import FILE"}
		}
		return &Error{codeUnread, b.file, err.Error(), "name another file: titrate import FILE"}
	}
	b.bundles(p)
	if b.options.Packaged != nil {
		if err := b.packaged(p); err != nil {
			return err
		}
	}
	b.framework(p)
	return nil
}

// framework takes over what a project says.
func (b *builder) framework(p *serverless.Project) {
	b.app = p.Service
	r := slsReader{builder: b, p: p}
	for _, l := range p.Lost {
		b.notes = append(b.notes, Note{Place{l.File, l.Line}, l.Key, Lost, l.Why, l.Instead})
	}
	r.project()
	for _, f := range p.Functions {
		r.fn(f)
	}
	r.queues()
	b.toDefaults()
}

type slsReader struct {
	*builder
	p *serverless.Project
}

func slsNode(at serverless.At, key string) *node {
	return &node{file: at.File, line: at.Line, path: key}
}

// project notes what holds for the project as a whole.
func (r *slsReader) project() {
	at := slsNode(r.p.Provider.At, "provider")
	if r.p.FrameworkVersion != "" {
		r.note(slsNode(r.p.At, "frameworkVersion"), Needless, "the framework is not needed any more", "")
	}
	for _, plugin := range r.p.Plugins {
		switch plugin {
		case "serverless-plugin-canary-deployments", "serverless-plugin-aws-alerts":
			r.note(slsNode(r.p.At, "plugins."+plugin), Needless, "Titrate does it by itself", "")
		case "serverless-offline", "serverless-localstack":
			r.note(slsNode(r.p.At, "plugins."+plugin), Needless, "it is for the developer's own machine alone", "")
		case "serverless-python-requirements", "serverless-prune-plugin", "serverless-pseudo-parameters", "serverless-iam-roles-per-function":
			r.note(slsNode(r.p.At, "plugins."+plugin), Needless, "dependencies are installed, old versions removed and names found without it, and there are no roles of the cloud", "")
		default:
			if slices.Contains(bundlers, plugin) && r.bundled {
				continue
			}
			r.note(slsNode(r.p.At, "plugins."+plugin), Changed, "what the plugin does is not known", "look at what it adds to functions, builds or resources")
		}
	}
	if r.p.Provider.Name != "" && r.p.Provider.Name != "aws" {
		r.note(at, Lost, "functions of "+r.p.Provider.Name+" are called in another way than those of AWS Lambda", "a service with a port")
	}
	if r.p.Provider.Region != "" {
		r.note(at, Needless, "all runs on this machine, and not in "+r.p.Provider.Region, "")
	}
	if r.p.Provider.Stage != "" {
		r.note(at, Needless, "the stage "+r.p.Provider.Stage+" is an environment of titrate.yaml", "environments: { "+nameOf(r.p.Provider.Stage)+": {} } where there are several")
	}
	if h := r.p.Provider.HTTPAPI; h != nil {
		for _, a := range h.Authorizers {
			if a.Type == "" || a.Type == "jwt" {
				continue // taken by the functions that name it
			}
			r.note(slsNode(a.At, "provider.httpApi.authorizers."+a.Name), Lost, "an authorizer of the type "+a.Type+" is not asked here", "jwt: { issuer, audience } of the functions, or check in the function")
		}
	}
	for _, l := range r.p.Layers {
		r.note(slsNode(l.At, "layers."+l.Key), Needless, "its files are part of each function that has it: it has no name, runtimes or versions of its own", "")
	}
	if pk := r.p.Package; pk != nil && pk.Artifact != "" && len(r.bundle) == 0 {
		r.note(slsNode(pk.At, "package"), Lost, "the archive "+pk.Artifact+" is not in the repository: the functions are built from their folder", "build: { command, output: "+pk.Artifact+" }")
	} else if pk != nil {
		r.note(slsNode(pk.At, "package"), Needless, "the whole folder is built, or the zip that is packed", "")
	}
}

// fn takes over one function.
func (r *slsReader) fn(of serverless.Function) {
	at := slsNode(of.At, "functions."+of.Key)
	f := r.function(of.Key, at)
	f.handler, f.runtime, f.folder = of.Handler, of.Runtime, path.Dir(r.file)
	f.made = r.bundle[of.Key]
	if of.Image != "" {
		r.unsupported(f, "functions in images are not run here", "declare a service with image:, or build the function from its folder")
		return
	}
	r.buildOf(f)
	r.layers(f, of, at)
	if of.Name != r.p.Service+"-"+r.p.Provider.Stage+"-"+of.Key {
		r.called(f, of.Name, at)
	}
	if of.Memory > 0 {
		f.set("memory", fmt.Sprintf("%dMB", of.Memory), at)
	}
	if of.Timeout > 0 {
		f.set("timeout", fmt.Sprintf("%ds", of.Timeout), at)
	}
	r.scale(f, of, at)
	for _, v := range of.Env {
		r.env(f, v)
	}
	for _, e := range of.Events {
		r.event(f, e, at)
	}
	r.address(f, of, at)
	r.guarded(f, at)
	f.routes()
	r.shift(f, of)
	r.rest(of, at)
}

// layers lays the project's own layers under a function.
func (r *slsReader) layers(f *cloudFunction, of serverless.Function, at *node) {
	from := slsNode(of.At, at.path+".layers")
	for _, t := range of.Layers {
		i := slices.IndexFunc(r.p.Layers, func(l serverless.Layer) bool {
			return t.Type == "AWS::Lambda::LayerVersion" && l.Key == t.Name
		})
		if i < 0 {
			r.foreign(cmp.Or(t.ARN, t.Name, t.Resource), from)
			continue
		}
		l := r.p.Layers[i]
		r.layer(f, l.Key, cmp.Or(l.Artifact, l.Path), from)
	}
}

// scale says how many instances there may be.
func (r *slsReader) scale(f *cloudFunction, of serverless.Function, at *node) {
	var scale []said
	if n := of.ProvisionedConcurrency; n != nil && *n > 0 {
		scale = append(scale, said{"min", *n, at})
	}
	if n := of.ReservedConcurrency; n != nil {
		if *n == 0 {
			r.note(slsNode(of.At, at.path+".reservedConcurrency"), Lost, "a function that may never run is not carried over as such", "leave it out of titrate.yaml")
		} else {
			scale = append(scale, said{"max", *n, at})
		}
	}
	if scale != nil {
		f.set("scale", scale, at)
	}
}

// env takes over a variable.
func (r *slsReader) env(f *cloudFunction, v serverless.Variable) {
	at := slsNode(v.At, "environment."+v.Name)
	if v.Of == nil {
		r.variable(f, v.Name, v.Value, at)
		return
	}
	name, queue := r.target(*v.Of)
	if queue || v.Of.Type == "AWS::SNS::Topic" {
		f.add("env", v.Name, name, at)
		r.resolved(at)
		r.note(at, Changed, v.Name+" is the name of "+name+" here, which is taken for its URL or ARN", "")
		return
	}
	r.note(at, Lost, v.Name+" is of the resource "+v.Of.Resource+", which Titrate does not make", "env: { "+v.Name+": VALUE }")
}

// target names a queue or topic.
func (r *slsReader) target(t serverless.Target) (name string, queue bool) {
	for _, q := range r.p.Queues {
		if q.ID == t.Resource && t.Resource != "" {
			return queueName(q.Name, q.ID), true
		}
	}
	for _, q := range r.p.Topics {
		if q.ID == t.Resource && t.Resource != "" {
			return queueName(q.Name, q.ID), false
		}
	}
	arn := t.ARN[strings.LastIndexByte(t.ARN, ':')+1:]
	switch {
	case t.Name != "":
		return queueName(t.Name, t.Resource), strings.HasPrefix(t.ARN, "arn:aws:sqs:") || t.Type == "AWS::SQS::Queue"
	case arn != "" && !strings.Contains(arn, "$"):
		return queueName(arn, t.Resource), strings.HasPrefix(t.ARN, "arn:aws:sqs:")
	}
	return queueName("", t.Resource), t.Type == "AWS::SQS::Queue"
}

// queueName makes a name of Titrate's out of that of a queue or topic, or of its
// resource where only the account knows the name.
func queueName(name, resource string) string {
	if name == "" || strings.Contains(name, "${") {
		name = resource
	}
	return kebab(strings.TrimSuffix(name, ".fifo"))
}

// event takes over what calls a function.
func (r *slsReader) event(f *cloudFunction, e serverless.Event, at *node) {
	n := slsNode(e.At, at.path+".events."+e.Kind)
	switch {
	case e.HTTP != nil:
		r.http(f, e.HTTP, n)
	case e.Schedule != nil:
		if e.Schedule.Enabled != nil && !*e.Schedule.Enabled {
			r.note(n, Lost, "the schedule is switched off", "cron: "+strings.Join(e.Schedule.Rates, ", "))
			return
		}
		if e.Schedule.Name+e.Schedule.Description != "" {
			r.note(n, Needless, "a timer has no name or description: "+strings.TrimSpace(e.Schedule.Name+" "+e.Schedule.Description), "")
		}
		for _, rate := range e.Schedule.Rates {
			r.timer(f, rate, e.Schedule.Timezone, e.Schedule.Input, n)
		}
	case e.Source != nil && e.Kind == serverless.KindSQS:
		r.queue(f, e.Source, n)
	case e.Topic != nil:
		name, _ := r.target(e.Topic.Topic)
		f.topic(name, n)
		if e.Topic.DisplayName != "" {
			r.note(n, Needless, "a topic has no other name: "+e.Topic.DisplayName, "")
		}
		if e.Topic.Filter != "" {
			r.note(n, Lost, "the filter policy of a subscription: every message of the topic calls the function", "look at the message in the function")
		}
	case e.Source != nil:
		r.note(n, Lost, "streams of "+e.Source.Type+" are not read here", "a queue, or titrate fn invoke")
	case e.Bucket != nil:
		r.note(n, Lost, "buckets tell nothing here", "have who writes there send to a queue")
	}
}

func (r *slsReader) queue(f *cloudFunction, s *serverless.Source, n *node) {
	if s.Enabled != nil && !*s.Enabled {
		r.note(n, Lost, "the queue's trigger is switched off", "")
		return
	}
	value := func(p *int) int {
		if p == nil {
			return 0
		}
		return *p
	}
	batch := value(s.BatchSize)
	if batch == 0 {
		batch = 10 // the default of event source mappings
	}
	name, _ := r.target(s.From)
	if s.From.Type == "" && (strings.HasSuffix(s.From.ARN, ".fifo") || strings.HasSuffix(s.From.Name, ".fifo")) {
		r.note(n, Lost, "queues do not keep order here", "")
	}
	r.source(f, name, batch, value(s.Window), value(s.MaxConcurrency), s.PartialResponse, n)
	if s.Filters != "" {
		r.note(n, Lost, "filter patterns: every message of the queue calls the function", "look at the message in the function")
	}
}

// http takes over a route.
func (r *slsReader) http(f *cloudFunction, h *serverless.HTTP, n *node) {
	f.route(h.Method, h.Path, n)
	r.payload(f, h.Payload, n)
	if h.Private {
		r.note(n, Lost, "API keys are not asked for", "jwt, or check a header in the function")
	}
	cors := h.CORS
	if c := cors; c == nil && r.p.Provider.HTTPAPI != nil && n.path[strings.LastIndexByte(n.path, '.')+1:] == serverless.KindHTTPAPI {
		cors = r.p.Provider.HTTPAPI.CORS
	}
	if cors != nil {
		f.add("http", "cors", slsCORS(cors, n), n)
	}
	if h.Authorizer != nil {
		r.authorizer(f, *h.Authorizer, n)
	}
}

func slsCORS(c *serverless.CORS, n *node) any {
	var out []said
	for _, list := range []struct {
		key    string
		values []string
	}{{"origins", c.Origins}, {"methods", c.Methods}, {"headers", c.Headers}, {"expose", c.Expose}} {
		if len(list.values) > 0 {
			out = append(out, said{list.key, list.values, n})
		}
	}
	if c.MaxAge != nil {
		out = append(out, said{"maxAge", fmt.Sprintf("%ds", *c.MaxAge), n})
	}
	if c.Credentials != nil && *c.Credentials {
		out = append(out, said{"credentials", true, n})
	}
	if out == nil {
		return true
	}
	return out
}

// authorizer takes over a JWT authorizer, which may be one of the provider's by name.
func (r *slsReader) authorizer(f *cloudFunction, a serverless.Authorizer, n *node) {
	scopes := a.Scopes
	if h := r.p.Provider.HTTPAPI; h != nil && a.Issuer == "" {
		for _, known := range h.Authorizers {
			if known.Name == a.Name {
				a = known
			}
		}
	}
	by := a.Name + a.Function
	if a.ARN != nil {
		by += a.ARN.Name
	}
	source := ""
	if len(a.IdentitySource) > 0 {
		source = a.IdentitySource[0]
	}
	r.jwt(f, authorizer{by, a.Issuer, a.Audience, scopes, source}, n)
}

// shift takes over how traffic moves to a new version.
func (r *slsReader) shift(f *cloudFunction, of serverless.Function) {
	d := of.Deployment
	if d == nil {
		r.alarms(f, of, nil)
		return
	}
	at := slsNode(d.At, "functions."+of.Key+".deploymentSettings")
	r.resolved(at)
	if !d.Active {
		r.note(at, Needless, "it does not hold in the stage "+r.p.Provider.Stage, "")
		r.alarms(f, of, nil)
		return
	}
	if d.Shift != nil {
		f.set("rollout", d.Type, at)
	}
	if d.Alias != "" && d.Alias != "live" {
		r.note(at, Changed, "the alias is called live here, not "+d.Alias, "")
	}
	for moment, hook := range map[string]string{"preTraffic": d.PreHook, "postTraffic": d.PostHook} {
		if hook != "" {
			r.note(at, Lost, "its "+moment+" hook is the function "+hook+": a hook is a command here", "hooks: { "+moment+": titrate fn invoke "+kebab(hook)+" }, or probe: { … }")
		}
	}
	r.alarms(f, of, d.Alarms)
}

// address makes a route of a function's own address.
func (r *slsReader) address(f *cloudFunction, of serverless.Function, at *node) {
	if of.URL == nil {
		return
	}
	n := slsNode(of.URL.At, at.path+".url")
	var cors any
	if of.URL.CORS != nil {
		cors = slsCORS(of.URL.CORS, n)
	}
	r.ownAddress(f, of.URL.Authorizer == "aws_iam", cors, n)
	if of.URL.InvokeMode == "RESPONSE_STREAM" {
		r.note(n, Needless, "a response is streamed where the function streams it", "")
	}
}

// rest notes what a function has that is not carried.
func (r *slsReader) rest(of serverless.Function, at *node) {
	lost := func(there bool, key, why, instead string) {
		if there {
			r.note(slsNode(of.At, at.path+"."+key), Lost, why, instead)
		}
	}
	lost(of.EphemeralStorage != nil, "ephemeralStorageSize", "how much a function may write is not limited", "")
	lost(of.OnError != nil, "onError", "calls that are not waited for are tried three times, and then logged", "send what fails from the function to a queue")
	lost(of.OnFailure != nil || of.OnSuccess != nil, "destinations", "what comes of a call is sent nowhere", "send it from the function to a queue")
	lost(of.MaxRetries != nil || of.MaxEventAge != nil, "maximumRetryAttempts", "calls that are not waited for are tried three times within six hours", "")
	if of.Architecture != "" {
		r.note(slsNode(of.At, at.path+".architecture"), Needless, "it is built for this machine", "")
	}
	if of.Package != nil {
		kind, why := Needless, "the whole folder is built"
		if a := of.Package.Artifact; a != "" && r.bundle[of.Key].output == path.Clean(a) {
			kind, why = Changed, "the archive "+a+" is taken as it lies in the repository"
		} else if a != "" {
			kind, why = Lost, "the archive "+of.Package.Artifact+" is not taken: the function is built from its folder"
		}
		r.note(slsNode(of.Package.At, at.path+".package"), kind, why, "")
	}
	if of.Description != "" {
		r.note(slsNode(of.At, at.path+".description"), Needless, "a comment says as much", "")
	}
}

// queues takes over the queues of resources that a function is called by, and theirs.
func (r *slsReader) queues() {
	for _, q := range r.p.Queues {
		at := slsNode(q.At, "resources."+q.ID)
		r.resolved(at)
		u := &unit{name: queueName(q.Name, q.ID), from: at}
		for _, n := range []struct {
			key   string
			value *int
		}{{"visibility", q.Visibility}, {"retention", q.Retention}, {"delay", q.Delay}} {
			if n.value != nil && (*n.value > 0 || n.key != "delay") {
				u.set(n.key, fmt.Sprintf("%ds", *n.value), at)
			}
		}
		if q.DeadLetter != nil && q.MaxReceive != nil {
			name, _ := r.target(*q.DeadLetter)
			u.set("maxReceive", *q.MaxReceive, at)
			u.set("deadLetter", name, at)
		}
		if q.FIFO {
			r.note(at, Lost, "queues do not keep order here", "")
		}
		r.builder.queues = append(r.builder.queues, u)
	}
	r.usedQueues()
}
