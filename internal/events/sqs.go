package events

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/internal/queue"
)

// request is the fields of all actions of SQS ("Amazon SQS API Reference"). Durations are
// pointers because 0 is not the same as none.
type request struct {
	QueueURL          string `json:"QueueUrl"`
	QueueName         string
	QueueNamePrefix   string
	ReceiptHandle     string
	VisibilityTimeout *int

	MaxNumberOfMessages *int
	WaitTimeSeconds     *int

	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string

	sendRequest
	Entries []entry
}

type sendRequest struct {
	MessageBody            *string
	DelaySeconds           *int
	MessageAttributes      map[string]wireAttribute
	MessageDeduplicationID string `json:"MessageDeduplicationId"`
}

type entry struct {
	ID                string `json:"Id"`
	ReceiptHandle     string
	VisibilityTimeout *int
	sendRequest
}

// What is answered, in JSON and, by the query protocol, in XML.
type (
	queueAnswer struct {
		QueueURL string `json:"QueueUrl" xml:"QueueUrl"`
	}
	queuesAnswer struct {
		QueueURLs []string `json:"QueueUrls" xml:"QueueUrl"`
	}
	attributesAnswer struct {
		Attributes pairs `xml:"Attribute"`
	}
	// nothing is the answer of an action that says nothing.
	nothing struct{}
	pairs   map[string]string
)

type wireAttributes map[string]wireAttribute

type wireAttribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

// actions are what SQS is asked for. Each returns what is answered.
func (e *Events) action(target string) func(context.Context, *http.Request, name, request) (any, error) {
	switch target {
	case "SendMessage":
		return e.sendMessage
	case "SendMessageBatch":
		return e.sendMessageBatch
	case "ReceiveMessage":
		return e.receiveMessage
	case "DeleteMessage":
		return e.deleteMessage
	case "DeleteMessageBatch":
		return e.deleteMessageBatch
	case "ChangeMessageVisibility":
		return e.changeVisibility
	case "ChangeMessageVisibilityBatch":
		return e.changeVisibilityBatch
	case "GetQueueUrl":
		return e.queueURL
	case "GetQueueAttributes":
		return e.queueAttributes
	case "ListQueues":
		return e.listQueues
	case "PurgeQueue":
		return e.purgeQueue
	}
	return nil
}

// actionTimeout bounds an action, beside the time that it waits for messages.
const actionTimeout = 30 * time.Second

// act does what a request asks for.
func (e *Events) act(r *http.Request, n name, target string, q request) (any, error) {
	do := e.action(target)
	if do == nil {
		return nil, refusal{
			status: http.StatusBadRequest, code: "UnsupportedOperation", query: "AWS.SimpleQueueService.UnsupportedOperation",
			why: "there is no " + quoted(target) + " here: queues are made and set in titrate.yaml",
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout+seconds(q.WaitTimeSeconds))
	defer cancel()
	return do(ctx, r, n, q)
}

// sqs answers one request in the AWS JSON 1.0 protocol.
func (e *Events) sqs(w http.ResponseWriter, r *http.Request, n name, target string, body []byte) error {
	var q request
	if err := json.Unmarshal(body, &q); err != nil {
		return refusal{status: http.StatusBadRequest, code: "SerializationException", why: "the request is no JSON of this action: " + err.Error()}
	}
	answer, err := e.act(r, n, target, q)
	if err != nil {
		return err
	}
	b, err := plain(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Requestid", e.cfg.NewID())
	_, _ = w.Write(b) // whoever went away learns nothing
	return nil
}

func (e *Events) failJSON(w http.ResponseWriter, f refusal) {
	fault := "Sender"
	if f.status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Query-Error", f.queryCode()+";"+fault)
	w.Header().Set("X-Amzn-Requestid", e.cfg.NewID())
	w.WriteHeader(f.status)
	b, _ := plain(map[string]string{"__type": "com.amazonaws.sqs#" + f.code, "message": f.why}) // strings are always JSON
	_, _ = w.Write(b)                                                                           // whoever went away learns nothing
}

// queueName is the name of a queue in its address. Only queues that a manifest names can
// be reached: the others have a slash.
func queueName(address string) (string, error) {
	if address == "" {
		return "", refusal{status: http.StatusBadRequest, code: "MissingParameter", why: "QueueUrl is missing"}
	}
	return address[strings.LastIndexByte(address, '/')+1:], nil
}

func address(r *http.Request, queue string) string {
	return "http://" + r.Host + "/" + account + "/" + queue
}

// seconds is a field in seconds; 0 when it is not there.
func seconds(n *int) time.Duration {
	if n == nil {
		return 0
	}
	return time.Duration(min(max(*n, -1), 100_000)) * time.Second
}

func (e *Events) queueURL(ctx context.Context, r *http.Request, n name, q request) (any, error) {
	if _, err := e.queue(ctx, n, strings.ReplaceAll(q.QueueName, "/", " ")); err != nil {
		return nil, err
	}
	return queueAnswer{address(r, q.QueueName)}, nil
}

func (e *Events) listQueues(ctx context.Context, r *http.Request, n name, q request) (any, error) {
	p, err := e.place(ctx, n, false)
	if err != nil {
		return nil, err
	}
	all := []string{}
	if p != nil {
		p.mu.Lock()
		for name := range p.queues {
			if strings.HasPrefix(name, q.QueueNamePrefix) && !strings.Contains(name, "/") {
				all = append(all, address(r, name))
			}
		}
		p.mu.Unlock()
	}
	slices.Sort(all)
	return queuesAnswer{all}, nil
}

func (e *Events) purgeQueue(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	of, err := queueName(q.QueueURL)
	if err == nil {
		_, err = e.Purge(ctx, n.app, n.env, of)
	}
	return nothing{}, err
}

func (e *Events) queueAttributes(ctx context.Context, _ *http.Request, n name, q request) (any, error) {
	of, err := queueName(q.QueueURL)
	if err != nil {
		return nil, err
	}
	p, err := e.queue(ctx, n, of)
	if err != nil {
		return nil, err
	}
	st, err := p.store.Statistics(ctx, of)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	set := p.queues[of]
	p.mu.Unlock()
	in := func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
	all := map[string]string{
		"QueueArn": arn("sqs", of), "ApproximateNumberOfMessages": strconv.FormatInt(st.Visible, 10),
		"ApproximateNumberOfMessagesNotVisible": strconv.FormatInt(st.InFlight, 10),
		"ApproximateNumberOfMessagesDelayed":    strconv.FormatInt(st.Delayed, 10),
		"VisibilityTimeout":                     in(set.Visibility), "DelaySeconds": in(set.Delay), "MessageRetentionPeriod": in(set.Retention),
		"MaximumMessageSize": strconv.Itoa(queue.MaxBody), "ReceiveMessageWaitTimeSeconds": "0",
	}
	if set.DeadLetter != "" {
		policy, err := json.Marshal(map[string]any{"deadLetterTargetArn": arn("sqs", set.DeadLetter), "maxReceiveCount": set.MaxReceive})
		if err != nil {
			return nil, err
		}
		all["RedrivePolicy"] = string(policy)
	}
	return attributesAnswer{chosen(all, q.AttributeNames)}, nil
}

// chosen are the attributes that were asked for, by name or with All.
func chosen(all map[string]string, names []string) map[string]string {
	some := map[string]string{}
	for k, v := range all {
		if slices.Contains(names, k) || slices.Contains(names, "All") {
			some[k] = v
		}
	}
	return some
}
