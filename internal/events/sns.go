package events

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// snsSpace is the name space of SNS's answers ("Amazon SNS API Reference").
const snsSpace = "http://sns.amazonaws.com/doc/2010-03-31/"

// sns answers one request in the query protocol: Publish, PublishBatch and ListTopics.
func (e *Events) sns(w http.ResponseWriter, r *http.Request, n name, form url.Values) error {
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
	defer cancel()
	var result any
	var err error
	action := form.Get("Action")
	switch action {
	case "Publish":
		result, err = e.publish(ctx, n, form)
	case "PublishBatch":
		result, err = e.publishBatch(ctx, n, form)
	case "ListTopics":
		result, err = e.listTopics(ctx, n)
	default:
		err = refusal{
			status: http.StatusBadRequest, code: "InvalidAction",
			why: "there is no " + quoted(action) + " here: topics are made in titrate.yaml, and what is for SQS says Version=" + sqsVersion,
		}
	}
	if err != nil {
		return err
	}
	return e.writeResult(w, snsSpace, action, result)
}

// writeResult writes the answer to an action.
func (e *Events) writeResult(w http.ResponseWriter, space, action string, result any) error {
	type metadata struct {
		RequestID string `xml:"RequestId"`
	}
	answer := struct {
		XMLName  xml.Name
		Space    string `xml:"xmlns,attr"`
		Result   *element
		Metadata metadata `xml:"ResponseMetadata"`
	}{xml.Name{Local: action + "Response"}, space, &element{action + "Result", result}, metadata{e.cfg.NewID()}}
	if _, none := result.(nothing); none {
		answer.Result = nil
	}
	return writeXML(w, http.StatusOK, answer)
}

// element is an element whose name is known only now.
type element struct {
	name string
	of   any
}

// MarshalXML writes what it is of under its name.
func (n element) MarshalXML(enc *xml.Encoder, _ xml.StartElement) error {
	return enc.EncodeElement(n.of, xml.StartElement{Name: xml.Name{Local: n.name}})
}

func writeXML(w http.ResponseWriter, status int, v any) error {
	b, err := xml.Marshal(v)
	if err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), b...)) // whoever went away learns nothing
	return nil
}

func (e *Events) failSNS(w http.ResponseWriter, f refusal) { e.failXML(w, snsSpace, f.code, f) }

func (e *Events) failQuery(w http.ResponseWriter, f refusal) {
	e.failXML(w, sqsSpace, f.queryCode(), f)
}

func (e *Events) failXML(w http.ResponseWriter, space, code string, f refusal) {
	type fault struct{ Type, Code, Message string }
	kind := "Sender"
	if f.status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	_ = writeXML(w, f.status, struct { // strings are always XML
		XMLName   xml.Name
		Space     string `xml:"xmlns,attr"`
		Error     fault
		RequestID string `xml:"RequestId"`
	}{xml.Name{Local: "ErrorResponse"}, space, fault{kind, code, f.why}, e.cfg.NewID()})
}

// topicName is the name in a topic's ARN.
func topicName(form url.Values) (string, error) {
	given := form.Get("TopicArn")
	if given == "" {
		given = form.Get("TargetArn")
	}
	parts := strings.Split(given, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" {
		return "", refusal{status: http.StatusBadRequest, code: "InvalidParameter", why: "Invalid parameter: TopicArn: give " + arn("sns", "NAME")}
	}
	return parts[5], nil
}

// messageOf reads the fields of a message whose names begin with prefix.
func messageOf(form url.Values, prefix string) (Message, error) {
	m := Message{Body: []byte(form.Get(prefix + "Message")), Subject: form.Get(prefix + "Subject"), Dedup: form.Get(prefix + "MessageDeduplicationId"), Attributes: map[string]Attribute{}}
	if len(m.Body) == 0 {
		return m, refusal{status: http.StatusBadRequest, code: "InvalidParameter", why: "Invalid parameter: Empty message"}
	}
	for i := 1; ; i++ {
		at := fmt.Sprintf("%sMessageAttributes.entry.%d.", prefix, i)
		if !form.Has(at + "Name") {
			return m, nil
		}
		a := Attribute{Type: form.Get(at + "Value.DataType"), Value: []byte(form.Get(at + "Value.StringValue"))}
		if a.binary() {
			b, err := base64.StdEncoding.DecodeString(form.Get(at + "Value.BinaryValue"))
			if err != nil {
				return m, refusal{status: http.StatusBadRequest, code: "InvalidParameter", why: "Invalid parameter: BinaryValue is no base64"}
			}
			a.Value = b
		}
		m.Attributes[form.Get(at+"Name")] = a
	}
}

type publishResult struct {
	MessageID string `xml:"MessageId"`
}

func (e *Events) publish(ctx context.Context, n name, form url.Values) (any, error) {
	topic, err := topicName(form)
	if err != nil {
		return nil, err
	}
	m, err := messageOf(form, "")
	if err != nil {
		return nil, err
	}
	id, err := e.Publish(ctx, n.app, n.env, topic, m)
	return publishResult{id}, err
}

func (e *Events) publishBatch(ctx context.Context, n name, form url.Values) (any, error) {
	topic, err := topicName(form)
	if err != nil {
		return nil, err
	}
	type good struct {
		ID        string `xml:"Id"`
		MessageID string `xml:"MessageId"`
	}
	type bad struct {
		ID          string `xml:"Id"`
		Code        string
		Message     string
		SenderFault bool
	}
	var result struct {
		Successful []good `xml:"Successful>member"`
		Failed     []bad  `xml:"Failed>member"`
	}
	for i := 1; i <= 10; i++ {
		at := fmt.Sprintf("PublishBatchRequestEntries.member.%d.", i)
		if !form.Has(at + "Id") {
			break
		}
		m, err := messageOf(form, at)
		id := ""
		if err == nil {
			id, err = e.Publish(ctx, n.app, n.env, topic, m)
		}
		if err != nil {
			f := e.refusal(err)
			result.Failed = append(result.Failed, bad{form.Get(at + "Id"), f.code, f.why, f.status < http.StatusInternalServerError})
			continue
		}
		result.Successful = append(result.Successful, good{form.Get(at + "Id"), id})
	}
	return result, nil
}

func (e *Events) listTopics(ctx context.Context, n name) (any, error) {
	type topic struct{ TopicArn string }
	var result struct {
		Topics []topic `xml:"Topics>member"`
	}
	p, err := e.place(ctx, n, false)
	if err != nil || p == nil {
		return result, err
	}
	p.mu.Lock()
	for t := range p.topics {
		result.Topics = append(result.Topics, topic{arn("sns", t)})
	}
	p.mu.Unlock()
	slices.SortFunc(result.Topics, func(a, b topic) int { return strings.Compare(a.TopicArn, b.TopicArn) })
	return result, nil
}
