package serverless

import (
	"cmp"
	"slices"
	"strings"
)

// leftovers lists what nothing took, each value at its highest key of which nothing
// was taken, and what the variables had to leave.
func (r *resolver) leftovers() []Lost {
	out := r.lost
	for _, file := range r.files {
		out = leftover(out, file)
	}
	slices.SortStableFunc(out, func(a, b Lost) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Why, b.Why))
	})
	return slices.Compact(out)
}

func leftover(out []Lost, n *node) []Lost {
	if isResource(n) {
		out = append(out, resourceLost(n))
		for _, p := range n.under("Properties").fieldsOf() {
			if t := n.under("Type"); t != nil && (t.text == "AWS::SQS::Queue" || t.text == "AWS::SNS::Topic") && !anyTaken(p) {
				out = append(out, lostAt(p)) // what is read of the resource goes without it
			}
		}
		return out
	}
	if n.parent != nil && !anyTaken(n) && !split1by1(n) || n.parent == nil && n.kind == scalar && !n.taken {
		return append(out, lostAt(n))
	}
	for _, children := range [][]*node{n.fields, n.items} {
		for _, c := range children {
			out = leftover(out, c)
		}
	}
	return out
}

// anyTaken tells whether anything of a value was carried.
func anyTaken(n *node) bool {
	return n.taken || slices.ContainsFunc(n.fields, anyTaken) || slices.ContainsFunc(n.items, anyTaken)
}

// split1by1 are the sections whose members a person looks for one by one.
func split1by1(n *node) bool {
	if len(n.fields)+len(n.items) == 0 {
		return false
	}
	switch n.path() {
	case "custom", "provider", "resources", "functions", "resources.Resources", "resources.Outputs", "resources.Conditions", "resources.extensions", "provider.iam", "provider.iam.role":
		return true
	}
	path := n.path()
	if n.key == "events" || n.parent.key == "events" && len(n.fields) == 1 {
		return strings.HasPrefix(path, "functions")
	}
	return strings.HasPrefix(path, "resources[") && strings.Count(path, ".") <= 1
}

// isResource tells whether a value is one member of resources.Resources.
func isResource(n *node) bool {
	if n.parent == nil || n.parent.key != "Resources" {
		return false
	}
	section := n.parent.parent
	return section != nil && (section.key == "resources" || strings.HasPrefix(section.key, "[") && section.parent != nil && section.parent.key == "resources")
}

func resourceLost(n *node) Lost {
	l := Lost{At: n.At, Key: n.path(), Why: "resources of the cloud are not made here", Instead: "keep it where it is, or run the like beside the app"}
	switch t := n.under("Type"); {
	case t == nil || t.kind != scalar:
	case t.text == "AWS::SQS::Queue":
		l.Why, l.Instead = "an "+t.text+" is not made by a release", "name it under queues; functions that refer to it are read"
	case t.text == "AWS::SNS::Topic":
		l.Why, l.Instead = "an "+t.text+" is not made by a release", "name it under topics; functions that refer to it are read"
	default:
		l.Why = "an " + t.text + " is not made by a release"
	}
	return l
}

func lostAt(n *node) Lost {
	l := Lost{At: n.At, Key: n.path()}
	l.Why, l.Instead = reasonFor(n)
	if n.odd != "" {
		l.Why, l.Instead = n.odd, "correct it"
	}
	return l
}

// reasonFor says why a key is not carried and what stands for it.
func reasonFor(n *node) (why, instead string) {
	path := n.path()
	top, rest, _ := strings.Cut(path, ".")
	switch {
	case n.kind != scalar && len(n.fields)+len(n.items) == 0:
		return "it is empty", "delete it"
	case len(n.fields) == 1 && strings.HasPrefix(n.fields[0].key, "Fn::"):
		return "what " + n.fields[0].key + " gives is only known in the cloud", "write the value out"
	case n.null() && n.kind == scalar:
		return "it has no value", "delete it"
	case top == "custom" && strings.HasPrefix(rest, "alerts"):
		return "of the alerts only definitions, alarms and stages are carried", "name who hears of an alarm in the app's notifications"
	case strings.HasPrefix(rest, "deploymentSettings.") && n.key != "codeDeployRole" && n.key != "triggerConfigurations":
		return "no function with deploymentSettings of its own takes it", "write it under the function"
	case top == "custom" && n.key != "codeDeployRole" && n.key != "triggerConfigurations":
		return "nothing that is carried refers to it: a plugin reads it, or another stage", "look whether a plugin needs it"
	case top == "provider" && strings.Contains(path, "variableSyntax"):
		return "variables are read in the framework's own syntax only", "write them as ${…}"
	case strings.Contains(path, "iam") || n.key == "role":
		return "functions here have no role of the cloud", "give credentials as secrets of the app"
	case n.key == "vpc":
		return "functions here run in the machine's network", "nothing, if the machine reaches the same hosts"
	case n.key == "tags" || n.key == "stackTags":
		return "there are no tags of the cloud", "nothing"
	case n.key == "codeDeployRole" || n.key == "triggerConfigurations":
		return "no CodeDeploy takes part", "nothing: releases are notified by the app's own settings"
	case strings.Contains(path, ".events["):
		return "no event of this kind, or no such setting of it, is carried", "call the function by HTTP, a timer, a queue or a topic"
	case top == "resources":
		return "resources of the cloud are not made here", "keep it where it is"
	}
	return "no setting of that name is carried", "see whether the function needs it"
}

// fieldsOf are the fields of a value that may not be there.
func (n *node) fieldsOf() []*node {
	if n == nil {
		return nil
	}
	return n.fields
}
