package importer

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"titrate/internal/importer/sam"
)

// sam reads a SAM template, or one of CloudFormation with functions.
func (b *builder) sam() error {
	p, err := sam.ReadFS(b.tree, b.file, sam.Options{Values: b.options.Params})
	if err != nil {
		var bad *sam.TemplateError
		if errors.As(err, &bad) {
			return &Error{codeUnread, Place{bad.File, bad.Line}.String(), bad.What, bad.Instead}
		}
		return &Error{codeUnread, b.file, err.Error(), "name another file: titrate import FILE"}
	}
	b.template(p)
	return nil
}

// template takes over what a template says.
func (b *builder) template(p *sam.Project) {
	r := samReader{builder: b, p: p}
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

type samReader struct {
	*builder
	p *sam.Project
}

func samNode(at sam.At, key string) *node { return &node{file: at.File, line: at.Line, path: key} }

// project notes what holds for the template as a whole.
func (r *samReader) project() {
	for _, a := range r.p.APIs {
		r.note(samNode(a.At, "Resources."+a.ID), Needless, "the gateway answers for the app's host", "")
	}
	for _, l := range r.p.Layers {
		r.note(samNode(l.At, "Resources."+l.ID), Needless, "its files are part of each function that has it: it has no name, runtimes or versions of its own", "")
	}
	for _, t := range r.p.Parameters {
		switch {
		case t.Secret:
			r.note(samNode(t.At, "Parameters."+t.Name), Changed, "it is a secret", "secrets: [NAME] of the functions that need it; titrate secret set NAME")
		case t.Known:
			r.note(samNode(t.At, "Parameters."+t.Name), Changed, "its value "+t.Value+" has been put where it is named", "titrate import --param "+t.Name+"=VALUE takes another")
		default:
			r.note(samNode(t.At, "Parameters."+t.Name), Lost, "it has no value", "titrate import --param "+t.Name+"=VALUE")
		}
	}
}

// fn takes over one function.
func (r *samReader) fn(of sam.Function) {
	at := samNode(of.At, "Resources."+of.ID)
	f := r.function(of.ID, at)
	f.handler, f.runtime, f.folder = of.Handler, of.Runtime, path.Dir(r.file)
	switch {
	case of.ImageURI != "" || of.PackageType == "Image":
		r.unsupported(f, "functions in images are not run here", "declare a service with image:, or build the function from its folder")
		return
	case of.InlineCode != "":
		if !r.inlined(f, of.InlineCode) {
			r.unsupported(f, "code that stands in the template is run by Node.js and Python only, and is a file named as the handler is", "put it into a file of a folder")
			return
		}
	case strings.Contains(of.CodeURI, "://"):
		r.note(at, Changed, "its code is an archive in a bucket", "build: FOLDER with its code")
	case of.CodeURI != "":
		if dir, ok := repoPath(f.folder, of.CodeURI); ok {
			f.folder = dir
		}
	}
	r.buildOf(f)
	for _, name := range of.Layers {
		from := samNode(of.At, at.path+".Layers")
		i := slices.IndexFunc(r.p.Layers, func(l sam.Layer) bool { return l.ID == name })
		if i < 0 {
			r.foreign(name, from)
			continue
		}
		r.layer(f, name, r.p.Layers[i].ContentURI, from)
	}
	if of.Name != "" {
		r.called(f, of.Name, at)
	}
	if of.Memory > 0 {
		f.set("memory", fmt.Sprintf("%dMB", of.Memory), at)
	} else {
		f.set("memory", "128MB", at) // Lambda's own default
	}
	if of.Timeout > 0 {
		f.set("timeout", fmt.Sprintf("%ds", of.Timeout), at)
	} else {
		f.set("timeout", "3s", at)
	}
	var scale []said
	if of.Provisioned != nil && *of.Provisioned > 0 {
		scale = append(scale, said{"min", *of.Provisioned, at})
	}
	if of.Reserved != nil && *of.Reserved > 0 {
		scale = append(scale, said{"max", *of.Reserved, at})
	} else if of.Reserved != nil {
		r.note(at, Lost, "a function that may never run is not carried over as such", "leave it out of titrate.yaml")
	}
	if scale != nil {
		f.set("scale", scale, at)
	}
	for _, v := range of.Environment {
		r.env(f, v)
	}
	for _, e := range of.Events {
		r.event(f, e, of)
	}
	r.guarded(f, at)
	f.routes()
	r.shift(f, of)
	r.rest(of, at)
}

// env takes over a variable.
func (r *samReader) env(f *cloudFunction, v sam.Variable) {
	at := samNode(v.At, "Environment.Variables."+v.Name)
	id, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(v.Value, "${"), "}"), ".")
	if name, ok := r.named(id); ok && strings.HasPrefix(v.Value, "${") {
		f.add("env", v.Name, name, at)
		r.resolved(at)
		r.note(at, Changed, v.Name+" is the name of "+name+" here, which is taken for its URL or ARN", "")
		return
	}
	i := slices.IndexFunc(r.p.Parameters, func(p sam.Parameter) bool { return p.Name == id && p.Secret })
	if i >= 0 && strings.HasPrefix(v.Value, "${") {
		r.secret(f.unit, v.Name, at)
		r.resolved(at)
		return
	}
	r.variable(f, v.Name, v.Value, at)
}

// named is the name of a queue or topic of the template, by its logical ID or ARN.
func (r *samReader) named(id string) (name string, ok bool) {
	for _, q := range r.p.Queues {
		if q.ID == id {
			return queueName(q.Name, q.ID), true
		}
	}
	for _, t := range r.p.Topics {
		if t.ID == id {
			return queueName(t.Name, t.ID), true
		}
	}
	return queueName(id[strings.LastIndexByte(id, ':')+1:], id), false
}

// event takes over what calls a function.
func (r *samReader) event(f *cloudFunction, e sam.Event, of sam.Function) {
	at := samNode(e.At, "Resources."+of.ID+".Events."+e.Name)
	if e.Disabled {
		r.note(at, Lost, "it is switched off", "")
		return
	}
	switch e.Kind {
	case sam.HTTPAPI, sam.RESTAPI:
		f.route(e.Method, e.Path, at)
		payload := "2.0"
		if e.Kind == sam.RESTAPI || e.Payload == "1.0" {
			payload = "1.0"
		}
		r.payload(f, payload, at)
		if a := e.Authorizer; a != nil {
			r.jwt(f, authorizer{a.Name, a.Issuer, a.Audience, a.Scopes, a.Source}, at)
		}
	case sam.FunctionURL:
		r.ownAddress(f, e.Auth != "" && e.Auth != "NONE", nil, at)
	case sam.Schedule:
		if e.Description != "" {
			r.note(at, Needless, "a timer has no description: "+e.Description, "")
		}
		r.timer(f, e.Expression, e.TimeZone, e.Input, at)
	case sam.SQS:
		name, _ := r.named(e.Source)
		batch := e.BatchSize
		if batch == 0 {
			batch = 10 // the default of event source mappings
		}
		if strings.HasSuffix(e.Source, ".fifo") {
			r.note(at, Lost, "queues do not keep order here", "")
		}
		r.source(f, name, batch, e.BatchWindow, e.MaxConcurrency, e.PartialBatch, at)
	case sam.SNS:
		name, _ := r.named(e.Source)
		f.topic(name, at)
	default:
		r.note(at, Lost, "events of the kind "+string(e.Kind)+" do not come here", "titrate fn invoke, a queue or a route")
	}
}

// shift takes over how traffic moves to a new version, with the alarms that take it
// back.
func (r *samReader) shift(f *cloudFunction, of sam.Function) {
	if of.AutoPublishAlias != "" && of.AutoPublishAlias != "live" {
		r.note(samNode(of.At, "Resources."+of.ID+".AutoPublishAlias"), Changed, "the alias is called live here, not "+of.AutoPublishAlias, "")
	}
	d := of.Deployment
	if d == nil {
		return
	}
	at := samNode(d.At, "Resources."+of.ID+".DeploymentPreference")
	if !d.Enabled {
		f.set("rollout", "AllAtOnce", at)
		return
	}
	if d.Type != "" {
		f.set("rollout", d.Type, at)
	}
	for _, hook := range []struct{ moment, fn string }{{"preTraffic", d.PreTraffic}, {"postTraffic", d.PostTraffic}} {
		if hook.fn != "" {
			r.note(at, Lost, "its "+hook.moment+" hook is the function "+hook.fn+": a hook is a command here", "hooks: { "+hook.moment+": titrate fn invoke "+kebab(hook.fn)+" }, or probe: { … }")
		}
	}
	if d.Role != "" {
		r.note(at, Needless, "no CodeDeploy takes part, which needed the role "+d.Role, "")
	}
	for _, t := range d.Triggers {
		r.note(samNode(t.At, at.path+".TriggerConfigurations"), Lost, "what becomes of a deployment is sent to no topic", "titrate rollout watch, or the event stream")
	}
	for _, id := range d.Alarms {
		i := slices.IndexFunc(r.p.Alarms, func(a sam.Alarm) bool { return a.ID == id || a.Name != "" && a.Name == id })
		if i < 0 {
			r.note(at, Lost, "the alarm "+id+" is not one that this file describes", "alarms: { "+kebab(id)+": METRIC > LIMIT for TIME }")
			continue
		}
		a := r.p.Alarms[i]
		at := samNode(a.At, "Resources."+id)
		for _, d := range a.Dimensions {
			if name, _, _ := strings.Cut(d.Value, ":"); d.Name == "FunctionName" && name != of.ID && name != of.Name {
				r.note(at, Changed, "it measured "+d.Value+"; of "+f.name+" it measures that function itself", "have the alarm at the function that it measures")
			}
		}
		r.alarm(f, samAlarm(a), at)
	}
}

func samAlarm(a sam.Alarm) cloudAlarm {
	c := cloudAlarm{
		name: a.ID, metric: a.Metric, statistic: a.Statistic + a.ExtendedStatistic, seconds: max(a.Period, 1), n: max(a.Periods, 1), m: a.DatapointsOf,
		greater: strings.HasPrefix(a.Comparison, "GreaterThan"), atLeast: a.Comparison == "GreaterThanOrEqualToThreshold",
		understood: a.Threshold != nil && (a.Namespace == "AWS/Lambda" || a.Namespace == ""),
	}
	c.missing, c.about = a.Missing, a.Description
	if a.Threshold != nil {
		c.threshold = *a.Threshold
	}
	return c
}

// rest notes what a function has that is not carried.
func (r *samReader) rest(of sam.Function, at *node) {
	lost := func(there bool, key, why, instead string) {
		if there {
			r.note(samNode(of.At, at.path+"."+key), Lost, why, instead)
		}
	}
	lost(of.EphemeralStorage > 0, "EphemeralStorage", "how much a function may write is not limited", "")
	if d := of.DeadLetter; d != nil {
		lost(true, "DeadLetterQueue", "calls that are not waited for are tried three times, and then logged, not sent to "+d.Target, "send what fails from the function to a queue")
	}
	lost(of.Condition != "", "Condition", "it is there whatever the condition "+of.Condition+" says", "")
	if len(of.Architectures) > 0 {
		r.note(samNode(of.At, at.path+".Architectures"), Needless, "it is built for this machine", "")
	}
	if of.Description != "" {
		r.note(samNode(of.At, at.path+".Description"), Needless, "a comment says as much", "")
	}
}

// queues takes over the queues of the template that a function is called by, and
// theirs.
func (r *samReader) queues() {
	for _, q := range r.p.Queues {
		at := samNode(q.At, "Resources."+q.ID)
		u := &unit{name: queueName(q.Name, q.ID), from: at}
		for _, n := range []struct {
			key     string
			seconds int
		}{{"visibility", q.Visibility}, {"retention", q.Retention}, {"delay", q.Delay}} {
			if n.seconds > 0 {
				u.set(n.key, fmt.Sprintf("%ds", n.seconds), at)
			}
		}
		if q.DeadLetter != "" && q.MaximumReceive > 0 {
			name, _ := r.named(q.DeadLetter)
			u.set("maxReceive", q.MaximumReceive, at)
			u.set("deadLetter", name, at)
		}
		if q.FIFO || q.DeduplicateContent {
			r.note(at, Lost, "queues do not keep order here", "")
		}
		r.builder.queues = append(r.builder.queues, u)
	}
	r.usedQueues()
}
