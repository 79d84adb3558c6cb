package node

import (
	"context"
	"time"
)

// Queues is the part of a [Machine] that keeps events. Its errors are [ErrUnknown] for a
// queue that there is not, [ErrEvent] for a message over a limit, and [ErrNoFunctions].
type Queues interface {
	// Queues returns the queues of an environment, by name.
	Queues(ctx context.Context, app, env string) ([]Queue, error)
	// Send returns the message's id when it is on disk.
	Send(ctx context.Context, q QueueName, m Message) (string, error)
	// Purge removes every message of a queue, and returns how many.
	Purge(ctx context.Context, q QueueName) (int, error)
	// Redrive puts the messages of a dead-letter queue back where they came from, and
	// returns how many.
	Redrive(ctx context.Context, q QueueName) (int, error)
	// Peek returns the first messages of a queue and takes none from it.
	Peek(ctx context.Context, q QueueName, limit int) ([]Message, error)
}

// QueueName names a queue of an environment.
type QueueName struct {
	App  string `json:"app"`
	Env  string `json:"env"`
	Name string `json:"name"`
}

// Queue is how a queue stands.
type Queue struct {
	Name       string        `json:"name"`
	Visible    int           `json:"visible"`               // waiting to be given out
	InFlight   int           `json:"in_flight"`             // given out and not settled
	Delayed    int           `json:"delayed"`               // not due yet
	Oldest     time.Duration `json:"oldest,omitempty"`      // age of the oldest message
	Calls      []string      `json:"calls,omitempty"`       // functions that get its messages
	DeadLetter string        `json:"dead_letter,omitempty"` // where what was given up goes
	DeadOf     []string      `json:"dead_of,omitempty"`     // queues whose messages come here when they were given up
	MaxReceive int           `json:"max_receive,omitempty"`
	Visibility time.Duration `json:"visibility,omitempty"`
	Retention  time.Duration `json:"retention,omitempty"`
}

// Message is what a queue holds, or is to hold.
type Message struct {
	ID         string            `json:"id,omitempty"`
	Body       []byte            `json:"body"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Delay      time.Duration     `json:"delay,omitempty"` // of one that is sent; 0: the queue's
	Dedup      string            `json:"dedup,omitempty"` // sent again within five minutes it adds nothing
	Sent       time.Time         `json:"sent,omitzero"`
	Received   int               `json:"received,omitempty"` // how often it was given out
	From       string            `json:"from,omitempty"`     // the queue that gave it up
}

// queueRequest asks something of a queue; queueAnswer is what came of it.
type queueRequest struct {
	QueueName
	Message Message `json:"message,omitzero"`
	Limit   int     `json:"limit,omitempty"`
}

type queueAnswer struct {
	ID string `json:"id,omitempty"`
	N  int    `json:"n"`
}
