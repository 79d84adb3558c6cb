package sam

import (
	"slices"
	"strings"
)

// overridable are the keys of Globals.Function that SAM allows and that are carried
// ("Globals section of the AWS SAM template"). The others there are listed.
func overridable(key string) bool {
	switch key {
	case "Handler", "Runtime", "CodeUri", "DeadLetterQueue", "Description", "MemorySize", "Timeout", "Environment",
		"Layers", "AutoPublishAlias", "DeploymentPreference", "ReservedConcurrentExecutions",
		"ProvisionedConcurrencyConfig", "Architectures", "EphemeralStorage", "FunctionUrlConfig":
		return true
	}
	return false
}

// withGlobals are a function's properties over those of Globals.
func (r *reader) withGlobals(props *value) *value {
	globals := r.root.field("Globals").field("Function")
	if globals == nil || globals.kind != table {
		return props
	}
	allowed := &value{line: globals.line, path: globals.path, kind: table}
	for _, f := range globals.fields {
		if overridable(f.name) {
			allowed.set(f.name, f.value)
		}
	}
	if props == nil {
		return allowed
	}
	return r.merge(allowed, props)
}

// merge puts own over global: tables key by key, lists one behind the other, all
// else replaced.
func (r *reader) merge(global, own *value) *value {
	if !r.step(own) {
		return own
	}
	nameG, _ := intrinsic(global)
	nameO, _ := intrinsic(own)
	if global.kind != own.kind || own.kind == scalar || nameG != "" || nameO != "" {
		return own
	}
	own.take() // an empty one adds nothing
	out := &value{line: own.line, path: own.path, kind: own.kind, seen: true}
	out.items = append(append(out.items, global.items...), own.items...)
	for range out.items {
		r.step(own)
	}
	for _, f := range global.fields {
		if o := own.field(f.name); o != nil {
			out.set(f.name, r.merge(f.value, o))
		} else if r.step(own) {
			out.set(f.name, f.value)
		}
	}
	for _, f := range own.fields {
		if global.field(f.name) == nil && r.step(own) {
			out.set(f.name, f.value)
		}
	}
	return out
}

// parameters takes the Parameters.
func (r *reader) parameters() {
	params := r.root.field("Parameters")
	if params == nil {
		return
	}
	for _, f := range params.fields {
		v := f.value
		p := Parameter{At: r.at(v), Name: f.name}
		p.Type, p.Description = r.text(v.field("Type")), r.text(v.field("Description"))
		if d := v.field("Default"); d != nil && d.kind == scalar {
			p.Default, p.Known = d.take().text, true
		}
		p.Value = p.Default
		if strings.HasPrefix(p.Type, "AWS::SSM::") { // its Default is the name of the value
			p.Value, p.Known = "", false
		}
		if given, ok := r.values[f.name]; ok {
			p.Value, p.Known = given, true
		}
		p.Secret = r.flag(v.field("NoEcho"), false)
		p.Allowed = r.texts(v.field("AllowedValues"))
		if p.Known && len(p.Allowed) > 0 && !slices.Contains(p.Allowed, p.Value) {
			r.note(v, "its value "+clip(p.Value)+" is none of its AllowedValues", "give one of them")
		}
		r.project.Parameters = append(r.project.Parameters, p)
	}
}
