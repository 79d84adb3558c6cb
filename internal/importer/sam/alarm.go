package sam

import "regexp"

var queueARN = regexp.MustCompile(`^arn:[^:]*:sqs:`)

// alarms takes those alarms that a deployment names; the others are listed.
func (r *reader) alarms() {
	named := map[string]bool{}
	for _, f := range r.project.Functions {
		if f.Deployment != nil {
			for _, a := range f.Deployment.Alarms {
				named[a] = true
			}
		}
	}
	found := map[string]bool{}
	for _, f := range r.root.field("Resources").fields {
		v := r.resources[f.name]
		if v == nil || kindOf(v) != "AWS::CloudWatch::Alarm" {
			continue
		}
		name := r.resolve(v.field("Properties").field("AlarmName"))
		if named[f.name] || name != nil && name.kind == scalar && name.text != "" && named[name.text] {
			r.alarm(f.name, v)
			found[f.name] = true
			if name != nil {
				found[name.text] = true
			}
		} else {
			r.lose(v, "no deployment names this alarm", "write it as an alarm of the function")
		}
	}
	for _, f := range r.project.Functions {
		if f.Deployment != nil {
			r.elsewhere(f.ID, f.Deployment, found)
		}
	}
}

// elsewhere lists the alarms of a deployment that stand in no resource here.
func (r *reader) elsewhere(id string, d *Deployment, found map[string]bool) {
	for _, a := range d.Alarms {
		if !found[a] {
			r.project.Lost = append(r.project.Lost, Lost{
				r.file, d.Line, "Resources." + id + " (alarm " + clip(a) + ")",
				"the alarm is not in this template: what it measures is not known", "write it as an alarm of the function",
			})
		}
	}
}

// alarm takes an AWS::CloudWatch::Alarm.
func (r *reader) alarm(id string, v *value) {
	v.field("Type").take()
	p := r.table(v.field("Properties"))
	a := Alarm{
		At: r.at(v), ID: id, Name: r.text(p.field("AlarmName")), Description: r.text(p.field("AlarmDescription")),
		Namespace: r.text(p.field("Namespace")), Metric: r.text(p.field("MetricName")),
		Statistic: r.text(p.field("Statistic")), ExtendedStatistic: r.text(p.field("ExtendedStatistic")),
		Comparison: r.text(p.field("ComparisonOperator")), Missing: r.text(p.field("TreatMissingData")), Unit: r.text(p.field("Unit")),
		Threshold: r.float(p.field("Threshold")), Period: r.number(p.field("Period")),
		Periods: r.number(p.field("EvaluationPeriods")), DatapointsOf: r.number(p.field("DatapointsToAlarm")),
	}
	for _, d := range r.list(p.field("Dimensions")) {
		if d.kind != table {
			continue
		}
		x := Variable{At: r.at(d), Name: r.text(d.field("Name"))}
		got := r.resolve(d.field("Value"))
		x.Value = r.reference(d.field("Value"))
		x.Known = got != nil && (!got.unknown || x.Value != got.text)
		a.Dimensions = append(a.Dimensions, x)
	}
	r.project.Alarms = append(r.project.Alarms, a)
}
