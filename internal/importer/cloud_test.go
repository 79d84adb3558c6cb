package importer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"titrate/internal/importer/sam"
	"titrate/internal/importer/serverless"
	"titrate/internal/manifest"
)

// TestImport_corpus: every public project that is at hand becomes a manifest, or is
// refused with a reason.
func TestImport_corpus(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../../../shared/corpus/serverless/*.y*ml")
	if err != nil || len(names) == 0 {
		t.Skip("the corpus is not beside this repository", err)
	}
	for _, file := range names {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := "template.yaml"
		if strings.HasSuffix(file, "_serverless.yml") {
			name = "serverless.yml"
		}
		d, err := Import(fstest.MapFS{name: {Data: src}}, name, Options{Folder: "folder"})
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) || e.Code == codeInvalid {
				t.Errorf("%s: %v", file, err)
			}
			t.Logf("%s: %v", filepath.Base(file), err)
			continue
		}
		if _, problems := manifest.Parse([]byte(d.Manifest), manifest.File); problems.Err() != nil {
			t.Errorf("%s: no manifest:\n%s", file, problems)
		}
		t.Logf("%s: %d functions, %d notes", filepath.Base(file), len(d.Functions), len(d.Notes))
	}
}

// everything is what a person sees of what a project says.
func everything(t *testing.T, take func(*builder)) string {
	t.Helper()
	b := &builder{tree: fstest.MapFS{}, file: "project.yml", options: Options{Folder: "folder"}}
	take(b)
	b.named()
	text, err := b.write()
	if err != nil {
		t.Fatal(err)
	}
	notes, err := json.Marshal([]any{b.toSet(), unique(b.notes)})
	if err != nil {
		t.Fatal(err)
	}
	return text + string(notes)
}

// fields visits every plain value that a value holds, each with the name of its type
// and field; structures that are not there are put there for the visit.
func fields(v reflect.Value, name string, visit func(name string, v reflect.Value)) {
	plain := func(t reflect.Type) bool { return t.Kind() != reflect.Struct }
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == "At" || f.Name == "Lost" {
				continue // where something stands, and what is listed already
			}
			fields(v.Field(i), v.Type().Name()+"."+f.Name, visit)
		}
	case reflect.Pointer:
		if plain(v.Type().Elem()) {
			visit(name, v)
			return
		}
		old := v.Interface()
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fields(v.Elem(), name, visit)
		v.Set(reflect.ValueOf(old))
	case reflect.Slice:
		if plain(v.Type().Elem()) {
			visit(name, v)
			return
		}
		old := v.Interface()
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fields(v.Index(i), name, visit)
		}
		v.Set(reflect.ValueOf(old))
	default:
		visit(name, v)
	}
}

// others are values that a plain value may be changed to.
func others(v reflect.Value) []reflect.Value {
	switch v.Kind() {
	case reflect.String:
		out := []reflect.Value{}
		for _, s := range []string{v.String() + "7", "GreaterThanOrEqualToThreshold", "1.0", "p90", "2", "Image", "breaching", "RESPONSE_STREAM", "aws_iam", ""} {
			out = append(out, reflect.ValueOf(s).Convert(v.Type()))
		}
		return out
	case reflect.Int:
		return []reflect.Value{reflect.ValueOf(int(v.Int() + 7)), reflect.ValueOf(2), reflect.ValueOf(0)}
	case reflect.Float64:
		return []reflect.Value{reflect.ValueOf(v.Float() + 7)}
	case reflect.Bool:
		return []reflect.Value{reflect.ValueOf(false), reflect.ValueOf(true)}
	case reflect.Pointer:
		out := []reflect.Value{reflect.Zero(v.Type())}
		for _, o := range others(reflect.Zero(v.Type().Elem())) {
			p := reflect.New(v.Type().Elem())
			p.Elem().Set(o)
			out = append(out, p)
		}
		return out
	case reflect.Slice:
		return []reflect.Value{reflect.Append(reflect.Zero(v.Type()), others(reflect.Zero(v.Type().Elem()))[0])}
	default:
		return nil
	}
}

// silent are the fields of a project that change nothing that is seen, whatever they
// are set to in any of the projects.
func silent[P any](t *testing.T, projects []*P, take func(*builder, *P)) []string {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range projects {
		fields(reflect.ValueOf(p).Elem(), "", func(name string, v reflect.Value) {
			first := everything(t, func(b *builder) { take(b, p) })
			old := reflect.New(v.Type()).Elem()
			old.Set(v)
			for _, o := range others(v) {
				v.Set(o)
				seen[name] = seen[name] || everything(t, func(b *builder) { take(b, p) }) != first
			}
			v.Set(old)
		})
	}
	var out []string
	for name, visible := range seen {
		if !visible {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func checkSilent(t *testing.T, got []string, known map[string]string) {
	t.Helper()
	for _, name := range got {
		if known[name] == "" {
			t.Errorf("%s is neither in the manifest nor in a note", name)
		}
	}
	for name := range known {
		if !slices.Contains(got, name) {
			t.Errorf("%s is seen now: take it from the list", name)
		}
	}
}

// TestServerless_nothingIsDropped: each field of a project is seen in the manifest or
// in a note. A field that is added to the reader without a converter fails here.
func TestServerless_nothingIsDropped(t *testing.T) {
	t.Parallel()
	seven := 7
	function := func(events ...serverless.Event) *serverless.Project {
		return &serverless.Project{
			Service: "shop", Provider: serverless.Provider{Name: "aws", Stage: "dev", Region: "us-east-1"},
			Functions: []serverless.Function{{
				Key: "hello", Name: "shop-dev-hello", Handler: "a.b", Runtime: "nodejs20.x", Memory: 512, Timeout: 9, Events: events,
				Env: []serverless.Variable{{Name: "A", Value: "b"}, {Name: "Q", Of: &serverless.Target{Name: "q", Resource: "Q", Type: "AWS::SQS::Queue"}}},
			}},
		}
	}
	queue := serverless.Target{Name: "q", Resource: "Q", Type: "AWS::SQS::Queue"}
	withURL := function()
	withURL.Functions[0].URL = &serverless.URL{CORS: &serverless.CORS{Origins: []string{"a"}}}
	withURL.Functions[0].OnFailure, withURL.Functions[0].OnSuccess = &serverless.Target{Name: "f"}, &serverless.Target{Name: "s"}
	withURL.Functions[0].OnError = &serverless.Target{Name: "e"}
	withURL.Functions[0].Layers = []serverless.Target{{Name: "l"}}
	withURL.Package, withURL.Functions[0].Package = &serverless.Package{}, &serverless.Package{}
	withURL.Plugins, withURL.Layers = []string{"p"}, []serverless.Layer{{Key: "k"}}
	withURL.FrameworkVersion = "3"
	jwt := serverless.Authorizer{Name: "users", Issuer: "https://i.example", Audience: []string{"a"}}
	routed := function(serverless.Event{Kind: serverless.KindHTTPAPI, HTTP: &serverless.HTTP{Method: "GET", Path: "/", Payload: "2.0", CORS: &serverless.CORS{}, Authorizer: &jwt}})
	custom := jwt
	custom.Issuer, custom.Type = "", "request"
	routed.Provider.HTTPAPI = &serverless.HTTPAPI{CORS: &serverless.CORS{}, Authorizers: []serverless.Authorizer{custom}}
	lambda := function(serverless.Event{Kind: serverless.KindHTTP, HTTP: &serverless.HTTP{Method: "GET", Path: "/", Payload: "1.0", Authorizer: &serverless.Authorizer{Function: "f"}}})
	byName := function(serverless.Event{Kind: serverless.KindHTTPAPI, HTTP: &serverless.HTTP{Method: "GET", Path: "/", Payload: "2.0", Authorizer: &serverless.Authorizer{Name: "users"}}})
	byName.Provider.HTTPAPI = &serverless.HTTPAPI{CORS: &serverless.CORS{}, Authorizers: []serverless.Authorizer{jwt}}
	byARN := function(serverless.Event{Kind: serverless.KindHTTP, HTTP: &serverless.HTTP{Method: "GET", Path: "/", Payload: "1.0", Authorizer: &serverless.Authorizer{ARN: &serverless.Target{Name: "f"}}}})
	timed := function(serverless.Event{Kind: serverless.KindSchedule, Schedule: &serverless.Schedule{Rates: []string{"rate(1 hour)"}}})
	queued := function(serverless.Event{Kind: serverless.KindSQS, Source: &serverless.Source{From: queue}})
	queued.Queues = []serverless.Queue{{ID: "Q", Name: "q", Visibility: &seven, MaxReceive: &seven, DeadLetter: &serverless.Target{Name: "d"}}}
	elsewhere := function(serverless.Event{Kind: serverless.KindSQS, Source: &serverless.Source{From: serverless.Target{ARN: "arn:aws:sqs:e:1:x"}}})
	topic := function(serverless.Event{Kind: serverless.KindSNS, Topic: &serverless.TopicSub{Topic: serverless.Target{Resource: "T", Type: "AWS::SNS::Topic"}}})
	topic.Topics = []serverless.Topic{{ID: "T", Name: "orders"}}
	streamed := function(serverless.Event{Kind: serverless.KindStream, Source: &serverless.Source{From: serverless.Target{Name: "s"}, Type: "kinesis"}})
	bucket := function(serverless.Event{Kind: serverless.KindS3, Bucket: &serverless.Bucket{Bucket: serverless.Target{Name: "b"}}})
	shifted := function()
	alarm := serverless.Alarm{
		Name: "slow", Active: true, Metric: "Duration", Threshold: "9", Statistic: "p95", Period: "60", EvaluationPeriods: "3",
		Comparison: "GreaterThanThreshold", Namespace: "AWS/Lambda",
	}
	shifted.Functions[0].Alarms = []serverless.Alarm{alarm}
	shifted.Functions[0].Deployment = &serverless.Deployment{
		Type: "Linear10PercentEvery1Minute", Active: true, Shift: &serverless.Shift{Kind: "linear", Percent: 10, Minutes: 1},
		Alarms: []serverless.AlarmRef{{Name: "a"}},
	}
	got := silent(t, []*serverless.Project{withURL, routed, lambda, byName, byARN, timed, queued, elsewhere, topic, streamed, bucket, shifted}, func(b *builder, p *serverless.Project) { b.framework(p) })
	const whole, stream = "a note lists it as a whole", "streams alone have it, which are listed as a whole"
	checkSilent(t, got, map[string]string{
		"Alarm.From": "it does not say what the alarm does", "Alarm.LogicalID": "it has been followed", "AlarmRef.Alarm": "Function says as much",
		"Authorizer.ResultTTL": whole,
		"Bucket.Event":         whole, "Bucket.Existing": whole, "Bucket.Prefix": whole, "Bucket.Suffix": whole,
		"CORS.Default": "cors: true means it", "Deployment.Stages": "Active says what comes of it", "HTTPAPI.Payload": "each event has it",
		"Layer.Artifact": whole, "Layer.Name": whole, "Layer.Path": whole, "Layer.Runtimes": whole,
		"Package.Individually": whole, "Package.Patterns": whole,
		"Shift.Kind": "Type says it", "Shift.Minutes": "Type says it", "Shift.Percent": "Type says it",
		"Source.Bisect": stream, "Source.MaxAge": stream, "Source.Parallel": stream, "Source.Retries": stream, "Source.Start": stream,
		"TopicSub.FilterScope": "the note on the filter",
	})
}

// TestSAM_nothingIsDropped: each field of a template is seen in the manifest or in a
// note.
func TestSAM_nothingIsDropped(t *testing.T) {
	t.Parallel()
	function := func(events ...sam.Event) *sam.Project {
		return &sam.Project{
			File: "project.yml", SAM: true,
			Functions: []sam.Function{{
				ID: "Hello", CodeURI: "src", Handler: "a.b", Runtime: "nodejs20.x", Memory: 512, Timeout: 9, Events: events, AutoPublishAlias: "live",
				Environment: []sam.Variable{{Name: "A", Value: "b", Known: true}},
			}},
		}
	}
	threshold := 9.0
	full := function()
	full.Parameters = []sam.Parameter{{Name: "P", Type: "String", Value: "v", Known: true}}
	full.Functions[0].DeadLetter = &sam.DeadLetter{Target: "x"}
	full.APIs, full.Layers = []sam.API{{ID: "A"}}, []sam.Layer{{ID: "L"}}
	shifted := function()
	shifted.Functions[0].Deployment = &sam.Deployment{Type: "AllAtOnce", Enabled: true, Alarms: []string{"Slow"}, Triggers: []sam.Trigger{{Name: "x"}}}
	shifted.Alarms = []sam.Alarm{{
		ID: "Slow", Namespace: "AWS/Lambda", Metric: "Duration", ExtendedStatistic: "p95", Comparison: "GreaterThanThreshold",
		Threshold: &threshold, Period: 60, Periods: 3, Dimensions: []sam.Variable{{Name: "FunctionName", Value: "Hello", Known: true}},
	}}
	byName := function()
	byName.Functions[0].Deployment = &sam.Deployment{Enabled: true, Alarms: []string{"too-slow"}}
	byName.Alarms = slices.Clone(shifted.Alarms)
	byName.Alarms[0].Name = "too-slow"
	projects := []*sam.Project{full, shifted, byName}
	for _, e := range []sam.Event{
		{Kind: sam.HTTPAPI, Method: "GET", Path: "/", Payload: "2.0"},
		{Kind: sam.HTTPAPI, Method: "GET", Path: "/", Payload: "2.0", Authorizer: &sam.Authorizer{Name: "users", Issuer: "https://i.example", Audience: []string{"a"}}},
		{Kind: sam.RESTAPI, Method: "GET", Path: "/", API: "A"},
		{Kind: sam.FunctionURL},
		{Kind: sam.Schedule, Expression: "rate(1 hour)"},
		{Kind: sam.SQS, Source: "Q", BatchSize: 3},
		{Kind: sam.SNS, Source: "T"},
	} {
		p := function(e)
		p.Queues, p.Topics = []sam.Queue{{ID: "Q", Visibility: 3, DeadLetter: "D", MaximumReceive: 3}}, []sam.Topic{{ID: "T", Name: "orders"}}
		projects = append(projects, p)
	}
	got := silent(t, projects, func(b *builder, p *sam.Project) { b.template(p) })
	const whole, told = "a note lists it as a whole", "it describes, and does nothing"
	checkSilent(t, got, map[string]string{
		"API.Description": whole, "API.Name": whole, "API.REST": "each event has it", "API.Stage": whole,
		"Alarm.Unit": "metrics of functions have one unit each", "DeadLetter.Type": whole,
		"Deployment.ApplicationName": "of CodeDeploy", "Deployment.Name": "of CodeDeploy",
		"Deployment.PassthroughCondition": "of CloudFormation's resources, not of what they do",
		"Event.API":                       "all are one gateway, which the note on the API says",
		"Layer.ContentURI":                whole, "Layer.Description": whole, "Layer.Name": whole, "Layer.Runtimes": whole,
		"Parameter.Allowed": whole, "Parameter.Default": whole, "Parameter.Description": whole, "Parameter.Type": whole,
		"Project.Description": told, "Project.File": told, "Project.SAM": told, "Topic.DisplayName": told,
		"Trigger.Events": whole, "Trigger.Name": whole, "Trigger.Target": whole,
		"Variable.Known": "a value that is not known holds ${",
	})
}
