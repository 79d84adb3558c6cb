package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"titrate/internal/rollout"
)

// functionBlocks are the settings of a function but its host, one key each; the same
// number, in the same order, for every function.
func (s Service) functionBlocks() []string {
	fn := s.Function
	probe := ""
	if fn.Run.Probe != nil {
		probe = line("probe", writeEvent(fn.Run.Probe))
	}
	layers := ""
	if len(fn.Layers) > 0 {
		layers = line("layers", flowList(fn.Layers))
	}
	return append([]string{
		s.buildLine(),
		layers,
		line("runtime", optional(fn.Run.Runtime)),
		line("handler", optional(fn.Run.Handler)),
		line("timeout", FormatDuration(fn.Run.Timeout)),
		s.envBlock(),
		s.secretsLine(),
		line("scale", flow(field{"min", strconv.Itoa(fn.Scale.Min)}, field{"max", strconv.Itoa(fn.Scale.Max)})),
		s.limitsLine(),
		probe,
		fn.httpLine(),
		fn.cronBlock(),
		fn.queueBlock(),
		fn.topicLine(),
	}, s.rolloutBlocks()...)
}

func (fn Function) httpLine() string {
	t := fn.Triggers
	if len(t.Routes) == 0 {
		return line("http", none)
	}
	cors, jwt := "", ""
	if c := t.CORS; c != nil {
		cors = flow(field{"origins", flowList(c.Origins)}, field{"methods", flowList(c.Methods)}, field{"headers", flowList(c.Headers)}, field{"expose", flowList(c.Expose)},
			field{"maxAge", FormatDuration(c.MaxAge)}, field{"credentials", strconv.FormatBool(c.Credentials)})
	}
	if j := t.JWT; j != nil {
		jwt = flow(field{"issuer", scalar(j.Issuer)}, field{"audience", flowList(j.Audiences)}, field{"scopes", flowList(j.Scopes)})
	}
	return line("http", flow(field{"routes", flowList(t.Routes)}, field{"payload", quoted(t.Payload)}, field{"cors", cors}, field{"jwt", jwt}))
}

func (fn Function) cronBlock() string {
	if len(fn.Triggers.Schedules) == 0 {
		return line("cron", none)
	}
	var b strings.Builder
	b.WriteString("cron:\n")
	for _, t := range fn.Triggers.Schedules {
		input := ""
		if t.Input != nil {
			input = writeEvent(t.Input)
		}
		fmt.Fprintf(&b, "  - %s\n", flow(field{"cron", scalar(t.Expression)}, field{"zone", optional(t.Zone)}, field{"input", input}))
	}
	return b.String()
}

func (fn Function) queueBlock() string {
	if len(fn.Triggers.Queues) == 0 {
		return line("queue", none)
	}
	var b strings.Builder
	b.WriteString("queue:\n")
	for _, q := range fn.Triggers.Queues {
		fmt.Fprintf(&b, "  - %s\n", flow(field{"name", scalar(q.Queue.Name)}, field{"batch", strconv.Itoa(q.Batch)}, field{"window", FormatDuration(q.Window)},
			field{"whole", strconv.FormatBool(q.Whole)}, field{"concurrency", nonzero(q.Most)}))
	}
	return b.String()
}

func (fn Function) topicLine() string {
	if len(fn.Triggers.Topics) == 0 {
		return line("topic", none)
	}
	return line("topic", flowList(fn.Triggers.Topics))
}

// flowList writes [a, b].
func flowList(all []string) string {
	var parts []string
	for _, s := range all {
		parts = append(parts, scalar(s))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// queuesBlock writes the queues that the file names.
func queuesBlock(all []rollout.Queue) string {
	if all == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nqueues:\n")
	for _, q := range all {
		visibility := ""
		if q.Visibility != 0 {
			visibility = FormatDuration(q.Visibility)
		}
		fmt.Fprintf(&b, "  %s: %s\n", scalar(q.Name), flow(field{"visibility", visibility}, field{"retention", FormatDuration(q.Retention)}, field{"delay", FormatDuration(q.Delay)},
			field{"maxReceive", nonzero(q.MaxReceive)}, field{"deadLetter", optional(q.DeadLetter)}))
	}
	return b.String()
}
