package functions

import "titrate/internal/rollout"

// Describe says what calls a function, one text each: "GET /pickups/{id}",
// "cron(0 2 * * ? *)", "queue orders", "topic inventory".
func Describe(t rollout.Triggers) []string {
	out := append([]string{}, t.Routes...)
	for _, s := range t.Schedules {
		text := s.Expression
		if s.Zone != "" {
			text += " in " + s.Zone
		}
		out = append(out, text)
	}
	for _, q := range t.Queues {
		out = append(out, "queue "+q.Queue.Name)
	}
	for _, topic := range t.Topics {
		out = append(out, "topic "+topic)
	}
	return out
}
