package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxCall bounds what is read of a call: an event of [MaxPayload] in base64, and what is
// said beside it.
const maxCall = MaxPayload*4/3 + 1<<20

// registerCalls adds the calls of functions and queues.
func registerCalls(mux *http.ServeMux, m Machine) {
	mux.HandleFunc("POST /v1/invoke", handleCall(m.Invoke))
	mux.HandleFunc("POST /v1/invoke/stream", handleStream(m))
	mux.HandleFunc("GET /v1/queues", func(w http.ResponseWriter, r *http.Request) {
		qs, err := m.Queues(r.Context(), r.FormValue("app"), r.FormValue("env"))
		answerOr(w, qs, err)
	})
	mux.HandleFunc("POST /v1/queues/send", handleCall(func(ctx context.Context, q queueRequest) (queueAnswer, error) {
		id, err := m.Send(ctx, q.QueueName, q.Message)
		return queueAnswer{ID: id}, err
	}))
	mux.HandleFunc("POST /v1/queues/purge", handleCall(func(ctx context.Context, q queueRequest) (queueAnswer, error) {
		n, err := m.Purge(ctx, q.QueueName)
		return queueAnswer{N: n}, err
	}))
	mux.HandleFunc("POST /v1/queues/redrive", handleCall(func(ctx context.Context, q queueRequest) (queueAnswer, error) {
		n, err := m.Redrive(ctx, q.QueueName)
		return queueAnswer{N: n}, err
	}))
	mux.HandleFunc("POST /v1/queues/peek", handleCall(func(ctx context.Context, q queueRequest) ([]Message, error) {
		return m.Peek(ctx, q.QueueName, q.Limit)
	}))
}

// handleCall reads what is asked, and answers with what do returns.
func handleCall[I, O any](do func(context.Context, I) (O, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in I
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCall)).Decode(&in); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("read what is asked: %w: %w", ErrEvent, err))
			return
		}
		out, err := do(r.Context(), in)
		answerOr(w, out, err)
	}
}

func answerOr(w http.ResponseWriter, v any, err error) {
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	answer(w, v)
}

// Invoke has a function called, and waits for its answer until ctx ends: a function may
// take fifteen minutes. Errors are those of [Functions].
func (c *Client) Invoke(ctx context.Context, i Invocation) (Invoked, error) {
	if len(i.Payload) > MaxPayload {
		return Invoked{}, fmt.Errorf("%w: it has %d bytes, and %d may be", ErrEvent, len(i.Payload), MaxPayload)
	}
	var out Invoked
	var err error
	if i.To != nil {
		out, err = c.stream(ctx, i)
	} else {
		err = c.ask(ctx, "/v1/invoke", i, &out)
	}
	if err != nil {
		return out, fmt.Errorf("invoke %s: %w", i.Key, err)
	}
	return out, nil
}

// Queues returns the queues of an environment, by name.
func (c *Client) Queues(ctx context.Context, app, env string) ([]Queue, error) {
	var qs []Queue
	path := "/v1/queues?" + url.Values{"app": {app}, "env": {env}}.Encode()
	if err := c.call(ctx, http.MethodGet, path, nil, &qs); err != nil {
		return nil, fmt.Errorf("ask the node for its queues: %w", err)
	}
	return qs, nil
}

// Send puts a message into a queue, and returns its id when it is on disk.
func (c *Client) Send(ctx context.Context, q QueueName, m Message) (string, error) {
	a, err := c.queue(ctx, "send", queueRequest{QueueName: q, Message: m})
	return a.ID, err
}

// Purge removes every message of a queue, and returns how many.
func (c *Client) Purge(ctx context.Context, q QueueName) (int, error) {
	a, err := c.queue(ctx, "purge", queueRequest{QueueName: q})
	return a.N, err
}

// Redrive puts dead letters back where they came from, and returns how many.
func (c *Client) Redrive(ctx context.Context, q QueueName) (int, error) {
	a, err := c.queue(ctx, "redrive", queueRequest{QueueName: q})
	return a.N, err
}

// Peek returns the first messages of a queue and takes none from it.
func (c *Client) Peek(ctx context.Context, q QueueName, limit int) ([]Message, error) {
	var ms []Message
	if err := c.ask(ctx, "/v1/queues/peek", queueRequest{QueueName: q, Limit: limit}, &ms); err != nil {
		return nil, fmt.Errorf("peek into queue %s: %w", q.Name, err)
	}
	return ms, nil
}

func (c *Client) queue(ctx context.Context, verb string, req queueRequest) (queueAnswer, error) {
	var a queueAnswer
	if err := c.ask(ctx, "/v1/queues/"+verb, req, &a); err != nil {
		return a, fmt.Errorf("%s queue %s: %w", verb, req.Name, err)
	}
	return a, nil
}

// ask sends a request and reads its answer.
func (c *Client) ask(ctx context.Context, path string, req, into any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("write what is asked: %w", err)
	}
	return c.call(context.WithValue(ctx, patienceKey{}, dialFor), http.MethodPost, path, body, into)
}

// refusedFor makes an error of an answer that is not 2xx.
func refusedFor(resp *http.Response) error {
	var r refusal
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&r); err != nil {
		if resp.StatusCode == http.StatusNotFound { // its mux knows no such call
			return &sentError{"the node is of an older release and knows no such call; titrate up starts it anew", ErrNoFunctions}
		}
		return fmt.Errorf("the node answered %s", resp.Status)
	}
	return &sentError{r.Error, errorNames[r.Kind]}
}
