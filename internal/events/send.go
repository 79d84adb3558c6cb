package events

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"titrate/internal/queue"
	"titrate/internal/rollout"
)

// ErrContent says that a message is no text that SQS would take, or an event no JSON.
var ErrContent = errors.New("it cannot be an event")

// Message is what is sent to a queue or published to a topic.
type Message struct {
	Body       []byte // text
	Attributes map[string]Attribute
	Delay      time.Duration // 0: the queue's; a topic has none
	Dedup      string        // sent again within five minutes, it is one message
	Subject    string        // of a topic's message
}

// check holds a message to the characters that SQS allows (API reference, SendMessage).
func (m Message) check() error {
	texts := [][]byte{m.Body, []byte(m.Subject)}
	for n, a := range m.Attributes {
		if n == "" || len(n) > 256 || a.Type == "" || len(a.Type) > 256 || strings.ContainsAny(a.Type, "\n") {
			return fmt.Errorf("attribute %s needs a name and a type of 1 to 256 characters: %w", quoted(n), ErrContent)
		}
		texts = append(texts, []byte(n), []byte(a.Type))
		if !a.binary() {
			texts = append(texts, a.Value)
		}
	}
	if len(m.Attributes) > 10 {
		return fmt.Errorf("a message has 10 attributes at the most, and not %d: %w", len(m.Attributes), ErrContent)
	}
	for _, t := range texts {
		odd := slices.ContainsFunc([]rune(string(t)), func(r rune) bool {
			return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
		})
		if odd || !utf8.Valid(t) {
			return fmt.Errorf("a message is text without control characters; send bytes in base64: %w", ErrContent)
		}
	}
	return nil
}

func (m Message) entry() queue.Entry {
	return queue.Entry{Body: m.Body, Attributes: keep(m.Attributes, map[string]string{}), Delay: m.Delay, Dedup: m.Dedup}
}

// Send puts a message into a queue of an app's environment. It returns the message's id
// when it is on disk; after any error the caller sends again.
func (e *Events) Send(ctx context.Context, app, env, to string, m Message) (string, error) {
	if err := m.check(); err != nil {
		return "", err
	}
	p, err := e.queue(ctx, name{app, env}, to)
	if err != nil {
		return "", err
	}
	return p.store.Send(ctx, to, m.entry())
}

// SendBatch sends up to [queue.MaxBatch] messages at a time. One that is refused is
// refused alone; an error says that none was accepted.
func (e *Events) SendBatch(ctx context.Context, app, env, to string, messages []Message) ([]queue.Sent, error) {
	p, err := e.queue(ctx, name{app, env}, to)
	if err != nil {
		return nil, err
	}
	all := make([]queue.Sent, len(messages))
	var good []int
	var entries []queue.Entry
	for i, m := range messages {
		if all[i].Err = m.check(); all[i].Err == nil {
			good, entries = append(good, i), append(entries, m.entry())
		}
	}
	if len(entries) == 0 && len(messages) > 0 {
		return all, nil
	}
	sent, err := p.store.SendBatch(ctx, to, entries)
	if err != nil {
		return nil, err
	}
	for i, s := range sent {
		all[good[i]] = s
	}
	return all, nil
}

// Publish sends a message to every function that subscribes to a topic: to all or, with
// an error, to none. It returns the message's id.
func (e *Events) Publish(ctx context.Context, app, env, topic string, m Message) (string, error) {
	if err := m.check(); err != nil {
		return "", err
	}
	n := name{app, env}
	p, err := e.place(ctx, n, false)
	if err != nil {
		return "", err
	}
	if !p.hasTopic(topic) {
		return "", p.unknown(CodeTopic, "topic", topic, n)
	}
	entry := m.entry()
	entry.Delay = 0
	id := e.cfg.NewID()
	for k, v := range map[string]string{attrKind: kindTopic, attrSource: topic, attrID: id, attrSubject: m.Subject} {
		if v != "" {
			entry.Attributes[k] = v
		}
	}
	if _, err := p.store.Publish(ctx, topic, entry); err != nil {
		return "", err
	}
	return id, nil
}

// Which is the version that an invocation is for. Its zero value: one is drawn, each time
// that it is tried.
type Which struct {
	Version rollout.Version
	Stable  bool // the one that is stable when it is tried
}

// Invoke stores an asynchronous invocation of a function, and returns its id when it is
// on disk. It is tried thrice, a minute after the first failure and two after the second;
// then, and when it is older than six hours, it goes to the dead-letter queue
// "functions/dead". Where a version is asked for that runs no more when its turn comes, it
// goes there at once.
func (e *Events) Invoke(ctx context.Context, function rollout.Key, payload []byte, of Which) (string, error) {
	if len(payload) == 0 {
		payload = []byte("null")
	}
	if !json.Valid(payload) {
		return "", fmt.Errorf("the event for %s is no JSON: %w", function.Workload, ErrContent)
	}
	n := name{function.App, function.Env}
	p, err := e.place(ctx, n, false)
	if err != nil {
		return "", err
	}
	if !p.hasFunction(function.Workload) {
		return "", p.unknown(CodeFunction, "function", function.Workload, n)
	}
	id := e.cfg.NewID()
	attributes := map[string]string{attrKind: kindInvoke, attrID: id}
	switch {
	case of.Version != 0:
		attributes[attrVersion] = strconv.Itoa(int(of.Version))
	case of.Stable:
		attributes[attrVersion] = versionStable
	}
	if _, err = p.store.Send(ctx, ownQueue(function.Workload), queue.Entry{Body: payload, Attributes: attributes}); err != nil {
		return "", err
	}
	return id, nil
}

// queue finds the place that has a queue.
func (e *Events) queue(ctx context.Context, n name, wanted string) (*place, error) {
	p, err := e.place(ctx, n, false)
	if err != nil {
		return nil, err
	}
	if p != nil {
		p.mu.Lock()
		_, there := p.queues[wanted]
		p.mu.Unlock()
		if there {
			return p, nil
		}
	}
	return nil, p.unknown(CodeQueue, "queue", wanted, n)
}

func (p *place) hasTopic(topic string) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, there := p.topics[topic]
	return there
}

func (p *place) hasFunction(function string) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.own[function]
}

// stableID names the request of a stored message: the same in each try.
func stableID(m queue.Message, function rollout.Key) string {
	sum := sha256.Sum256([]byte(m.ID + "\x00" + function.String()))
	return uuid([16]byte(sum[:16]))
}
