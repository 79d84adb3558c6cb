package fn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// records are the events of SQS and SNS ("Using Lambda with Amazon SQS", "Invoking
// Lambda functions with Amazon SNS notifications").
type records struct {
	Records []struct {
		MessageID string `json:"messageId"`
		Body      string `json:"body"`
		Sns       struct {
			MessageID string `json:"MessageId"`
			Message   string `json:"Message"`
		} `json:"Sns"`
	} `json:"Records"`
}

// undone is the answer that gives single messages of a batch back to the queue
// ("Implementing partial batch responses").
type undone struct {
	Failures []item `json:"batchItemFailures"`
}

type item struct {
	ID string `json:"itemIdentifier"`
}

// Queue makes a handler of one for messages of a queue. Those that fail go back to
// the queue, each by itself; bad is told of them. Where the time is up in the middle of
// a batch, the rest of it fails too.
func Queue(do func(ctx context.Context, body []byte) error, bad func(id string, err error)) Handler {
	return func(ctx context.Context, event []byte) ([]byte, error) {
		var batch records
		if err := json.Unmarshal(event, &batch); err != nil {
			return nil, fmt.Errorf("the event is no batch of messages: %w", err)
		}
		answer := undone{Failures: []item{}}
		for _, r := range batch.Records {
			err := ctx.Err()
			if err == nil {
				err = do(ctx, []byte(r.Body))
			}
			if err != nil {
				bad(r.MessageID, err)
				answer.Failures = append(answer.Failures, item{r.MessageID})
			}
		}
		return json.Marshal(answer)
	}
}

// Topic makes a handler of one for messages of a topic. It fails when one of them does.
func Topic(do func(ctx context.Context, message []byte) error) Handler {
	return func(ctx context.Context, event []byte) ([]byte, error) {
		var all records
		if err := json.Unmarshal(event, &all); err != nil {
			return nil, fmt.Errorf("the event is none of a topic: %w", err)
		}
		var failed error
		for _, r := range all.Records {
			if err := do(ctx, []byte(r.Sns.Message)); err != nil {
				failed = errors.Join(failed, fmt.Errorf("message %s: %w", r.Sns.MessageID, err))
			}
		}
		return nil, failed
	}
}

// Timer makes a handler of one that is called by the clock, with the time for which it
// was called: a second delivery has the same ("Scheduled Event" of EventBridge).
func Timer(do func(ctx context.Context, at time.Time) error) Handler {
	return func(ctx context.Context, event []byte) ([]byte, error) {
		var tick struct {
			Time time.Time `json:"time"`
		}
		if err := json.Unmarshal(event, &tick); err != nil {
			return nil, fmt.Errorf("the event is none of a timer: %w", err)
		}
		if tick.Time.IsZero() {
			return nil, errors.New("the event of a timer has no time")
		}
		return nil, do(ctx, tick.Time.UTC())
	}
}

// Probed answers the event {"probe": true} by asking whether the function could work,
// without doing anything; every other event is the handler's.
func Probed(h Handler, able func(ctx context.Context) error) Handler {
	return func(ctx context.Context, event []byte) ([]byte, error) {
		var p struct {
			Probe bool `json:"probe"`
		}
		if json.Unmarshal(event, &p) == nil && p.Probe {
			if err := able(ctx); err != nil {
				return nil, fmt.Errorf("probe: %w", err)
			}
			return []byte(`{"statusCode":200,"body":"able"}`), nil
		}
		return h(ctx, event)
	}
}
