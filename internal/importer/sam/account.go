package sam

import "strings"

// reader reads one template. Whatever it reads it marks, and sweep lists the rest:
// so nothing can be dropped by being forgotten.
type reader struct {
	file      string
	root      *value
	values    map[string]string
	project   *Project
	resources map[string]*value // those that exist
	verdicts  map[string]*verdict
	noted     map[string]bool
	waiting   []waiting
	left      int
	bytes     int            // of texts that were made
	places    map[string]int // functions by logical ID, in the project
	err       error
}

func (r *reader) at(v *value) At { return At{r.file, v.line} }

// step counts a look at a value.
func (r *reader) step(v *value) bool {
	if r.left--; r.left < 0 {
		r.fail(v.line, "the template takes too long to read: its Globals and functions multiply", "split it")
	}
	return r.err == nil
}

func (r *reader) fail(line int, what, instead string) {
	if r.err == nil {
		r.err = &TemplateError{r.file, line, what, instead}
	}
}

// note lists a part, and marks nothing.
func (r *reader) note(v *value, why, instead string) {
	key := v.path + "\x00" + why
	if r.noted[key] {
		return
	}
	r.noted[key] = true
	r.project.Lost = append(r.project.Lost, Lost{r.file, v.line, v.path, why, instead})
}

// lose lists a part and all beneath it.
func (r *reader) lose(v *value, why, instead string) {
	if v == nil {
		return
	}
	v.all()
	r.note(v, why, instead)
}

// sweep lists what nobody read, each part at its topmost key.
func (r *reader) sweep(v *value) {
	untouched := true
	v.each(func(l *value) { untouched = untouched && !l.seen })
	if untouched && v != r.root && !strings.HasSuffix(v.path, "Properties") && v.path != "Resources" {
		why, instead := reason(v.path)
		r.lose(v, why, instead)
		return
	}
	if v.leaf() {
		if !v.seen {
			why, instead := reason(v.path)
			r.lose(v, why, instead)
		}
		return
	}
	for _, f := range v.fields {
		r.sweep(f.value)
	}
	for _, i := range v.items {
		r.sweep(i)
	}
}

// reason says why a part that nobody read is not carried.
func reason(path string) (why, instead string) {
	top, rest, _ := strings.Cut(path, ".")
	if strings.HasPrefix(path, "Globals.HttpApi") || strings.HasPrefix(path, "Globals.Api") || strings.Contains(path, "Properties.Auth") {
		return "who may call, and other settings of an API, are not carried: its routes are open", "http: { routes, jwt: { issuer, audience } } of the functions, or check in the function"
	}
	if top == "Globals" && (strings.HasSuffix(path, ".Tracing") || strings.HasSuffix(path, ".VpcConfig") || strings.HasSuffix(path, ".Tags")) {
		top, rest = "", "Fn.Properties."+path[strings.LastIndexByte(path, '.')+1:] // as of a function
	}
	switch top {
	case "Outputs":
		return "a stack's outputs have no counterpart", "read addresses from titrate status"
	case "Globals":
		return "no function takes it: it is overridden, or SAM does not allow it in Globals", ""
	case "Conditions", "Mappings", "Parameters":
		return "nothing that is carried asks for it", ""
	case "Metadata", "Transform", "Rules", "Hooks":
		return "it is for AWS's tools only", ""
	}
	parts := strings.Split(rest, ".")
	switch parts[min(len(parts)-1, 2)] {
	case "Policies", "Role", "PermissionsBoundary":
		return "there are no IAM roles here", "give what it calls its own credentials, as secrets"
	case "VpcConfig":
		return "there is no VPC here", ""
	case "Tracing", "TracingConfig":
		return "there is no X-Ray here", ""
	case "Tags":
		return "tags have no counterpart", ""
	}
	if len(parts) > 1 {
		switch parts[1] {
		case "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata", "CreationPolicy":
			return "it steers CloudFormation only", ""
		}
	}
	return "this key is not carried", ""
}
