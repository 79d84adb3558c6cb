package events

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"titrate/internal/queue"
)

type messagesAnswer struct {
	Messages []receivedMessage `json:",omitempty" xml:"Message"`
}

type receivedMessage struct {
	MessageID         string `json:"MessageId" xml:"MessageId"`
	ReceiptHandle     string
	MD5OfBody         string
	Body              string
	Attributes        pairs          `json:",omitempty" xml:"Attribute"`
	MessageAttributes wireAttributes `json:",omitempty" xml:"MessageAttribute"`
	MD5OfAttributes   string         `json:"MD5OfMessageAttributes,omitempty" xml:"MD5OfMessageAttributes,omitempty"`
}

// maxWait is how long a receive may wait for messages, in SQS.
const maxWait = 20 * time.Second

func (e *Events) receiveMessage(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	from, err := queueName(q.QueueURL)
	if err != nil {
		return nil, err
	}
	most, wait := 1, seconds(q.WaitTimeSeconds)
	if q.MaxNumberOfMessages != nil {
		most = *q.MaxNumberOfMessages
	}
	if wait < 0 || wait > maxWait {
		return nil, invalid("WaitTimeSeconds must be from 0 to 20")
	}
	p, err := e.queue(ctx, n, from)
	if err != nil {
		return nil, err
	}
	got, err := p.store.Receive(ctx, from, most, explicit(q.VisibilityTimeout))
	if err != nil {
		return nil, err
	}
	for until := e.clock.Now().Add(wait); len(got) == 0 && wait > 0 && e.clock.Now().Before(until); {
		if err := p.await(ctx, e, from, until); err != nil {
			return nil, err
		}
		if got, err = p.store.Receive(ctx, from, most, explicit(q.VisibilityTimeout)); err != nil {
			return nil, err
		}
	}
	system := slices.Concat(q.AttributeNames, q.MessageSystemAttributeNames)
	all := make([]receivedMessage, 0, len(got))
	for _, m := range got {
		attributes := picked(kept(m.Attributes), q.MessageAttributeNames)
		all = append(all, receivedMessage{
			MessageID: m.ID, ReceiptHandle: m.Receipt, MD5OfBody: digest(m.Body), Body: string(m.Body),
			Attributes: chosen(systemAttributes(m), system), MessageAttributes: toWire(attributes), MD5OfAttributes: attributesDigest(attributes),
		})
	}
	return messagesAnswer{all}, nil
}

// picked are the message attributes that were asked for: by name, by "prefix.*", or all.
func picked(all map[string]Attribute, names []string) map[string]Attribute {
	some := map[string]Attribute{}
	for n, a := range all {
		if slices.ContainsFunc(names, func(asked string) bool {
			prefix, family := strings.CutSuffix(asked, ".*")
			return asked == n || asked == "All" || family && strings.HasPrefix(n, prefix)
		}) {
			some[n] = a
		}
	}
	return some
}

// receipt refuses what is none. A stale one is taken, as SQS does: nothing is deleted.
func receipt(handle string) error {
	if n, _, ok := strings.Cut(handle, "."); !ok || n == "" || strings.Trim(n, "0123456789") != "" {
		return refusal{status: http.StatusBadRequest, code: "ReceiptHandleIsInvalid", why: "The input receipt handle is invalid."}
	}
	return nil
}

func (e *Events) delete(ctx context.Context, n name, from, handle string) error {
	if err := receipt(handle); err != nil {
		return err
	}
	p, err := e.queue(ctx, n, from)
	if err != nil {
		return err
	}
	if err := p.store.Delete(ctx, from, handle); err != nil && !errors.Is(err, queue.ErrStale) {
		return err
	}
	return nil
}

func (e *Events) change(ctx context.Context, n name, from, handle string, visibility *int) error {
	if err := receipt(handle); err != nil {
		return err
	}
	if visibility == nil {
		return refusal{status: http.StatusBadRequest, code: "MissingParameter", why: "The request must contain the parameter VisibilityTimeout."}
	}
	p, err := e.queue(ctx, n, from)
	if err != nil {
		return err
	}
	return p.store.ChangeVisibility(ctx, from, handle, seconds(visibility))
}

func (e *Events) deleteMessage(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	from, err := queueName(q.QueueURL)
	if err == nil {
		err = e.delete(ctx, n, from, q.ReceiptHandle)
	}
	return nothing{}, err
}

func (e *Events) changeVisibility(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	from, err := queueName(q.QueueURL)
	if err == nil {
		err = e.change(ctx, n, from, q.ReceiptHandle, q.VisibilityTimeout)
	}
	return nothing{}, err
}

func (e *Events) deleteMessageBatch(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	return e.each(ctx, n, q, func(from string, one entry) error { return e.delete(ctx, n, from, one.ReceiptHandle) })
}

func (e *Events) changeVisibilityBatch(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	return e.each(ctx, n, q, func(from string, one entry) error {
		return e.change(ctx, n, from, one.ReceiptHandle, one.VisibilityTimeout)
	})
}

// each does the same with each entry of a batch.
func (e *Events) each(ctx context.Context, n name, q request, do func(from string, one entry) error) (any, error) {
	from, err := queueName(q.QueueURL)
	if err != nil {
		return nil, err
	}
	entries, err := q.entries()
	if err != nil {
		return nil, err
	}
	if _, err := e.queue(ctx, n, from); err != nil {
		return nil, err
	}
	o := outcome{Successful: []any{}, Failed: []failedEntry{}}
	for _, one := range entries {
		if err := do(from, one); err != nil {
			e.failed(&o, one.ID, err)
			continue
		}
		o.Successful = append(o.Successful, doneEntry{one.ID})
	}
	return o, nil
}
