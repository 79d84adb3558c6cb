package sam

// decision is what a condition comes to.
type decision int

const (
	undecided decision = iota // it asks for what only AWS knows
	no
	yes
)

// verdict remembers a condition, also while it is being worked out.
type verdict struct {
	over bool
	is   decision
}

// decide works out a condition by name.
func (r *reader) decide(name string, line int) decision {
	if d := r.verdicts[name]; d != nil {
		if !d.over {
			r.fail(line, "the condition "+name+" asks for itself", "break the circle")
		}
		return d.is
	}
	d := &verdict{}
	r.verdicts[name] = d
	if c := r.root.field("Conditions").field(name); c != nil {
		d.is = r.test(c)
		if d.is == undecided {
			r.lose(c, "the condition "+name+" cannot be decided here", "give values to the parameters it asks for")
		}
	} else {
		r.fail(line, "there is no condition "+name, "write it under Conditions")
	}
	d.over = true
	return d.is
}

// test works out Fn::And, Fn::Or, Fn::Not, Fn::Equals or Condition.
func (r *reader) test(v *value) decision {
	if !r.step(v) {
		return undecided
	}
	name, arg := intrinsic(v)
	if name == "Condition" {
		return r.decide(arg.take().text, arg.line)
	}
	if arg == nil || arg.kind != list || len(arg.items) == 0 {
		return undecided
	}
	switch name {
	case "Fn::Equals":
		return r.equal(arg)
	case "Fn::Not":
		if len(arg.items) != 1 {
			return undecided
		}
		switch r.test(arg.items[0]) {
		case yes:
			return no
		case no:
			return yes
		default:
			return undecided
		}
	case "Fn::And", "Fn::Or":
		strong := no
		if name == "Fn::Or" {
			strong = yes
		}
		found, open := false, false
		for _, item := range arg.items {
			d := r.test(item)
			found = found || d == strong
			open = open || d == undecided
		}
		switch {
		case found:
			return strong
		case open:
			return undecided
		}
		return no + yes - strong
	}
	return undecided
}

// equal compares two texts, as CloudFormation does: true and "true" are one.
func (r *reader) equal(arg *value) decision {
	if len(arg.items) != 2 {
		return undecided
	}
	a, b := r.resolve(arg.items[0]), r.resolve(arg.items[1])
	if a == nil || b == nil || a.kind != scalar || b.kind != scalar {
		return undecided
	}
	a.take()
	b.take()
	switch {
	case a.text == b.text:
		return yes
	case a.unknown || b.unknown:
		return undecided
	}
	return no
}
