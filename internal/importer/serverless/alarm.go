package serverless

import (
	"slices"
	"strings"
)

// Alarm is one of serverless-plugin-aws-alerts on one function, with the plugin's
// defaults and the project's definitions put together.
type Alarm struct {
	At
	Name              string `json:"name"`
	From              string `json:"from"` // function or custom: who asks for it
	LogicalID         string `json:"logicalId"`
	Active            bool   `json:"active"` // in this stage, and not switched off
	Description       string `json:"description,omitempty"`
	Namespace         string `json:"namespace,omitempty"`
	Metric            string `json:"metric,omitempty"`
	Pattern           string `json:"pattern,omitempty"` // in the log
	Threshold         string `json:"threshold,omitempty"`
	Statistic         string `json:"statistic,omitempty"`
	Period            string `json:"period,omitempty"` // seconds
	EvaluationPeriods string `json:"evaluationPeriods,omitempty"`
	DatapointsToAlarm string `json:"datapointsToAlarm,omitempty"`
	Comparison        string `json:"comparison,omitempty"`
	TreatMissing      string `json:"treatMissing,omitempty"`
}

// builtin are the plugin's own definitions (its README, "Default Definitions").
func builtin(name string) (Alarm, bool) {
	a := Alarm{Namespace: "AWS/Lambda", Threshold: "1", Statistic: "Sum", Period: "60", EvaluationPeriods: "1", Comparison: "GreaterThanOrEqualToThreshold", TreatMissing: "missing"}
	switch name {
	case "functionInvocations":
		a.Metric, a.Threshold = "Invocations", "100"
	case "functionErrors":
		a.Metric = "Errors"
	case "functionDuration":
		a.Metric, a.Threshold, a.Statistic = "Duration", "500", "Average"
	case "functionThrottles":
		a.Metric = "Throttles"
	default:
		return Alarm{}, false
	}
	return a, true
}

// alarms are those of the function over those that custom.alerts gives to all.
func (d *reader) alarms(fn *node) []Alarm {
	config := d.root.under("custom", "alerts")
	stages := d.stages(config.under("stages"))
	inStage := len(stages) == 0 || slices.Contains(stages, d.p.Provider.Stage)
	var out []Alarm
	at := map[string]int{} // in out
	add := func(n *node, from string) {
		if n == nil {
			return
		}
		for _, item := range n.items {
			if !d.charge(item, 1) {
				return
			}
			a, ok := alarm(item, config.under("definitions"), fn.key)
			if !ok {
				continue
			}
			a.From, a.Active = from, a.Active && inStage
			if i, ok := at[a.Name]; ok {
				out[i] = a
				continue
			}
			at[a.Name] = len(out)
			out = append(out, a)
		}
	}
	add(config.under("alarms"), "custom")
	add(config.under("function"), "custom") // the plugin's older names
	add(config.under("global"), "custom")
	add(fn.under("alarms"), "function")
	return out
}

// alarm reads a name, or a mapping with a name and settings of its own.
func alarm(n, definitions *node, function string) (Alarm, bool) {
	var name string
	switch n.kind {
	case scalar:
		name = n.text
	case table:
		name = n.under("name").str()
	case list:
	}
	a, known := builtin(name)
	if def := definitions.under(name); def != nil {
		known = true
		a.over(def)
	}
	if name == "" || n.kind == scalar && !known {
		n.odd = "no alarm of that name is defined"
		return a, false
	}
	a.At, a.Name, a.Active = n.At, name, true
	if yes := definitions.under(name, "enabled").truth(); yes != nil {
		a.Active = *yes
	}
	if n.kind == scalar {
		n.str()
	} else {
		a.over(n)
		if yes := n.under("enabled").truth(); yes != nil {
			a.Active = *yes
		}
	}
	a.LogicalID = normal(function) + upper(name) + "Alarm"
	return a, true
}

// over puts what a mapping says over the alarm.
func (a *Alarm) over(n *node) {
	for key, field := range map[string]*string{
		"description": &a.Description, "namespace": &a.Namespace, "metric": &a.Metric, "pattern": &a.Pattern,
		"threshold": &a.Threshold, "statistic": &a.Statistic, "period": &a.Period, "evaluationPeriods": &a.EvaluationPeriods,
		"datapointsToAlarm": &a.DatapointsToAlarm, "comparisonOperator": &a.Comparison, "treatMissingData": &a.TreatMissing,
	} {
		if v := n.under(key); v != nil && v.kind == scalar {
			*field = v.str()
		}
	}
}

// normal is a function's key within a logical ID (Serverless Framework documentation,
// "AWS Resources").
func normal(key string) string {
	return upper(strings.NewReplacer("-", "Dash", "_", "Underscore").Replace(key))
}

// LogicalID is what the framework calls a function's resource, by its key.
func LogicalID(key string) string { return normal(key) + "LambdaFunction" }

func upper(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
