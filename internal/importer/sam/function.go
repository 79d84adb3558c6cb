package sam

// table is a resolved table, nil when it is none.
func (r *reader) table(v *value) *value {
	got := r.resolve(v)
	if got == nil {
		if v != nil {
			r.none(v)
		}
		return nil
	}
	if got.kind != table {
		return nil // sweep lists it
	}
	return got.take()
}

// function takes an AWS::Serverless::Function or an AWS::Lambda::Function.
func (r *reader) function(id string, v *value) {
	f := Function{At: r.at(v), ID: id, Condition: r.condition(v)}
	p := r.table(v.field("Properties"))
	sam := kindOf(v) == "AWS::Serverless::Function"
	if sam {
		p = r.withGlobals(p)
	}
	f.Name, f.Description = r.text(p.field("FunctionName")), r.text(p.field("Description"))
	f.Handler, f.Runtime = r.text(p.field("Handler")), r.text(p.field("Runtime"))
	f.PackageType = r.text(p.field("PackageType"))
	f.Memory, f.Timeout = r.number(p.field("MemorySize")), r.number(p.field("Timeout"))
	f.EphemeralStorage = r.number(r.table(p.field("EphemeralStorage")).field("Size"))
	f.Architectures = r.texts(p.field("Architectures"))
	f.Environment = r.variables(r.table(p.field("Environment")).field("Variables"))
	f.Layers = r.references(p.field("Layers"))
	f.Reserved = r.pointer(p.field("ReservedConcurrentExecutions"))
	if sam {
		r.serverless(&f, p)
	} else {
		f.CodeURI, f.InlineCode, f.ImageURI = r.code(p.field("Code"))
		if d := r.table(p.field("DeadLetterConfig")); d != nil {
			f.DeadLetter = &DeadLetter{At: r.at(d), Target: r.reference(d.field("TargetArn"))}
		}
	}
	r.places[id] = len(r.project.Functions)
	r.project.Functions = append(r.project.Functions, f)
}

// serverless takes what only SAM's functions have.
func (r *reader) serverless(f *Function, p *value) {
	f.ImageURI, f.InlineCode = r.text(p.field("ImageUri")), r.text(p.field("InlineCode"))
	f.CodeURI = r.uri(p.field("CodeUri"))
	f.AutoPublishAlias = r.text(p.field("AutoPublishAlias"))
	f.Provisioned = r.pointer(r.table(p.field("ProvisionedConcurrencyConfig")).field("ProvisionedConcurrentExecutions"))
	if d := r.table(p.field("DeadLetterQueue")); d != nil {
		f.DeadLetter = &DeadLetter{r.at(d), r.text(d.field("Type")), r.reference(d.field("TargetArn"))}
	}
	if d := r.table(p.field("DeploymentPreference")); d != nil {
		f.Deployment = r.preference(d)
		if f.AutoPublishAlias == "" && f.Deployment.Enabled {
			r.note(d, "there is no AutoPublishAlias, without which SAM shifts nothing", "AutoPublishAlias: live")
		}
	}
	if u := r.table(p.field("FunctionUrlConfig")); u != nil {
		f.Events = append(f.Events, Event{At: r.at(u), Kind: FunctionURL, Auth: r.text(u.field("AuthType"))})
	}
	if events := r.table(p.field("Events")); events != nil {
		for _, e := range events.fields {
			r.event(f, e.name, e.value)
		}
	}
}

// condition is the name under which a resource was made, when there is one.
func (r *reader) condition(v *value) string {
	if c := v.field("Condition"); c != nil && c.kind == scalar {
		return c.take().text
	}
	return ""
}

// variables takes a table of texts, in its order.
func (r *reader) variables(v *value) []Variable {
	vars := r.table(v)
	if vars == nil {
		return nil
	}
	var out []Variable
	for _, f := range vars.fields {
		got := r.resolve(f.value)
		if got == nil {
			r.none(f.value)
			continue
		}
		if got.kind == scalar {
			out = append(out, Variable{r.at(f.value), f.name, r.text(got), !got.unknown})
		}
	}
	return out
}

// uri takes a place of code: a text, or a bucket and a key.
func (r *reader) uri(v *value) string {
	if t := r.table(v); t != nil {
		return "s3://" + r.text(t.field("Bucket")) + "/" + r.text(t.field("Key"))
	}
	return r.text(v)
}

// code takes the Code of AWS::Lambda::Function.
func (r *reader) code(v *value) (uri, inline, image string) {
	c := r.table(v)
	if c == nil {
		return r.text(v), "", ""
	}
	if c.field("S3Key") != nil {
		uri = "s3://" + r.text(c.field("S3Bucket")) + "/" + r.text(c.field("S3Key"))
	}
	return uri, r.text(c.field("ZipFile")), r.text(c.field("ImageUri"))
}

// preference takes a DeploymentPreference.
func (r *reader) preference(v *value) *Deployment {
	d := &Deployment{
		At: r.at(v), Type: r.text(v.field("Type")), Enabled: r.flag(v.field("Enabled"), true),
		Alarms: r.references(v.field("Alarms")), Role: r.reference(v.field("Role")),
		PassthroughCondition: r.flag(v.field("PassthroughCondition"), false),
		Triggers:             r.triggers(v.field("TriggerConfigurations")),
	}
	hooks := r.table(v.field("Hooks"))
	d.PreTraffic, d.PostTraffic = r.reference(hooks.field("PreTraffic")), r.reference(hooks.field("PostTraffic"))
	return d
}

func (r *reader) triggers(v *value) []Trigger {
	var out []Trigger
	for _, t := range r.list(v) {
		if t.kind == table {
			out = append(out, Trigger{
				r.at(t), r.text(t.field("TriggerName")), r.reference(t.field("TriggerTargetArn")), r.texts(t.field("TriggerEvents")),
			})
		}
	}
	return out
}
