package events

import (
	"bytes"
	"crypto/md5" // the digest of SQS's protocol; nothing is protected by it
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"titrate/internal/queue"
)

// The region and the account that names of queues and topics have.
const (
	region  = "local"
	account = "000000000000"
)

func arn(service, name string) string {
	return "arn:aws:" + service + ":" + region + ":" + account + ":" + name
}

// Attributes of stored messages. A message attribute of the sender is stored under
// userPrefix and its name, as its data type, a newline, and its value.
const (
	attrKind    = "kind" // of a message in a function's own queue
	attrSource  = "source"
	attrVersion = "version"
	attrID      = "id" // of the topic's message
	attrSubject = "subject"
	userPrefix  = "."

	versionStable = "stable" // in place of a version's number

	kindTimer  = "timer"
	kindTopic  = "topic"
	kindInvoke = "invoke"
)

// Attribute is one that a sender gave to a message. The value of a type that begins with
// Binary is bytes; that of any other is text.
type Attribute struct {
	Type  string // "String", "Number", "Binary", or one of these with "." and a label
	Value []byte
}

func (a Attribute) binary() bool { return strings.HasPrefix(a.Type, "Binary") }

// keep writes attributes as the store has them.
func keep(attributes map[string]Attribute, more map[string]string) map[string]string {
	for n, a := range attributes {
		v := string(a.Value)
		if a.binary() {
			v = base64.StdEncoding.EncodeToString(a.Value)
		}
		more[userPrefix+n] = a.Type + "\n" + v
	}
	return more
}

// kept reads the sender's attributes of a stored message.
func kept(stored map[string]string) map[string]Attribute {
	all := map[string]Attribute{}
	for n, v := range stored {
		n, user := strings.CutPrefix(n, userPrefix)
		typ, value, ok := strings.Cut(v, "\n")
		if !user || !ok {
			continue
		}
		a := Attribute{Type: typ, Value: []byte(value)}
		if a.binary() {
			if b, err := base64.StdEncoding.DecodeString(value); err == nil {
				a.Value = b
			}
		}
		all[n] = a
	}
	return all
}

// text is the value as JSON has it: bytes in base64.
func (a Attribute) text() string {
	if a.binary() {
		return base64.StdEncoding.EncodeToString(a.Value)
	}
	return string(a.Value)
}

func digest(body []byte) string {
	sum := md5.Sum(body)
	return hex.EncodeToString(sum[:])
}

// milliseconds are how SQS writes times.
func milliseconds(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

type sqsAttribute struct {
	StringValue      *string  `json:"stringValue,omitempty"`
	BinaryValue      *string  `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues []string `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

type sqsRecord struct {
	MessageID         string                  `json:"messageId"`
	ReceiptHandle     string                  `json:"receiptHandle"`
	Body              string                  `json:"body"`
	Attributes        map[string]string       `json:"attributes"`
	MessageAttributes map[string]sqsAttribute `json:"messageAttributes"`
	MD5OfBody         string                  `json:"md5OfBody"`
	EventSource       string                  `json:"eventSource"`
	EventSourceARN    string                  `json:"eventSourceARN"`
	AWSRegion         string                  `json:"awsRegion"`
}

// systemAttributes are those that SQS adds.
func systemAttributes(m queue.Message) map[string]string {
	all := map[string]string{
		"ApproximateReceiveCount": strconv.Itoa(m.Received), "SentTimestamp": milliseconds(m.Sent),
		"SenderId": account, "ApproximateFirstReceiveTimestamp": milliseconds(m.First),
	}
	if m.Source != "" {
		all["DeadLetterQueueSourceArn"] = arn("sqs", m.Source)
	}
	return all
}

// sqsEvent is what a function is called with for messages of a queue ("Using Lambda with
// Amazon SQS", "Example standard queue message event").
func sqsEvent(from string, messages []queue.Message) ([]byte, error) {
	records := make([]sqsRecord, len(messages))
	for i, m := range messages {
		attributes := map[string]sqsAttribute{}
		for n, a := range kept(m.Attributes) {
			text := a.text()
			s := sqsAttribute{StringListValues: []string{}, BinaryListValues: []string{}, DataType: a.Type}
			if a.binary() {
				s.BinaryValue = &text
			} else {
				s.StringValue = &text
			}
			attributes[n] = s
		}
		records[i] = sqsRecord{
			MessageID: m.ID, ReceiptHandle: m.Receipt, Body: string(m.Body), Attributes: systemAttributes(m), MessageAttributes: attributes,
			MD5OfBody: digest(m.Body), EventSource: "aws:sqs", EventSourceARN: arn("sqs", from), AWSRegion: region,
		}
	}
	return plain(map[string]any{"Records": records})
}

type snsAttribute struct {
	Type  string `json:"Type"`
	Value string `json:"Value"`
}

// snsEvent is what a function is called with for a message of a topic ("Invoking Lambda
// functions with Amazon SNS notifications").
func snsEvent(m queue.Message, function string) ([]byte, error) {
	topic := arn("sns", m.Attributes[attrSource])
	attributes := map[string]snsAttribute{}
	for n, a := range kept(m.Attributes) {
		attributes[n] = snsAttribute{Type: a.Type, Value: a.text()}
	}
	var subject *string
	if s, some := m.Attributes[attrSubject]; some {
		subject = &s
	}
	return plain(map[string]any{"Records": []any{map[string]any{
		"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": topic + ":" + function,
		"Sns": map[string]any{
			"Type": "Notification", "MessageId": m.Attributes[attrID], "TopicArn": topic, "Subject": subject, "Message": string(m.Body),
			"Timestamp": m.Sent.UTC().Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": "1", "Signature": "", "SigningCertUrl": "",
			"UnsubscribeUrl": "", "MessageAttributes": attributes,
		},
	}}})
}

// plain is JSON in which <, > and & stay as they are: what is sent as HTML does not grow.
func plain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
