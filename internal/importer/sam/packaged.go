package sam

import "strings"

// pending keeps an event for a function that may not be read yet.
func (r *reader) pending(id string, e Event) {
	r.waiting = append(r.waiting, waiting{id, e})
}

// waiting is an event that another resource gave to a function.
type waiting struct {
	function string
	event    Event
}

// functionOf is the function that a value names, also by its alias or version. It
// is empty, with nothing marked, when it names none.
func (r *reader) functionOf(v *value) string {
	for range 3 { // alias of a version of a function
		got := r.resolve(v)
		if got == nil || got.kind != scalar {
			return ""
		}
		m := nameForm.FindStringSubmatch(got.text)
		if m == nil || r.resources[m[1]] == nil {
			return ""
		}
		got.take()
		switch kindOf(r.resources[m[1]]) {
		case "AWS::Lambda::Function", "AWS::Serverless::Function":
			return m[1]
		case "AWS::Lambda::Alias", "AWS::Lambda::Version":
			v = r.resources[m[1]].field("Properties").field("FunctionName")
		default:
			return ""
		}
	}
	return ""
}

// made is a function that was read.
func (r *reader) made(id string) *Function {
	i, ok := r.places[id]
	if !ok {
		return nil
	}
	return &r.project.Functions[i]
}

// packaged takes the resources that speak of functions: those that SAM writes
// itself when it deploys, and that other tools write into their templates.
func (r *reader) packaged() {
	for _, f := range r.root.field("Resources").fields {
		v := r.resources[f.name]
		if v == nil {
			continue
		}
		p := v.field("Properties")
		taken := false
		switch kindOf(v) {
		default:
			continue
		case "AWS::Lambda::Version":
			if id := r.functionOf(p.field("FunctionName")); id != "" {
				taken = true // versions are made of every release
			}
		case "AWS::Lambda::Alias":
			taken = r.alias(v, p)
		case "AWS::Lambda::EventSourceMapping":
			taken = r.mapping(f.name, v, p)
		case "AWS::Events::Rule":
			taken = r.rule(f.name, v, p)
		case "AWS::ApiGatewayV2::Route":
			taken = r.route(f.name, v, p)
		case "AWS::ApiGateway::Method":
			taken = r.method(f.name, v, p)
		case "AWS::SNS::Subscription":
			if p.field("TopicArn") != nil && r.functionOf(p.field("Endpoint")) != "" {
				taken = true
				r.subscription(r.reference(p.field("TopicArn")), p)
			}
		}
		if taken {
			v.field("Type").take()
		} else {
			r.lose(v, kindOf(v)+" is not carried: it names no function of this template, or does not say what for", "")
		}
	}
	for _, w := range r.waiting {
		if f := r.made(w.function); f != nil && r.step(r.root) {
			f.Events = append(f.Events, w.event)
		}
	}
}

// alias gives a function its alias, and the deployment of its update policy.
func (r *reader) alias(v, p *value) bool {
	f := r.made(r.functionOf(p.field("FunctionName")))
	if f == nil || f.AutoPublishAlias != "" {
		return false
	}
	f.AutoPublishAlias = r.text(p.field("Name"))
	r.functionOf(p.field("FunctionVersion"))
	f.Provisioned = r.pointer(r.table(p.field("ProvisionedConcurrencyConfig")).field("ProvisionedConcurrentExecutions"))
	u := r.table(r.table(v.field("UpdatePolicy")).field("CodeDeployLambdaAliasUpdate"))
	if u == nil {
		return true
	}
	d := &Deployment{
		At: r.at(u), Enabled: true, ApplicationName: r.reference(u.field("ApplicationName")), Name: r.reference(u.field("DeploymentGroupName")),
		PreTraffic: r.reference(u.field("BeforeAllowTrafficHook")), PostTraffic: r.reference(u.field("AfterAllowTrafficHook")),
	}
	if g := r.resources[d.Name]; g != nil && kindOf(g) == "AWS::CodeDeploy::DeploymentGroup" {
		g.field("Type").take()
		r.group(d, r.table(g.field("Properties")))
	}
	f.Deployment = d
	return true
}

// group takes an AWS::CodeDeploy::DeploymentGroup.
func (r *reader) group(d *Deployment, p *value) {
	if p == nil {
		return
	}
	d.Type = strings.TrimPrefix(r.text(p.field("DeploymentConfigName")), "CodeDeployDefault.Lambda")
	d.Role = r.reference(p.field("ServiceRoleArn"))
	d.Triggers = r.triggers(p.field("TriggerConfigurations"))
	alarms := r.table(p.field("AlarmConfiguration"))
	for _, a := range r.list(alarms.field("Alarms")) {
		if a.kind == table {
			if name := r.reference(a.field("Name")); name != "" {
				d.Alarms = append(d.Alarms, name)
			}
		}
	}
	if on := alarms.field("Enabled"); on != nil && !r.flag(on, true) {
		r.note(on, "the alarms are turned off: they are not carried", "")
		d.Alarms = nil
	}
}

// mapping gives a queue's messages to a function.
func (r *reader) mapping(name string, v, p *value) bool {
	source := r.resolve(p.field("EventSourceArn"))
	if source == nil || source.kind != scalar {
		return false
	}
	m := nameForm.FindStringSubmatch(source.text)
	if m == nil || kindOf(r.resources[m[1]]) != "AWS::SQS::Queue" {
		if !queueARN.MatchString(source.text) {
			return false
		}
	}
	id := r.functionOf(p.field("FunctionName"))
	if id == "" {
		return false
	}
	e := Event{At: r.at(v), Name: name, Kind: SQS, Source: r.reference(p.field("EventSourceArn"))}
	r.polled(&e, p)
	r.pending(id, e)
	return true
}

// rule gives a schedule to the functions that it names.
func (r *reader) rule(name string, v, p *value) bool {
	if p.field("ScheduleExpression") == nil {
		return false
	}
	e := Event{At: r.at(v), Name: name, Kind: Schedule}
	found := false
	for _, t := range r.list(p.field("Targets")) {
		id := ""
		if t.kind == table {
			id = r.functionOf(t.field("Arn"))
		}
		if id == "" {
			r.lose(t, "the target is no function of this template", "")
			continue
		}
		t.field("Id").take()
		e.Expression, e.Description = r.text(p.field("ScheduleExpression")), r.text(p.field("Description"))
		e.Disabled = !r.flag(p.field("State"), true)
		e.Input = r.text(t.field("Input"))
		r.pending(id, e)
		found = true
	}
	return found
}
