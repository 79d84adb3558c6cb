package manifest

import (
	"fmt"
	"regexp"
	"time"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// Limits of queues are those of Amazon SQS ("Amazon SQS message quotas"), which the
// node's queues keep.
const (
	maxQueues     = 200
	maxQueueName  = 80
	maxBatch      = 10_000 // of an event source mapping; one receive has 10
	maxWindow     = 5 * time.Minute
	maxVisibility = 12 * time.Hour
	maxDelay      = 15 * time.Minute
	leastKept     = time.Minute
	mostKept      = 14 * day
	maxReceives   = 1000
	maxTriggers   = 20 // queues or topics of one function

	defaultBatch      = 10
	defaultVisibility = 30 * time.Second
	defaultRetention  = 4 * day
	defaultReceives   = 5 // of a queue that names a dead letter
)

var queuePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// checkQueue says what is wrong with the name of a queue or topic.
func checkQueue(s string) error {
	if len(s) > maxQueueName || !queuePattern.MatchString(s) || s == none {
		return fmt.Errorf("a name in letters, digits, - and _, at most %d", maxQueueName)
	}
	return nil
}

func queueName() kind {
	return text(codeQueue, "the name of a queue: orders", map[string]any{"pattern": queuePattern.String(), "maxLength": maxQueueName}, checkQueue)
}

// taken is a queue that calls a function, as the manifest has it.
type taken struct {
	rollout.QueueTrigger
	at pair // where its name stands
}

// takenKind is a queue's name, { name, batch, window, whole, concurrency }, or a list
// of these.
func takenKind() kind {
	accepts := "a queue's name, { name, batch, window, whole, concurrency }, a list of these, or none"
	one := []any{queueName().schema, map[string]any{"$ref": "#/definitions/taken"}}
	return kind{
		accepts: accepts,
		schema:  map[string]any{"anyOf": append(one, map[string]any{"type": "array", "maxItems": maxTriggers, "items": map[string]any{"anyOf": one}})},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == none {
				return []taken(nil), true
			}
			nodes, few := []*yaml.Node{n}, true
			if n.Kind == yaml.SequenceNode {
				nodes = n.Content
				few = r.atMost(n, at, len(nodes), maxTriggers)
			}
			var out []taken
			seen := map[string]bool{}
			good := few
			for i, c := range nodes {
				path := at
				if n.Kind == yaml.SequenceNode {
					path = item(at, i)
				}
				t, ok := r.taken(c, path)
				if ok && seen[t.Queue.Name] {
					r.fault(t.at.key, Problem{Code: codeDuplicate, Path: path, Message: quote(t.Queue.Name) + " stands twice in " + place(at)})
					ok = false
				}
				seen[t.Queue.Name] = true
				out, good = append(out, t), good && ok
			}
			return out, good
		},
	}
}

func (r *reader) taken(n *yaml.Node, at string) (taken, bool) {
	t := taken{at: pair{key: n, value: n, path: at}}
	if n.Kind != yaml.MappingNode {
		s, ok := queueName().read(r, n, at)
		if ok {
			t.Queue.Name = s.(string)
		}
		return t, ok
	}
	before := len(r.problems)
	l := r.table(n, at, inTaken)
	e, ok := l["name"]
	if !ok && len(r.problems) == before {
		r.fault(n, Problem{Code: codeQueue, Path: at, Message: place(at) + " does not say which queue", Hint: "add name: orders"})
	}
	if ok {
		t.at = pair{key: e.pair.value, value: e.pair.value, path: e.path}
	}
	t.Queue.Name = pick("", "name", l)
	t.Batch = pick(0, "batch", l)
	t.Window, t.Whole, t.Most = pick(time.Duration(0), "window", l), pick(false, "whole", l), pick(0, "concurrency", l)
	return t, len(r.problems) == before
}

// topicsKind is a topic's name, or a list of them.
func topicsKind() kind {
	k := listKind(codeQueue, "the name of a topic, a list of them, or none", maxTriggers, checkQueue)
	read := k.read
	k.read = func(r *reader, n *yaml.Node, at string) (any, bool) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == none {
			return []string(nil), true
		}
		return read(r, n, at)
	}
	return k
}

// queuesKind is names of queues with their settings. A Visibility of 0 says that none
// was written.
func queuesKind() kind {
	accepts := "names with settings: { orders: { visibility: 1m, maxReceive: 5, deadLetter: orders-dead } }"
	return kind{
		accepts: accepts, null: true,
		schema: map[string]any{
			"type": []string{"object", "null"}, "maxProperties": maxQueues,
			"propertyNames":        map[string]any{"pattern": queuePattern.String(), "maxLength": maxQueueName},
			"additionalProperties": map[string]any{"anyOf": []any{map[string]any{"$ref": "#/definitions/queue"}, map[string]any{"type": "null"}}},
		},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			few := r.atMost(n, at, len(n.Content)/2, maxQueues)
			out := []declared{}
			for _, p := range r.pairs(n, at, accepts) {
				if err := checkQueue(p.name); err != nil {
					r.fault(p.key, Problem{Code: codeQueue, Path: p.path, Message: quote(p.name) + " cannot name a queue", Hint: err.Error()})
				}
				out = append(out, r.queue(p))
			}
			return out, few
		},
	}
}

// declared is a queue as the top-level queues have it.
type declared struct {
	rollout.Queue
	says layer
}

func (r *reader) queue(p pair) declared {
	l := r.table(p.value, p.path, inQueue)
	q := declared{says: l, Queue: rollout.Queue{
		Name: p.name, Visibility: pick(time.Duration(0), "visibility", l), Retention: pick(defaultRetention, "retention", l), Delay: pick(time.Duration(0), "delay", l),
		MaxReceive: pick(0, "maxReceive", l), DeadLetter: pick("", "deadLetter", l),
	}}
	switch {
	case q.DeadLetter == q.Name:
		r.fault(l["deadLetter"].key, Problem{Code: codeQueue, Path: l["deadLetter"].path, Message: p.name + " is its own dead letter", Hint: "name another: " + short(p.name) + "-dead"})
	case q.MaxReceive != 0 && q.DeadLetter == "":
		r.fault(l["maxReceive"].key, Problem{
			Code: codeQueue, Path: l["maxReceive"].path, Message: p.name + " gives messages up, and names no queue for them: they would be lost", Hint: "add deadLetter: " + short(p.name) + "-dead",
		})
	case q.MaxReceive == 0 && q.DeadLetter != "":
		q.MaxReceive = defaultReceives
	}
	return q
}
