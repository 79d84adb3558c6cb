package importer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"titrate/internal/importer/serverless"
)

// cloudAlarm is an alarm of CloudWatch's on one function, whichever file says so.
type cloudAlarm struct {
	name       string
	metric     string  // Errors, Throttles, Duration, …
	pattern    bool    // it counts lines of a log
	statistic  string  // Sum, Average, Maximum, p99
	threshold  float64 // in the metric's own unit
	seconds    int     // of a period
	m, n       int     // M of N periods
	greater    bool    // it trips above the threshold
	atLeast    bool    // it trips at the threshold, too
	understood bool    // its numbers could be read
	missing    string  // what counts where nothing was measured
	about      string  // its description
}

var percentile = regexp.MustCompile(`^p\d{2}(\.\d)?$`)

// rule is the alarm in Titrate's words; why says what differs, or why there is none.
func (a cloudAlarm) rule() (rule, why string) {
	if !a.understood || !a.greater || a.pattern {
		return "", "it is not an alarm above a threshold of a metric that is measured here"
	}
	span := a.seconds * a.n
	if a.atLeast {
		why = "it tripped at the threshold, too, and trips above it here"
	}
	count := a.threshold
	if a.atLeast && count > 0 && (a.metric == "Errors" || a.metric == "Throttles") {
		count, why = count-1, ""
	}
	switch {
	case a.metric == "Errors":
		return "errors > 1% for " + lasting(max(span, 60)), fmt.Sprintf("it tripped above %g errors in %s; here it is their share", count, lasting(a.seconds))
	case a.metric == "Throttles":
		return fmt.Sprintf("throttles > %d for %s", int(count), lasting(span)), why
	case a.metric == "Duration" && percentile.MatchString(a.statistic):
		return fmt.Sprintf("%s > %gms for %s", a.statistic, a.threshold, a.over(span)), why
	case a.metric == "Duration":
		return fmt.Sprintf("p99 > %gms for %s", a.threshold, a.over(span)), "it was of the " + a.statistic + "; here it is of the 99th percentile"
	}
	return "", "the metric " + a.metric + " is not measured here"
}

// over is for how long, with M of N where they differ.
func (a cloudAlarm) over(span int) string {
	if a.m > 0 && a.m < a.n {
		return fmt.Sprintf("%s in %d of %d", lasting(span), a.m, a.n)
	}
	return lasting(span)
}

func lasting(seconds int) string {
	if seconds%60 == 0 && seconds > 0 {
		return strconv.Itoa(seconds/60) + "m"
	}
	return strconv.Itoa(seconds) + "s"
}

// alarm adds an alarm to a function.
func (b *builder) alarm(f *cloudFunction, a cloudAlarm, at *node) {
	rule, why := a.rule()
	if rule == "" {
		b.note(at, Lost, why, "alarms: { "+kebab(a.name)+": METRIC > LIMIT for TIME }")
		return
	}
	f.add("alarms", kebab(a.name), rule, at)
	if a.missing == "breaching" {
		b.note(at, Changed, "it tripped where nothing was measured, too; here that trips nothing", "")
	}
	if a.about != "" {
		b.note(at, Needless, "its description: "+a.about, "")
	}
	if why != "" {
		b.note(at, Changed, why, "")
	}
}

// alarms takes over those of a function that serverless-plugin-aws-alerts makes, or
// that its deployment names.
func (r *slsReader) alarms(f *cloudFunction, of serverless.Function, named []serverless.AlarmRef) {
	for _, a := range of.Alarms {
		at := slsNode(a.At, "functions."+of.Key+".alarms."+a.Name)
		if !a.Active {
			r.note(at, Needless, "it does not hold in the stage "+r.p.Provider.Stage, "")
			continue
		}
		r.alarm(f, slsAlarm(a), at)
	}
	for _, ref := range named {
		if ref.Function == "" {
			name := ref.Name + ref.LogicalID
			r.note(slsNode(ref.At, "functions."+of.Key+".deploymentSettings.alarms"), Lost, "the alarm "+name+" is not one that this file describes", "alarms: { "+kebab(name)+": METRIC > LIMIT for TIME }")
		}
	}
}

// metricName is how CloudWatch spells a metric.
func metricName(s string) string {
	for _, name := range []string{"Errors", "Throttles", "Duration", "Invocations"} {
		if strings.EqualFold(s, name) {
			return name
		}
	}
	return s
}

func slsAlarm(a serverless.Alarm) cloudAlarm {
	number := func(s string, fallback int) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fallback
		}
		return n
	}
	threshold, err := strconv.ParseFloat(a.Threshold, 64)
	c := cloudAlarm{
		name: a.Name, metric: metricName(a.Metric), pattern: a.Pattern != "", statistic: a.Statistic, threshold: threshold,
		seconds: number(a.Period, 60), n: number(a.EvaluationPeriods, 1),
		greater: a.Comparison == "GreaterThanThreshold" || a.Comparison == "GreaterThanOrEqualToThreshold",
		atLeast: a.Comparison == "GreaterThanOrEqualToThreshold", understood: err == nil && (a.Namespace == "" || a.Namespace == "AWS/Lambda"),
		missing: a.TreatMissing, about: a.Description,
	}
	c.m = number(a.DatapointsToAlarm, c.n)
	return c
}
