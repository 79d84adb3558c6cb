package sam

// event takes one of a function's Events, if it is of a kind that is carried.
func (r *reader) event(f *Function, name string, v *value) {
	if v = r.table(v); v == nil {
		return
	}
	e := Event{At: r.at(v), Name: name}
	t := v.field("Type")
	if t == nil || t.kind != scalar {
		r.lose(v, "the event has no Type", "write its Type")
		return
	}
	p := r.table(v.field("Properties"))
	switch t.text {
	case "HttpApi":
		e.Kind, e.API = HTTPAPI, r.reference(p.field("ApiId"))
		e.Payload, e.Authorizer = r.text(p.field("PayloadFormatVersion")), r.authorizer(e.At, e.API, p)
		e.Method, e.Path = r.text(p.field("Method")), r.text(p.field("Path"))
	case "Api":
		e.Kind, e.API = RESTAPI, r.reference(p.field("RestApiId"))
		e.Method, e.Path = r.text(p.field("Method")), r.text(p.field("Path"))
	case "Schedule", "ScheduleV2":
		e.Kind = Schedule
		if x := p.field("Schedule"); x != nil {
			e.Expression = r.text(x)
		} else {
			e.Expression = r.text(p.field("ScheduleExpression"))
		}
		e.TimeZone, e.Input = r.text(p.field("ScheduleExpressionTimezone")), r.text(p.field("Input"))
		e.Description = r.text(p.field("Description"))
		e.Disabled = !r.flag(p.field("Enabled"), true)
		if s := p.field("State"); s != nil {
			e.Disabled = !r.flag(s, true)
		}
	case "SQS":
		e.Kind, e.Source = SQS, r.reference(p.field("Queue"))
		r.polled(&e, p)
	case "SNS":
		e.Kind, e.Source = SNS, r.reference(p.field("Topic"))
	default:
		r.lose(v, "events of the type "+clip(t.text)+" are not carried", "send them to a queue or a topic")
		return
	}
	t.take()
	f.Events = append(f.Events, e)
}

// polled takes what SAM's SQS events and event source mappings share.
func (r *reader) polled(e *Event, p *value) {
	e.BatchSize = r.number(p.field("BatchSize"))
	e.BatchWindow = r.number(p.field("MaximumBatchingWindowInSeconds"))
	e.MaxConcurrency = r.number(r.table(p.field("ScalingConfig")).field("MaximumConcurrency"))
	e.Disabled = !r.flag(p.field("Enabled"), true)
	for _, t := range r.list(p.field("FunctionResponseTypes")) {
		if t.kind == scalar && t.text == "ReportBatchItemFailures" {
			t.take()
			e.PartialBatch = true
		}
	}
}
