package lambdaapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"titrate/internal/invocation"
	"titrate/internal/node"
	"titrate/internal/rollout"
)

// maxContext is how long the client context may be ("Invoke", ClientContext), in base64.
const maxContext = 3583

// invoke is Invoke. Without a qualifier the version is drawn by weight, as every event's
// is: what is not named would else pass by the split.
func (s *server) invoke(ctx context.Context, c *call) error {
	n, i, err := s.invocation(ctx, c)
	if err != nil {
		return err
	}
	got, err := s.Functions.Node.Invoke(ctx, i)
	if err != nil {
		return s.Functions.Explain(ctx, n.given, i, err)
	}
	return answerInvoked(c, i, got)
}

// invocation reads which function a request calls, and with what.
func (s *server) invocation(ctx context.Context, c *call) (named, node.Invocation, error) {
	n, err := c.named()
	if err != nil {
		return n, node.Invocation{}, err
	}
	i := node.Invocation{Key: rollout.Key{App: c.app, Env: c.env, Workload: n.name}, Payload: c.body, ID: c.Header().Get("X-Amzn-Requestid")}
	if err := readInvocation(c.r.Header, &i); err != nil {
		return n, i, err
	}
	if n.qualifier == stable {
		i.Stable = true
		return n, i, nil
	}
	i.Version, err = s.wanted(ctx, c, n)
	return n, i, err
}

// readInvocation reads what stands beside the event.
func readInvocation(h http.Header, i *node.Invocation) error {
	switch kind := h.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		i.Kind = node.Sync
	case "Event":
		i.Kind = node.Event
	case "DryRun":
		i.Kind = node.DryRun
	default:
		return invalid("InvocationType is RequestResponse, Event or DryRun, and not " + kind)
	}
	switch tail := h.Get("X-Amz-Log-Type"); tail {
	case "", "None":
	case "Tail":
		i.Tail = i.Kind == node.Sync
	default:
		return invalid("LogType is None or Tail, and not " + tail)
	}
	if said := h.Get("X-Amz-Client-Context"); said != "" {
		text, err := base64.StdEncoding.DecodeString(said)
		if len(said) > maxContext || err != nil || !json.Valid(text) {
			return &fault{http.StatusBadRequest, "InvalidRequestContentException", "the client context is no JSON in base64 of at most 3583 bytes", ""}
		}
		i.ClientContext = string(text)
	}
	if len(bytes.TrimSpace(i.Payload)) == 0 {
		i.Payload = []byte("{}")
	}
	if !json.Valid(i.Payload) {
		var v any
		return &fault{http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json: " + json.Unmarshal(i.Payload, &v).Error(), ""}
	}
	return nil
}

// wanted is the version that a qualifier names; 0: it is drawn.
func (s *server) wanted(ctx context.Context, c *call, n named) (rollout.Version, error) {
	switch n.qualifier {
	case "", Live:
		return 0, nil
	case latest:
		f, err := s.Functions.Find(ctx, c.app, c.env, n.given)
		if err == nil && f.Latest() == 0 {
			err = notFound("no version of " + n.name + " can be called yet")
		}
		return f.Latest(), err
	}
	v, ok := number(n.qualifier)
	if !ok {
		return 0, unknownQualifier(n)
	}
	return v, nil
}

// unreached says of a call why it did not come to the function; nil: it did.
func unreached(i node.Invocation, got node.Invoked) *fault {
	switch got.Failure {
	case invocation.Throttled:
		return &fault{http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded.", "ReservedFunctionConcurrentInvocationLimitExceeded"}
	case invocation.Stopped, invocation.Canceled:
		return &fault{http.StatusBadGateway, "ResourceNotReadyException", i.Key.Workload + " could not be called: " + got.Message, ""}
	case "", invocation.Unhandled, invocation.Timeout, invocation.Memory, invocation.Exit, invocation.Init, invocation.TooLarge, invocation.Malformed:
	}
	return nil
}

// answerInvoked writes how a call went. What the function failed of is no failure of the
// request: it has the status 200 and says so in a header.
func answerInvoked(c *call, i node.Invocation, got node.Invoked) error {
	if f := unreached(i, got); f != nil {
		if f.status == http.StatusTooManyRequests {
			c.Header().Set("Retry-After", "1")
		}
		return f
	}
	h := c.Header()
	if got.Version != 0 {
		h.Set("X-Amz-Executed-Version", versionText(got.Version))
	}
	switch i.Kind {
	case node.Event:
		c.WriteHeader(http.StatusAccepted)
		return nil
	case node.DryRun:
		c.WriteHeader(http.StatusNoContent)
		return nil
	case node.Sync:
	}
	if got.Failure != "" {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	if i.Tail {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte(got.Tail)))
	}
	h.Set("Content-Type", "application/json")
	c.WriteHeader(http.StatusOK)
	_, _ = c.Write(got.Payload) // the caller is gone: nobody is left to tell
	return nil
}
