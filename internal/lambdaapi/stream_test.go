package lambdaapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"titrate/internal/invocation"
	"titrate/internal/node"
)

// sdk is AWS's own client for Go.
func (i *installation) sdk(k key) *lambda.Client {
	return lambda.New(lambda.Options{
		Region: "local", BaseEndpoint: &i.url, RetryMaxAttempts: 1, HTTPClient: http.DefaultClient,
		Credentials: aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, nil
		}),
	})
}

// read returns what comes until the end of a stream; each is told each piece.
func read(t *testing.T, out *lambda.InvokeWithResponseStreamOutput, each func(string)) (all string, end types.InvokeWithResponseStreamCompleteEvent) {
	t.Helper()
	s := out.GetStream()
	defer s.Close()
	complete := false
	for e := range s.Events() {
		switch e := e.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			all += string(e.Value.Payload)
			each(string(e.Value.Payload))
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			end, complete = e.Value, true
		}
	}
	if err := s.Err(); err != nil || !complete {
		t.Errorf("complete %v, %v", complete, err)
	}
	return all, end
}

func TestInvokeStream_eachPieceIsThereBeforeTheNextIsMade(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", over)
	taken := make(chan string)
	i.machine.answer = func(in node.Invocation) (node.Invoked, error) {
		if string(in.Payload) != `{"id":7}` || in.Version != 1 || !in.Tail {
			return node.Invoked{}, fmt.Errorf("called with %+v", in)
		}
		to := in.To(1)
		for n := range 3 {
			piece := fmt.Sprintf("piece %d ", n)
			if _, err := io.WriteString(to, piece); err != nil {
				return node.Invoked{}, err
			}
			if got := <-taken; got != piece {
				return node.Invoked{}, fmt.Errorf("%q came, and not %q", got, piece)
			}
		}
		return node.Invoked{Version: 1, Tail: "END\n"}, nil
	}
	out, err := i.sdk(i.local(t)).InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{
		FunctionName: aws.String("api-pickups-get"), Qualifier: aws.String("1"), Payload: []byte(`{"id":7}`), LogType: types.LogTypeTail,
	})
	if err != nil {
		t.Fatal(err)
	}
	all, end := read(t, out, func(piece string) { taken <- piece })
	tail, _ := base64.StdEncoding.DecodeString(aws.ToString(end.LogResult))
	if all != "piece 0 piece 1 piece 2 " || end.ErrorCode != nil || string(tail) != "END\n" || out.StatusCode != 200 || aws.ToString(out.ExecutedVersion) != "1" {
		t.Errorf("%q %+v %+v", all, end, out)
	}
}

func TestInvokeStream_whatFailsStandsAtItsEnd(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", over)
	client := i.sdk(i.local(t))
	in := &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("api-pickups-get")}
	const thrown = `{"errorType":"TypeError","errorMessage":"no beans"}`
	for _, c := range []struct {
		said          string // before it failed
		got           node.Invoked
		err           error
		code, details string
	}{
		{"", node.Invoked{Version: 1, Failure: invocation.Unhandled, Type: "TypeError", Payload: []byte(thrown)}, nil, "Unhandled", thrown},
		{"half", node.Invoked{Version: 1, Failure: invocation.Unhandled, Type: "TypeError", Payload: []byte(thrown)}, nil, "Unhandled", thrown},
		{"half", node.Invoked{Version: 1, Failure: invocation.Timeout, Type: "Sandbox.Timeout", Payload: []byte(`{}`)}, nil, "Sandbox.Timeout", `{}`},
		{"half", node.Invoked{Version: 1, Failure: invocation.TooLarge, Type: "Function.ResponseSizeTooLarge"}, nil, "Function.ResponseSizeTooLarge", ""},
		{"half", node.Invoked{}, node.ErrNotReady, "ResourceNotReadyException", "nothing of it is ready"},
	} {
		i.machine.answer = func(in node.Invocation) (node.Invoked, error) {
			if c.said != "" {
				if _, err := io.WriteString(in.To(1), c.said); err != nil {
					t.Error(err)
				}
			}
			return c.got, c.err
		}
		out, err := client.InvokeWithResponseStream(t.Context(), in)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		said, end := read(t, out, func(string) {})
		if said != c.said || aws.ToString(end.ErrorCode) != c.code || !strings.Contains(aws.ToString(end.ErrorDetails), c.details) || aws.ToString(out.ExecutedVersion) != "1" {
			t.Errorf("%+v: %q %s %s", c, said, aws.ToString(end.ErrorCode), aws.ToString(end.ErrorDetails))
		}
	}
	i.machine.answer = func(node.Invocation) (node.Invoked, error) { return node.Invoked{Failure: invocation.Throttled}, nil }
	var throttled *types.TooManyRequestsException
	if _, err := client.InvokeWithResponseStream(t.Context(), in); !errors.As(err, &throttled) {
		t.Error(err)
	}
	i.machine.answer = nil
	if out, err := client.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: in.FunctionName, InvocationType: types.ResponseStreamingInvocationTypeDryRun}); err != nil || out.StatusCode != 204 {
		t.Errorf("%+v, %v", out, err)
	}
	var unknown *types.ResourceNotFoundException
	if _, err := client.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("wed")}); !errors.As(err, &unknown) {
		t.Error(err)
	}
	var invalid *types.InvalidParameterValueException
	if _, err := client.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: in.FunctionName, InvocationType: "Event"}); !errors.As(err, &invalid) {
		t.Error(err)
	}
	if _, err := i.sdk(key{i.local(t).id, "wrong"}).InvokeWithResponseStream(t.Context(), in); err == nil || !strings.Contains(err.Error(), "InvalidSignatureException") {
		t.Error(err)
	}
}

// A function is not asked for more than its caller takes, and hears that he has left.
func TestInvokeStream_aCallerWhoLeavesEndsIt(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", over)
	left := make(chan error, 1)
	i.machine.answer = func(in node.Invocation) (node.Invoked, error) {
		to, piece := in.To(1), strings.Repeat("x", 32<<10)
		for {
			if _, err := io.WriteString(to, piece); err != nil {
				left <- err
				return node.Invoked{}, err
			}
		}
	}
	out, err := i.sdk(i.local(t)).InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("api-pickups-get")})
	if err != nil {
		t.Fatal(err)
	}
	<-out.GetStream().Events()
	if err := out.GetStream().Close(); err != nil {
		t.Error(err)
	}
	if err := <-left; err == nil {
		t.Error("it went on")
	}
}
