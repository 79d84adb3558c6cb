package importer

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"titrate/internal/importer/sam"
	"titrate/internal/importer/serverless"
)

// packagedName is what the framework calls the template that it deploys with.
const packagedName = "cloudformation-template-update-stack.json"

// packaged puts into a project what the framework itself made of it, with all plugins:
// what its files do not say, or what they leave to a plugin or a program. Where both
// say something, the framework's own word counts, and a note has both. Builds and
// handlers stay those of the repository.
func (b *builder) packaged(p *serverless.Project) error {
	t, err := sam.Read(b.options.Packaged.Template, packagedName, sam.Options{})
	if err != nil {
		var bad *sam.TemplateError
		if errors.As(err, &bad) {
			return &Error{codeUnread, Place{bad.File, bad.Line}.String(), bad.What, "titrate import --no-package reads the files alone"}
		}
		return &Error{codeUnread, packagedName, err.Error(), "titrate import --no-package reads the files alone"}
	}
	m := pairing{builder: b, p: p, t: t, of: slsReader{builder: b, p: p}, template: samReader{builder: b, p: t}}
	for i := range p.Functions {
		id := serverless.LogicalID(p.Functions[i].Key)
		j := slices.IndexFunc(t.Functions, func(f sam.Function) bool { return f.ID == id })
		if j < 0 {
			m.say(p.Functions[i].At, "functions."+p.Functions[i].Key, "serverless package leaves it out; it stays, as the file says")
			continue
		}
		m.function(&p.Functions[i], t.Functions[j])
	}
	known := map[string]bool{}
	for _, f := range p.Functions {
		known[serverless.LogicalID(f.Key)] = true
	}
	for _, f := range t.Functions {
		if !known[f.ID] {
			m.plugin(f)
		}
	}
	m.rest()
	return nil
}

// pairing is of a project and the template that was made of it.
type pairing struct {
	*builder
	p        *serverless.Project
	t        *sam.Project
	of       slsReader
	template samReader
}

func (m pairing) say(at serverless.At, key, why string) {
	m.note(slsNode(at, key), Changed, why, "")
}

// open reports whether a value was left to what only the account, a plugin or a
// program knows.
func open(s string) bool { return s == "" || strings.Contains(s, "${") }

// settled drops what the reader of the files says of a value that is known now.
func (m pairing) settled(keys ...string) {
	m.p.Lost = slices.DeleteFunc(m.p.Lost, func(l serverless.Lost) bool { return slices.Contains(keys, l.Key) })
}

// function puts together what both say of one function.
func (m pairing) function(f *serverless.Function, of sam.Function) {
	key := "functions." + f.Key
	if r := of.Runtime; !open(r) && r != f.Runtime {
		if !open(f.Runtime) {
			m.say(f.At, key+".runtime", "the file says "+f.Runtime+", and serverless package "+r+", which is taken")
		} else {
			m.say(f.At, key+".runtime", "it is "+r+", as serverless package says")
		}
		f.Runtime = r
		m.settled(key+".runtime", "provider.runtime")
	}
	if h := of.Handler; !open(h) && h != f.Handler {
		if open(f.Handler) || m.bundle[f.Key].output != "" {
			f.Handler = h
			m.say(f.At, key+".handler", "it is "+h+", as serverless package says")
			m.settled(key + ".handler")
		} else {
			m.say(f.At, key+".handler", "the file says "+f.Handler+", which is taken, and serverless package "+h+": a plugin puts its own before it")
		}
	}
	m.number(f.At, key, "memorySize", &f.Memory, of.Memory)
	m.number(f.At, key, "timeout", &f.Timeout, of.Timeout)
	for _, v := range of.Environment {
		m.variable(f, v)
	}
	for _, e := range of.Events {
		m.event(f, e)
	}
	m.kept(f, of)
}

func (m pairing) number(at serverless.At, key, name string, have *int, is int) {
	if is == 0 || *have == is {
		return
	}
	m.say(at, key+"."+name, "the files come to "+strconv.Itoa(*have)+", and serverless package to "+strconv.Itoa(is)+", which is taken")
	*have = is
	m.settled(key+"."+name, "provider."+name)
}

// variable takes a variable that the files do not say, or say otherwise. A value that
// looks like a secret is not shown.
func (m pairing) variable(f *serverless.Function, v sam.Variable) {
	if !v.Known || open(v.Value) {
		return
	}
	i := slices.IndexFunc(f.Env, func(have serverless.Variable) bool { return have.Name == v.Name })
	at := slsNode(f.At, "functions."+f.Key+".environment."+v.Name)
	if i < 0 {
		f.Env = append(f.Env, serverless.Variable{At: f.At, Name: v.Name, Value: v.Value})
		m.note(at, Changed, v.Name+" is not in the files: serverless package adds it", "")
		return
	}
	have := &f.Env[i]
	switch {
	case have.Of != nil || have.Value == v.Value || secretIn.MatchString(have.Value) || isSecret(v.Name, v.Value):
		return
	case open(have.Value):
		m.note(slsNode(have.At, at.path), Changed, v.Name+" is what serverless package says, where the files have "+have.Value, "")
	default:
		m.note(slsNode(have.At, at.path), Changed, "the files and serverless package give "+v.Name+" two values: the latter is taken", "")
	}
	have.Value = v.Value
	m.settled(at.path, "provider.environment."+v.Name)
}

// plugin takes over a function that is in no file.
func (m pairing) plugin(of sam.Function) {
	f := serverless.Function{
		At: serverless.At{File: packagedName, Line: of.Line}, Key: strings.TrimSuffix(of.ID, "LambdaFunction"), Name: of.Name, Handler: of.Handler, Runtime: of.Runtime,
		Memory: max(of.Memory, 128), Timeout: max(of.Timeout, 3),
	}
	if f.Name == "" {
		f.Name = m.p.Service + "-" + m.p.Provider.Stage + "-" + f.Key
	}
	for _, v := range of.Environment {
		f.Env = append(f.Env, serverless.Variable{At: f.At, Name: v.Name, Value: v.Value})
	}
	for _, e := range of.Events {
		if made, ok := m.made(e); ok {
			f.Events = append(f.Events, made)
		}
	}
	m.note(slsNode(f.At, "Resources."+of.ID), Changed, "a plugin adds this function: it is in no file, and its code may be made by the plugin", "build: FOLDER with its code; or leave it out, as those that only keep others warm")
	m.p.Functions = append(m.p.Functions, f)
}

// made is an event in the words of the framework's files.
func (m pairing) made(e sam.Event) (serverless.Event, bool) {
	out := serverless.Event{At: serverless.At{File: packagedName, Line: e.Line}}
	on := !e.Disabled
	switch e.Kind {
	case sam.HTTPAPI, sam.RESTAPI:
		out.Kind, out.HTTP = serverless.KindHTTPAPI, &serverless.HTTP{Method: method(e.Method), Path: e.Path, Payload: e.Payload}
		if out.HTTP.Path == "" {
			out.HTTP.Path = "*"
		}
		if out.HTTP.Payload == "" {
			out.HTTP.Payload = "2.0"
		}
		if e.Kind == sam.RESTAPI {
			out.Kind, out.HTTP.Payload = serverless.KindHTTP, "1.0"
		}
	case sam.Schedule:
		out.Kind, out.Schedule = serverless.KindSchedule, &serverless.Schedule{Rates: []string{e.Expression}, Enabled: &on, Timezone: e.TimeZone, Input: e.Input}
	case sam.SQS:
		name, _ := m.template.named(e.Source)
		out.Kind, out.Source = serverless.KindSQS, &serverless.Source{From: serverless.Target{Name: name, Type: "AWS::SQS::Queue"}, Enabled: &on, PartialResponse: e.PartialBatch}
		for _, n := range []struct {
			to *(*int)
			is int
		}{{&out.Source.BatchSize, e.BatchSize}, {&out.Source.Window, e.BatchWindow}, {&out.Source.MaxConcurrency, e.MaxConcurrency}} {
			if n.is > 0 {
				*n.to = &n.is
			}
		}
	case sam.SNS:
		name, _ := m.template.named(e.Source)
		out.Kind, out.Topic = serverless.KindSNS, &serverless.TopicSub{Topic: serverless.Target{Name: name, Type: "AWS::SNS::Topic"}}
	default:
		return out, false
	}
	return out, true
}

func method(s string) string {
	if s == "" || strings.EqualFold(s, "ANY") {
		return "*"
	}
	return strings.ToUpper(s)
}

// texts are what an event is known by: one that says the same is the same.
func (m pairing) texts(e serverless.Event) []string {
	switch {
	case e.HTTP != nil:
		return []string{e.Kind + " " + e.HTTP.Method + " " + e.HTTP.Path}
	case e.Schedule != nil:
		var all []string
		for _, rate := range e.Schedule.Rates {
			all = append(all, e.Kind+" "+rate)
		}
		return all
	case e.Source != nil && e.Kind == serverless.KindSQS:
		name, _ := m.of.target(e.Source.From)
		return []string{e.Kind + " " + name}
	case e.Topic != nil:
		name, _ := m.of.target(e.Topic.Topic)
		return []string{e.Kind + " " + name}
	}
	return nil
}

// event takes an event that the files do not have, in the place of one of which they
// do not say enough.
func (m pairing) event(f *serverless.Function, of sam.Event) {
	e, ok := m.made(of)
	if !ok {
		return
	}
	text := m.texts(e)[0]
	if slices.ContainsFunc(f.Events, func(have serverless.Event) bool { return slices.Contains(m.texts(have), text) }) {
		return
	}
	for i, have := range f.Events {
		all := m.texts(have)
		if have.Kind == e.Kind && len(all) == 1 && strings.Contains(all[0], "${") {
			if have.HTTP != nil { // what else the file says of it stays
				e.HTTP.CORS, e.HTTP.Authorizer, e.HTTP.Private = have.HTTP.CORS, have.HTTP.Authorizer, have.HTTP.Private
			}
			e.At = have.At
			f.Events[i] = e
			m.say(e.At, "functions."+f.Key+".events."+e.Kind, "it is "+text+", as serverless package says")
			at := slsNode(have.At, "")
			m.p.Lost = slices.DeleteFunc(m.p.Lost, func(l serverless.Lost) bool {
				return l.File == at.file && l.Line == at.line && strings.Contains(l.Key, ".events[")
			})
			return
		}
	}
	e.At = f.At
	f.Events = append(f.Events, e)
	m.say(f.At, "functions."+f.Key+".events."+e.Kind, "serverless package adds "+text)
}

// kept says which events the files alone have.
func (m pairing) kept(f *serverless.Function, of sam.Function) {
	var theirs []string
	for _, e := range of.Events {
		if made, ok := m.made(e); ok {
			theirs = append(theirs, m.texts(made)...)
		}
	}
	for _, e := range f.Events {
		if e.Schedule != nil && e.Schedule.Enabled != nil && !*e.Schedule.Enabled {
			continue
		}
		for _, text := range m.texts(e) {
			if !slices.Contains(theirs, text) {
				m.say(e.At, "functions."+f.Key+".events."+e.Kind, "serverless package does not have "+text+" as such; the file's word is taken")
			}
		}
	}
}

// rest says what else the template has that is in no file. What the framework adds to
// every service is of its own needs.
func (m pairing) rest() {
	own := []string{"ServerlessDeploymentBucket", "IamRole", "ApiGateway", "HttpApi", "LogGroup", "Permission", "CodeDeploy", "Alias", "Lambda", "EventSourceMapping"}
	var more []string
	for _, l := range m.t.Lost {
		id, _, _ := strings.Cut(strings.TrimPrefix(l.Key, "Resources."), ".")
		same := func(have serverless.Lost) bool { return path.Ext(have.Key) == "."+id }
		if !strings.HasPrefix(l.Key, "Resources.") || slices.Contains(more, id) || slices.ContainsFunc(own, func(s string) bool { return strings.Contains(id, s) }) ||
			slices.ContainsFunc(m.p.Lost, same) {
			continue
		}
		more = append(more, id)
	}
	if len(more) > 0 {
		m.note(&node{file: packagedName, path: "Resources"}, Lost, fmt.Sprintf("a plugin or the framework adds what no file has: %s", strings.Join(more, ", ")), "look whether the functions need it")
	}
}
