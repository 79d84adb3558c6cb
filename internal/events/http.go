package events

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"titrate/internal/queue"
	"titrate/internal/sigv4"
)

// maxRequest bounds a request: a full batch, each byte of which JSON may spell in six.
const maxRequest = 2 << 20

// Handler is where processes of this machine send events: Amazon SQS in its AWS JSON 1.0
// and in its query protocol, and Publish of Amazon SNS in the query protocol, as AWS's SDKs
// speak them to AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL_SNS. A request is signed
// (Signature Version 4) or bears a token; either opens one environment of an app
// ([Events.Variables]).
func (e *Events) Handler() http.Handler { return http.HandlerFunc(e.serve) }

func (e *Events) serve(w http.ResponseWriter, r *http.Request) {
	target, isJSON := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	service, fail := "sns", e.failSNS
	if isJSON {
		service, fail = "sqs", e.failJSON
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		fail(w, refusal{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLarge", why: "the request cannot be read, or is larger than 2 MiB"})
		return
	}
	var form url.Values
	var malformed error
	if !isJSON {
		if form, malformed = url.ParseQuery(string(body)); sqsQuery(form, r.URL.Path) {
			service, fail = "sqs", e.failQuery
		}
	}
	n, err := e.who(r, body, service)
	switch {
	case err != nil:
	case r.Method != http.MethodPost:
		err = refusal{status: http.StatusMethodNotAllowed, code: "MethodNotAllowed", why: "send a POST"}
	case malformed != nil:
		err = refusal{status: http.StatusBadRequest, code: "MalformedQueryString", why: "the body is no form: " + malformed.Error()}
	case isJSON:
		err = e.sqs(w, r, n, target, body)
	case service == "sqs":
		err = e.answerQuery(w, r, n, form)
	default:
		err = e.sns(w, r, n, form)
	}
	if err != nil {
		fail(w, e.refusal(err))
	}
}

// refusal is an answer that is an error, in AWS's words.
type refusal struct {
	status int
	code   string // as AWS names it in JSON
	query  string // as SQS named it in the query protocol, which SDKs still show; empty: the same
	why    string
}

func (r refusal) Error() string { return r.code + ": " + r.why }

func (r refusal) queryCode() string { return cmp.Or(r.query, r.code) }

func invalid(why string) refusal {
	return refusal{status: http.StatusBadRequest, code: "InvalidParameterValue", why: why}
}

// refusal turns any error into an answer. What is not the sender's fault is logged.
func (e *Events) refusal(err error) refusal {
	var is refusal
	var unsigned *sigv4.Error
	var unknown *UnknownError
	var limit *queue.LimitError
	switch {
	case errors.As(err, &is):
		return is
	case errors.As(err, &unsigned):
		return refusal{status: unsigned.Status, code: unsigned.Code, why: unsigned.Why}
	case errors.As(err, &unknown) && unknown.Code == CodeTopic:
		return refusal{status: http.StatusNotFound, code: "NotFound", why: unknown.Error()}
	case errors.As(err, &unknown):
		return refusal{status: http.StatusBadRequest, code: "QueueDoesNotExist", query: "AWS.SimpleQueueService.NonExistentQueue", why: unknown.Error()}
	case errors.As(err, &limit) && limit.What == "batch" && limit.Unit == "bytes":
		return refusal{status: http.StatusBadRequest, code: "BatchRequestTooLong", query: "AWS.SimpleQueueService.BatchRequestTooLong", why: limit.Error()}
	case errors.As(err, &limit):
		return invalid(limit.Error())
	case errors.Is(err, ErrContent):
		return refusal{status: http.StatusBadRequest, code: "InvalidMessageContents", why: err.Error()}
	case errors.Is(err, queue.ErrStale):
		return refusal{status: http.StatusBadRequest, code: "MessageNotInflight", query: "AWS.SimpleQueueService.MessageNotInflight", why: err.Error()}
	}
	if !errors.Is(err, context.Canceled) { // the sender went away
		e.log.Error("an event was not accepted", slog.Any("err", err))
	}
	return refusal{status: http.StatusServiceUnavailable, code: "ServiceUnavailable", why: "the event was not accepted; send it again"}
}
