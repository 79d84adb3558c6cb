package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Queue is how a queue of an environment stands.
type Queue struct {
	Name       string   `json:"name"`
	Visible    int      `json:"visible" doc:"messages that wait"`
	InFlight   int      `json:"in_flight" doc:"given to a function, which has not settled them"`
	Delayed    int      `json:"delayed" doc:"not due yet"`
	Oldest     float64  `json:"oldest" doc:"age of the oldest message, seconds"`
	Calls      []string `json:"calls,omitempty" doc:"functions that get its messages"`
	DeadLetter string   `json:"dead_letter,omitempty" doc:"the queue for what was given up"`
	DeadOf     []string `json:"dead_of,omitempty" doc:"queues whose messages come here when they were given up"`
	MaxReceive int      `json:"max_receive,omitempty" doc:"after which a message is given up"`
	Visibility float64  `json:"visibility" doc:"seconds for which a message that was given out is hidden"`
	Retention  float64  `json:"retention" doc:"seconds for which a message is kept"`
}

// Message is what a queue holds.
type Message struct {
	ID         string            `json:"id"`
	Body       string            `json:"body"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Sent       time.Time         `json:"sent,omitzero"`
	Received   int               `json:"received" doc:"how often it was given out"`
	From       string            `json:"from,omitempty" doc:"the queue that gave it up"`
}

// SendRequest puts a message into a queue.
type SendRequest struct {
	Body       string            `json:"body"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Delay      float64           `json:"delay,omitempty" minimum:"0" maximum:"900" doc:"seconds; absent: the queue's"`
	Dedup      string            `json:"dedup,omitempty" maxLength:"128" doc:"sent again within five minutes it adds nothing"`
}

// Sent is a message that is on disk.
type Sent struct {
	ID string `json:"id"`
}

// Moved is how many messages were purged or redriven.
type Moved struct {
	Messages int `json:"messages"`
}

// Queues lists an environment's queues, by name.
func (c *Client) Queues(ctx context.Context, app, env string) (qs []Queue, err error) {
	err = c.call(ctx, http.MethodGet, envPath(app, env)+"/queues", nil, &qs)
	return qs, err
}

// Send puts a message into a queue. It answers when the message is on disk.
func (c *Client) Send(ctx context.Context, app, env, queue string, req SendRequest) (s Sent, err error) {
	err = c.call(ctx, http.MethodPost, queuePath(app, env, queue)+"/messages", req, &s)
	return s, err
}

// Messages shows the first messages of a queue, and takes none from it.
func (c *Client) Messages(ctx context.Context, app, env, queue string, limit int) (ms []Message, err error) {
	err = c.call(ctx, http.MethodGet, queuePath(app, env, queue)+"/messages?limit="+strconv.Itoa(limit), nil, &ms)
	return ms, err
}

// Purge removes every message of a queue.
func (c *Client) Purge(ctx context.Context, app, env, queue string) (m Moved, err error) {
	err = c.call(ctx, http.MethodDelete, queuePath(app, env, queue)+"/messages", nil, &m)
	return m, err
}

// Redrive puts the messages of a dead-letter queue back where they came from.
func (c *Client) Redrive(ctx context.Context, app, env, queue string) (m Moved, err error) {
	err = c.call(ctx, http.MethodPost, queuePath(app, env, queue)+"/redrive", nil, &m)
	return m, err
}

func queuePath(app, env, queue string) string {
	return envPath(app, env) + "/queues/" + url.PathEscape(queue)
}
