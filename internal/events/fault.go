package events

import (
	"fmt"
	"slices"
	"strings"

	"titrate/internal/queue"
)

// ErrUnknown is what every [UnknownError] is; it is a [queue.ErrUnknown], too.
var ErrUnknown = fmt.Errorf("there is no such name: %w", queue.ErrUnknown)

// The codes of an [UnknownError].
const (
	CodeQueue    = "T0770"
	CodeTopic    = "T0771"
	CodeFunction = "T0772"
)

// UnknownError says that an environment has no queue, topic or function of a name, what
// it has, and which of them was meant.
type UnknownError struct {
	Code  string
	What  string // "queue", "topic", "function"
	Name  string
	Where string   // "app/environment"
	Has   []string // what there is, in order
}

// Error says what is wrong, where, and what to type.
func (u *UnknownError) Error() string {
	s := "error[" + u.Code + "]: there is no " + u.What + " " + quoted(u.Name) + "\n  where   " + u.Where
	if len(u.Has) == 0 {
		return s + "\n  saw     no " + u.What + " at all\n  help    name it in titrate.yaml and push: functions: { NAME: { " + u.key() + " } }"
	}
	some := u.Has[:min(len(u.Has), 20)]
	s += "\n  saw     " + strings.Join(some, ", ")
	if len(some) < len(u.Has) {
		s += ", …"
	}
	if n := nearest(u.Name, u.Has); n != "" {
		return s + "\n  help    did you mean " + quoted(n) + "?"
	}
	return s + "\n  help    use one of them, or name it in titrate.yaml and push"
}

func (u *UnknownError) key() string {
	if u.What == "function" {
		return "…"
	}
	return u.What + ": " + u.Name
}

// Unwrap returns [ErrUnknown].
func (u *UnknownError) Unwrap() error { return ErrUnknown }

func quoted(name string) string {
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	return `"` + strings.ToValidUTF8(name, "?") + `"`
}

// unknown makes an [UnknownError] of p, which may be nil.
func (p *place) unknown(code, what, wanted string, n name) error {
	u := &UnknownError{Code: code, What: what, Name: wanted, Where: n.String()}
	if p == nil {
		return u
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch code {
	case CodeQueue:
		for q := range p.queues {
			if !strings.Contains(q, "/") || strings.Contains(wanted, "/") {
				u.Has = append(u.Has, q)
			}
		}
	case CodeTopic:
		for t := range p.topics {
			u.Has = append(u.Has, t)
		}
	case CodeFunction:
		for f := range p.own {
			u.Has = append(u.Has, f)
		}
	}
	slices.Sort(u.Has)
	return u
}
