package events

import (
	"context"
	"crypto/md5" // the digest of SQS's protocol; nothing is protected by it
	"encoding/binary"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"time"

	"titrate/internal/queue"
)

// message reads what is to be sent.
func (s sendRequest) message() (Message, error) {
	if s.MessageBody == nil {
		return Message{}, refusal{status: http.StatusBadRequest, code: "MissingParameter", why: "The request must contain the parameter MessageBody."}
	}
	if *s.MessageBody == "" {
		return Message{}, invalid("The message body must not be empty.")
	}
	m := Message{Body: []byte(*s.MessageBody), Delay: seconds(s.DelaySeconds), Dedup: s.MessageDeduplicationID}
	var err error
	m.Attributes, err = fromWire(s.MessageAttributes)
	return m, err
}

func fromWire(wire map[string]wireAttribute) (map[string]Attribute, error) {
	all := map[string]Attribute{}
	for n, a := range wire {
		got := Attribute{Type: a.DataType, Value: a.BinaryValue}
		if got.binary() != (a.StringValue == nil) {
			return nil, invalid("attribute " + quoted(n) + " needs a StringValue, or a BinaryValue with the type Binary")
		}
		if a.StringValue != nil {
			got.Value = []byte(*a.StringValue)
		}
		all[n] = got
	}
	return all, nil
}

func toWire(all map[string]Attribute) wireAttributes {
	wire := wireAttributes{}
	for n, a := range all {
		if a.binary() {
			wire[n] = wireAttribute{DataType: a.Type, BinaryValue: a.Value}
			continue
		}
		text := string(a.Value)
		wire[n] = wireAttribute{DataType: a.Type, StringValue: &text}
	}
	return wire
}

// attributesDigest is what SDKs check ("Calculating the MD5 message digest for message
// attributes" of the developer guide); empty without attributes.
func attributesDigest(all map[string]Attribute) string {
	if len(all) == 0 {
		return ""
	}
	var b []byte
	put := func(part []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	for _, n := range slices.Sorted(maps.Keys(all)) {
		a := all[n]
		put([]byte(n))
		put([]byte(a.Type))
		if a.binary() {
			b = append(b, 2)
		} else {
			b = append(b, 1)
		}
		put(a.Value)
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

type sentMessage struct {
	ID               string `json:"Id,omitempty" xml:"Id,omitempty"`
	MessageID        string `json:"MessageId" xml:"MessageId"`
	MD5OfMessageBody string
	MD5OfAttributes  string `json:"MD5OfMessageAttributes,omitempty" xml:"MD5OfMessageAttributes,omitempty"`
}

func answerSent(id, message string, m Message) sentMessage {
	return sentMessage{ID: id, MessageID: message, MD5OfMessageBody: digest(m.Body), MD5OfAttributes: attributesDigest(m.Attributes)}
}

func (e *Events) sendMessage(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	to, err := queueName(q.QueueURL)
	if err != nil {
		return nil, err
	}
	m, err := q.message()
	if err != nil {
		return nil, err
	}
	id, err := e.Send(ctx, n.app, n.env, to, m)
	if err != nil {
		return nil, err
	}
	return answerSent("", id, m), nil
}

// doneEntry is an entry of a batch of which there is no more to say.
type doneEntry struct {
	ID string `json:"Id" xml:"Id"`
}

// failedEntry is an entry of a batch that was refused.
type failedEntry struct {
	ID          string `json:"Id" xml:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

// outcome is what became of a batch.
type outcome struct {
	Successful []any         `json:"Successful"`
	Failed     []failedEntry `json:"Failed"`
	entry      string        // how the query protocol calls one of Successful
}

func (e *Events) failed(o *outcome, id string, err error) {
	f := e.refusal(err)
	o.Failed = append(o.Failed, failedEntry{ID: id, SenderFault: f.status < http.StatusInternalServerError, Code: f.code, Message: f.why})
}

// entries checks the ids of a batch.
func (q request) entries() ([]entry, error) {
	bad := func(code, why string) error {
		return refusal{status: http.StatusBadRequest, code: code, query: "AWS.SimpleQueueService." + code, why: why}
	}
	seen := map[string]bool{}
	for _, entry := range q.Entries {
		if entry.ID == "" || len(entry.ID) > 80 {
			return nil, bad("InvalidBatchEntryId", "an entry needs an Id of 1 to 80 characters")
		}
		if seen[entry.ID] {
			return nil, bad("BatchEntryIdsNotDistinct", "Id "+quoted(entry.ID)+" is there twice")
		}
		seen[entry.ID] = true
	}
	switch {
	case len(q.Entries) == 0:
		return nil, bad("EmptyBatchRequest", "there must be at least one entry")
	case len(q.Entries) > queue.MaxBatch:
		return nil, bad("TooManyEntriesInBatchRequest", "there may be 10 entries at the most")
	}
	return q.Entries, nil
}

func (e *Events) sendMessageBatch(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	to, err := queueName(q.QueueURL)
	if err != nil {
		return nil, err
	}
	entries, err := q.entries()
	if err != nil {
		return nil, err
	}
	o := outcome{Successful: []any{}, Failed: []failedEntry{}}
	var ids []string
	var messages []Message
	for _, entry := range entries {
		m, err := entry.message()
		if err != nil {
			e.failed(&o, entry.ID, err)
			continue
		}
		ids, messages = append(ids, entry.ID), append(messages, m)
	}
	if len(messages) == 0 {
		return o, nil
	}
	sent, err := e.SendBatch(ctx, n.app, n.env, to, messages)
	if err != nil {
		return nil, err
	}
	for i, s := range sent {
		if s.Err != nil {
			e.failed(&o, ids[i], s.Err)
			continue
		}
		o.Successful = append(o.Successful, answerSent(ids[i], s.ID, messages[i]))
	}
	return o, nil
}

// explicit is a visibility that was asked for: 0 is as good as none, but says nothing to
// the store.
func explicit(n *int) time.Duration {
	d := seconds(n)
	if n != nil && d == 0 {
		return time.Millisecond
	}
	return d
}
