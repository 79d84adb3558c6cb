package lambdaapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream/eventstreamapi"

	"titrate/internal/invocation"
	"titrate/internal/node"
	"titrate/internal/rollout"
)

// invokeStream is InvokeWithResponseStream. The answer is passed on as the function gives
// it, and no faster than it is taken: the function waits for the caller. From the first
// piece on the status is said, and how the call ended stands in InvokeComplete.
func (s *server) invokeStream(ctx context.Context, c *call) error {
	n, i, err := s.invocation(ctx, c)
	if err != nil {
		return err
	}
	if i.Kind == node.Event {
		return invalid("InvocationType is RequestResponse or DryRun: nobody waits for the answer of an Event, and Invoke takes it")
	}
	var out *frames
	i.To = func(v rollout.Version) io.Writer {
		out = streamTo(c, v)
		return out
	}
	got, err := s.Functions.Node.Invoke(ctx, i)
	switch {
	case out != nil:
		return out.complete(i, got, err)
	case err != nil:
		return s.Functions.Explain(ctx, n.given, i, err)
	case unreached(i, got) != nil || i.Kind == node.DryRun:
		return answerInvoked(c, i, got)
	}
	return streamTo(c, got.Version).complete(i, got, nil) // it failed before it said anything
}

// frames writes an event stream: messages of the type application/vnd.amazon.eventstream.
type frames struct {
	c   *call
	enc *eventstream.Encoder
}

// streamTo says the status of a stream that begins.
func streamTo(c *call, v rollout.Version) *frames {
	h := c.Header()
	if v != 0 {
		h.Set("X-Amz-Executed-Version", versionText(v))
	}
	h.Set("Content-Type", "application/vnd.amazon.eventstream")
	c.WriteHeader(http.StatusOK)
	return &frames{c, eventstream.NewEncoder()}
}

// takenWithin is how long a caller may take for one piece: an instance waits for him.
const takenWithin = time.Minute

// Write sends a piece of the answer as a PayloadChunk.
func (f *frames) Write(piece []byte) (int, error) {
	if err := f.send("PayloadChunk", "application/octet-stream", piece); err != nil {
		return 0, err
	}
	return len(piece), nil
}

func (f *frames) send(event, contentType string, payload []byte) error {
	m := eventstream.Message{Payload: payload}
	m.Headers.Set(eventstreamapi.MessageTypeHeader, eventstream.StringValue(eventstreamapi.EventMessageType))
	m.Headers.Set(eventstreamapi.EventTypeHeader, eventstream.StringValue(event))
	m.Headers.Set(eventstreamapi.ContentTypeHeader, eventstream.StringValue(contentType))
	conn := http.NewResponseController(f.c.ResponseWriter)
	_ = conn.SetWriteDeadline(time.Now().Add(takenWithin)) // where there is none, it is bounded by whoever leads here
	if err := f.enc.Encode(f.c, m); err != nil {
		return err
	}
	return conn.Flush()
}

// completed is InvokeWithResponseStreamCompleteEvent.
type completed struct {
	ErrorCode    string `json:",omitempty"`
	ErrorDetails string `json:",omitempty"`
	LogResult    string `json:",omitempty"`
}

// complete ends the stream with how the call went. Nothing is left to be answered.
func (f *frames) complete(i node.Invocation, got node.Invoked, err error) error {
	var end completed
	switch {
	case err != nil:
		end.ErrorCode, end.ErrorDetails = faultOf(err).code, err.Error()
	case got.Failure == invocation.Unhandled:
		end.ErrorCode, end.ErrorDetails = "Unhandled", string(got.Payload)
	case got.Failure != "":
		end.ErrorCode, end.ErrorDetails = got.Type, string(got.Payload)
	}
	if i.Tail {
		end.LogResult = base64.StdEncoding.EncodeToString([]byte(got.Tail))
	}
	if b, err := json.Marshal(end); err == nil {
		_ = f.send("InvokeComplete", "application/json", b) // the caller is gone: nobody is left to tell
	}
	return nil
}
