package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"titrate/client"
	"titrate/internal/node"
)

// QueuePath is the part of an address that names a queue.
type QueuePath struct {
	EnvPath
	Name string `path:"name" maxLength:"80" doc:"of the queue"`
}

func (p QueuePath) queue() node.QueueName {
	return node.QueueName{App: p.App, Env: p.Env, Name: p.Name}
}

func (s *server) registerQueues(api huma.API) {
	const path = "/apps/{app}/environments/{env}/queues"
	huma.Register(api, operation(http.MethodGet, path, "queues", "The queues of an environment"), handle(s, s.listQueues))
	huma.Register(api, operation(http.MethodGet, path+"/{name}/messages", "messages", "The first messages of a queue, which stay in it"), handle(s, s.messages))
	huma.Register(api, operation(http.MethodPost, path+"/{name}/messages", "send", "Put a message into a queue; answers when it is on disk"), handle(s, s.send))
	huma.Register(api, operation(http.MethodDelete, path+"/{name}/messages", "purge", "Remove every message of a queue"), handle(s, func(ctx context.Context, in *QueuePath) (client.Moved, error) {
		return s.moved(ctx, in.queue(), s.Node.Purge)
	}))
	huma.Register(api, operation(http.MethodPost, path+"/{name}/redrive", "redrive", "Put dead letters back where they came from"), handle(s, func(ctx context.Context, in *QueuePath) (client.Moved, error) {
		return s.moved(ctx, in.queue(), s.Node.Redrive)
	}))
}

func (s *server) listQueues(ctx context.Context, in *EnvPath) ([]client.Queue, error) {
	all, err := s.Node.Queues(ctx, in.App, in.Env)
	if err != nil {
		return nil, s.catalogue().ExplainQueue(ctx, node.QueueName{App: in.App, Env: in.Env}, err)
	}
	out := []client.Queue{}
	for _, q := range all {
		out = append(out, client.Queue{
			Name: q.Name, Visible: q.Visible, InFlight: q.InFlight, Delayed: q.Delayed, Oldest: q.Oldest.Seconds(), Calls: q.Calls, DeadLetter: q.DeadLetter, DeadOf: q.DeadOf,
			MaxReceive: q.MaxReceive, Visibility: q.Visibility.Seconds(), Retention: q.Retention.Seconds(),
		})
	}
	return out, nil
}

func (s *server) send(ctx context.Context, in *struct {
	QueuePath
	Body client.SendRequest
},
) (client.Sent, error) {
	id, err := s.Node.Send(ctx, in.queue(), node.Message{
		Body: []byte(in.Body.Body), Attributes: in.Body.Attributes, Delay: time.Duration(in.Body.Delay * float64(time.Second)), Dedup: in.Body.Dedup,
	})
	if err != nil {
		return client.Sent{}, s.catalogue().ExplainQueue(ctx, in.queue(), err)
	}
	return client.Sent{ID: id}, nil
}

func (s *server) messages(ctx context.Context, in *struct {
	QueuePath
	Limit int `query:"limit" default:"10" minimum:"1" maximum:"100"`
},
) ([]client.Message, error) {
	all, err := s.Node.Peek(ctx, in.queue(), in.Limit)
	if err != nil {
		return nil, s.catalogue().ExplainQueue(ctx, in.queue(), err)
	}
	out := []client.Message{}
	for _, m := range all {
		out = append(out, client.Message{ID: m.ID, Body: string(m.Body), Attributes: m.Attributes, Sent: m.Sent, Received: m.Received, From: m.From})
	}
	return out, nil
}

func (s *server) moved(ctx context.Context, q node.QueueName, do func(context.Context, node.QueueName) (int, error)) (client.Moved, error) {
	n, err := do(ctx, q)
	if err != nil {
		return client.Moved{}, s.catalogue().ExplainQueue(ctx, q, err)
	}
	return client.Moved{Messages: n}, nil
}
