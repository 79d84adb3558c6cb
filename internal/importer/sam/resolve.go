package sam

import (
	"regexp"
	"strconv"
	"strings"
)

// known is a text that the reader made itself.
func known(from *value, text string) *value {
	return &value{line: from.line, path: from.path, text: text, seen: true}
}

// only is a text that AWS alone knows the end of.
func only(from *value, text string) *value {
	return &value{line: from.line, path: from.path, text: text, seen: true, unknown: true}
}

// intrinsic is the name and argument of a table that is one.
func intrinsic(v *value) (name string, arg *value) {
	if v == nil || v.kind != table || len(v.fields) != 1 {
		return "", nil
	}
	if f := v.fields[0]; f.name == "Ref" || f.name == "Condition" && f.value.kind == scalar || strings.HasPrefix(f.name, "Fn::") {
		return f.name, f.value
	}
	return "", nil
}

// resolve is what a value comes to: itself, or what its intrinsic makes. It is nil
// for AWS::NoValue. What an intrinsic used is marked; its result may be not.
func (r *reader) resolve(v *value) *value {
	if v == nil || !r.step(v) {
		return nil
	}
	name, arg := intrinsic(v)
	switch name {
	case "":
		return v
	case "Ref":
		if arg.kind == scalar {
			return r.ref(v, arg.take().text)
		}
	case "Fn::GetAtt":
		if parts := r.texts(arg); len(parts) > 1 || len(parts) == 1 && strings.Contains(parts[0], ".") {
			return only(v, "${"+strings.Join(parts, ".")+"}")
		}
	case "Fn::Sub":
		return r.sub(v, arg)
	case "Fn::If":
		return r.branch(v, arg)
	case "Fn::Join", "Fn::Split", "Fn::Select":
		if arg.kind == list && len(arg.items) == 2 {
			return r.parts(v, name, arg)
		}
	case "Fn::FindInMap":
		return r.find(v, arg)
	case "Fn::ImportValue":
		if of := r.resolve(arg); of != nil && of.kind == scalar {
			of.take()
			return only(v, "${Fn::ImportValue:"+of.text+"}")
		}
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not", "Condition":
		if d := r.test(v); d != undecided {
			return known(v, strconv.FormatBool(d == yes))
		}
	}
	return r.stuck(v, name)
}

// stuck is an intrinsic that decides nothing here.
func (r *reader) stuck(v *value, name string) *value {
	r.lose(v, name+" cannot be worked out here", "write the value itself")
	return only(v, "${"+name+"}")
}

// ref is what Ref of a name comes to.
func (r *reader) ref(v *value, name string) *value {
	if name == "AWS::NoValue" {
		return nil
	}
	p := r.root.field("Parameters").field(name)
	text, given := r.values[name]
	if !given {
		d := p.field("Default")
		kind := p.field("Type")
		if d == nil || d.kind != scalar || kind != nil && strings.HasPrefix(kind.text, "AWS::SSM::") {
			return only(v, "${"+name+"}")
		}
		text = d.take().text
	}
	if t := p.field("Type"); t != nil && (t.text == "CommaDelimitedList" || strings.HasPrefix(t.text, "List<")) {
		l := &value{line: v.line, path: v.path, kind: list, seen: true}
		for part := range strings.SplitSeq(text, ",") {
			if !r.step(v) {
				return nil
			}
			l.items = append(l.items, known(v, strings.TrimSpace(part)))
		}
		return l
	}
	return known(v, text)
}

var subForm = regexp.MustCompile(`\$\{([^{}]*)\}`)

// sub is Fn::Sub of a text, or of a text and a table of names.
func (r *reader) sub(v, arg *value) *value {
	text, names := arg, (*value)(nil)
	if arg.kind == list && len(arg.items) == 2 && arg.items[1].kind == table {
		text, names = arg.items[0], arg.items[1]
	} else if arg.kind == list && len(arg.items) == 1 {
		text = arg.items[0]
	}
	if text.kind != scalar {
		return r.stuck(v, "Fn::Sub")
	}
	var b strings.Builder
	unknown, from := false, 0
	source := text.take().text
	if !r.spend(v, len(source)) {
		return nil
	}
	for _, m := range subForm.FindAllStringSubmatchIndex(source, -1) {
		b.WriteString(source[from:m[0]])
		name := strings.TrimSpace(source[m[2]:m[3]])
		from = m[1]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
			continue
		}
		var got *value
		switch {
		case names.field(name) != nil:
			got = r.resolve(names.field(name))
		case strings.Contains(name, "."):
			got = only(v, "${"+name+"}")
		default:
			got = r.ref(v, name)
		}
		if !r.grown(v, b.Len()) {
			return nil
		}
		switch {
		case got == nil:
		case got.kind != scalar:
			return r.stuck(v, "Fn::Sub")
		default:
			b.WriteString(got.take().text)
			unknown = unknown || got.unknown
		}
	}
	b.WriteString(source[from:])
	if !r.grown(v, b.Len()) || !r.spend(v, b.Len()) {
		return nil
	}
	out := known(v, b.String())
	out.unknown = unknown
	return out
}

// spend counts the bytes of texts that are made or gone through.
func (r *reader) spend(v *value, n int) bool {
	if r.bytes += n; r.bytes > maxBytes {
		r.fail(v.line, "the template's intrinsics make more than 64 MB of text", "write shorter ones")
	}
	return r.err == nil
}

// grown ends a text that grows without end.
func (r *reader) grown(v *value, size int) bool {
	if size > maxText {
		r.fail(v.line, "an intrinsic makes a text of more than 64 KB", "write a shorter one")
	}
	return r.step(v)
}

// branch is Fn::If: one of two, the other is listed.
func (r *reader) branch(v, arg *value) *value {
	if arg.kind != list || len(arg.items) != 3 || arg.items[0].kind != scalar {
		return r.stuck(v, "Fn::If")
	}
	c, chosen, other := arg.items[0], arg.items[1], arg.items[2]
	switch r.decide(c.text, c.line) {
	case undecided:
		r.lose(v, "the condition "+c.text+" cannot be decided here, and neither side is taken", "give values to the parameters it asks for")
		return only(v, "${Fn::If:"+c.text+"}")
	case no:
		chosen, other = other, chosen
	default:
	}
	c.take()
	if name, a := intrinsic(other); name == "Ref" && a.text == "AWS::NoValue" {
		other.all() // nothing is lost with it
	} else {
		r.lose(other, "the other side of the condition "+c.text+" is taken with these values", "")
	}
	return r.resolve(chosen)
}

// parts are Fn::Join, Fn::Split and Fn::Select of their two arguments.
func (r *reader) parts(v *value, name string, arg *value) *value {
	first, second := r.resolve(arg.items[0]), r.resolve(arg.items[1])
	if first == nil || second == nil || first.kind != scalar || first.unknown {
		return r.stuck(v, name)
	}
	if name == "Fn::Split" {
		if second.kind != scalar || second.unknown || first.text == "" || !r.spend(v, len(second.text)) {
			return r.stuck(v, name)
		}
		first.take()
		out := &value{line: v.line, path: v.path, kind: list, seen: true}
		for part := range strings.SplitSeq(second.take().text, first.text) {
			if !r.step(v) {
				return nil
			}
			out.items = append(out.items, known(v, part))
		}
		return out
	}
	if second.kind != list {
		return r.stuck(v, name)
	}
	if name == "Fn::Select" {
		i, err := strconv.Atoi(first.text)
		if err != nil || i < 0 || i >= len(second.items) {
			return r.stuck(v, name)
		}
		first.take()
		return r.resolve(second.items[i]) // the items not chosen are swept
	}
	var b strings.Builder
	unknown := false
	for i, item := range second.items {
		got := r.resolve(item)
		if !r.grown(v, b.Len()) {
			return nil
		}
		if got == nil || got.kind != scalar {
			return r.stuck(v, name)
		}
		if i > 0 {
			b.WriteString(first.text)
		}
		b.WriteString(got.take().text)
		unknown = unknown || got.unknown
	}
	first.take()
	second.take()
	if !r.grown(v, b.Len()) || !r.spend(v, b.Len()) {
		return nil
	}
	out := known(v, b.String())
	out.unknown = unknown
	return out
}

// find is Fn::FindInMap.
func (r *reader) find(v, arg *value) *value {
	if arg.kind != list || len(arg.items) < 3 {
		return r.stuck(v, "Fn::FindInMap")
	}
	at := r.root.field("Mappings")
	for _, k := range arg.items[:3] {
		key := r.resolve(k)
		if key == nil || key.kind != scalar || key.unknown {
			return r.stuck(v, "Fn::FindInMap")
		}
		at = at.field(key.take().text)
	}
	if at == nil && len(arg.items) == 4 {
		at = r.resolve(arg.items[3].field("DefaultValue"))
	}
	if at == nil {
		return r.stuck(v, "Fn::FindInMap")
	}
	return at
}
