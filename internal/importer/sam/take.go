package sam

import (
	"regexp"
	"strconv"
	"strings"
)

// text takes a text. One that only AWS knows keeps its names, and is listed.
func (r *reader) text(v *value) string {
	got := r.resolve(v)
	if got == nil {
		r.none(v)
		return ""
	}
	if got.kind != scalar {
		return "" // sweep lists it
	}
	if got.take().unknown {
		r.note(got, "what "+clip(got.text)+" is, only AWS knows", "write the value, or give it to the parameter")
	}
	return got.text
}

// none marks an AWS::NoValue, with which nothing is lost.
func (r *reader) none(v *value) {
	if name, arg := intrinsic(v); name == "Ref" {
		arg.take()
	}
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// number takes a whole number. What is none is listed, and counts as not said.
func (r *reader) number(v *value) int {
	if f := r.float(v); f != nil && *f == float64(int(*f)) {
		return int(*f)
	} else if f != nil {
		r.note(v, "it is no whole number", "write a whole number")
	}
	return 0
}

func (r *reader) pointer(v *value) *int {
	if f := r.float(v); f != nil {
		n := int(*f)
		if float64(n) == *f {
			return &n
		}
		r.note(v, "it is no whole number", "write a whole number")
	}
	return nil
}

func (r *reader) float(v *value) *float64 {
	got := r.resolve(v)
	if got == nil {
		r.none(v)
		return nil
	}
	if got.kind != scalar {
		return nil
	}
	f, err := strconv.ParseFloat(got.text, 64)
	if err != nil || f != f || f > 1<<53 || f < -1<<53 {
		got.take()
		r.note(got, "what "+clip(got.text)+" is as a number, cannot be said here", "write a number, or give it to the parameter")
		return nil
	}
	got.take()
	return &f
}

// flag takes true or false, and otherwise the one that counts when nothing is said.
func (r *reader) flag(v *value, otherwise bool) bool {
	got := r.resolve(v)
	if got == nil {
		r.none(v)
		return otherwise
	}
	if got.kind != scalar {
		return otherwise
	}
	got.take()
	switch strings.ToLower(got.text) {
	case "true", "yes", "on", "1", "enabled":
		return true
	case "false", "no", "off", "0", "disabled":
		return false
	}
	r.note(got, "what "+clip(got.text)+" is, true or false, cannot be said here", "write true or false")
	return otherwise
}

// list is the items of a list, resolved; one value is a list of one.
func (r *reader) list(v *value) []*value {
	got := r.resolve(v)
	if got == nil {
		r.none(v)
		return nil
	}
	if got.kind != list {
		return []*value{got}
	}
	got.take()
	var out []*value
	for _, item := range got.items {
		switch x := r.resolve(item); {
		case x == nil:
			r.none(item)
		case x.kind == list: // an Fn::If that adds several
			out = append(out, x.items...)
		default:
			out = append(out, x)
		}
	}
	return out
}

// texts takes a list of texts.
func (r *reader) texts(v *value) []string {
	var out []string
	for _, item := range r.list(v) {
		if item.kind == scalar {
			out = append(out, r.text(item))
		}
	}
	return out
}

// nameForm is a resource, or one attribute of it: of those of a resource that SAM
// makes (Fn.Version.Version) only AWS knows.
var nameForm = regexp.MustCompile(`^\$\{([A-Za-z0-9]+)(\.\w+)?\}$`)

// reference takes the name of a resource: its logical ID when it is one of the
// template's, else the text.
func (r *reader) reference(v *value) string {
	got := r.resolve(v)
	if got == nil {
		r.none(v)
		return ""
	}
	if got.kind != scalar {
		return ""
	}
	if m := nameForm.FindStringSubmatch(got.text); m != nil && got.unknown && r.resources[m[1]] != nil {
		got.take()
		return m[1]
	}
	return r.text(got)
}

func (r *reader) references(v *value) []string {
	var out []string
	for _, item := range r.list(v) {
		if item.kind != scalar { // sweep lists it
			continue
		}
		if name := r.reference(item); name != "" {
			out = append(out, name)
		}
	}
	return out
}
