package events

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// SQS's query protocol, which SDKs spoke before AWS JSON 1.0: a form is sent, and XML is
// answered ("Amazon SQS API Reference", "Making Query API requests"). Lists are written
// with numbers: AttributeName.1, AttributeName.2.
const (
	sqsVersion = "2012-11-05"
	sqsSpace   = "http://queue.amazonaws.com/doc/" + sqsVersion + "/"
)

// sqsQuery reports whether a form is for SQS: its version says so, or it was sent to a
// queue's own address.
func sqsQuery(form url.Values, path string) bool {
	return form.Get("Version") == sqsVersion || form.Get("Version") == "" && len(path) > 1
}

// readQuery reads a form that was sent to an address with a path.
func readQuery(form url.Values, path string) (request, error) {
	f := fields{Values: form}
	q := request{
		QueueURL: form.Get("QueueUrl"), QueueName: form.Get("QueueName"), QueueNamePrefix: form.Get("QueueNamePrefix"),
		ReceiptHandle: form.Get("ReceiptHandle"), VisibilityTimeout: f.number("VisibilityTimeout"),
		MaxNumberOfMessages: f.number("MaxNumberOfMessages"), WaitTimeSeconds: f.number("WaitTimeSeconds"),
		AttributeNames: f.list("AttributeName."), MessageSystemAttributeNames: f.list("MessageSystemAttributeName."),
		MessageAttributeNames: f.list("MessageAttributeName."), sendRequest: f.message(""),
	}
	if q.QueueURL == "" {
		q.QueueURL = strings.Trim(path, "/")
	}
	for i := 1; ; i++ {
		at := fmt.Sprintf("%sRequestEntry.%d.", form.Get("Action"), i)
		if !form.Has(at + "Id") {
			return q, f.err
		}
		q.Entries = append(q.Entries, entry{
			ID: form.Get(at + "Id"), ReceiptHandle: form.Get(at + "ReceiptHandle"), VisibilityTimeout: f.number(at + "VisibilityTimeout"),
			sendRequest: f.message(at),
		})
	}
}

// fields reads the fields of a form; err is the first that is wrong.
type fields struct {
	url.Values
	err error
}

func (f *fields) wrong(name, why string) {
	if f.err == nil {
		f.err = invalid("Value " + quoted(f.Get(name)) + " for parameter " + name + " is invalid. Reason: " + why + ".")
	}
}

func (f *fields) text(name string) *string {
	if !f.Has(name) {
		return nil
	}
	s := f.Get(name)
	return &s
}

func (f *fields) number(name string) *int {
	if !f.Has(name) {
		return nil
	}
	n, err := strconv.Atoi(f.Get(name))
	if err != nil {
		f.wrong(name, "Must be an integer")
	}
	return &n
}

func (f *fields) list(prefix string) (all []string) {
	for i := 1; f.Has(prefix + strconv.Itoa(i)); i++ {
		all = append(all, f.Get(prefix+strconv.Itoa(i)))
	}
	return all
}

func (f *fields) message(prefix string) sendRequest {
	s := sendRequest{
		MessageBody: f.text(prefix + "MessageBody"), DelaySeconds: f.number(prefix + "DelaySeconds"),
		MessageDeduplicationID: f.Get(prefix + "MessageDeduplicationId"),
	}
	for i := 1; ; i++ {
		at := fmt.Sprintf("%sMessageAttribute.%d.", prefix, i)
		if !f.Has(at + "Name") {
			return s
		}
		a := wireAttribute{DataType: f.Get(at + "Value.DataType"), StringValue: f.text(at + "Value.StringValue")}
		if f.Has(at + "Value.BinaryValue") {
			b, err := base64.StdEncoding.DecodeString(f.Get(at + "Value.BinaryValue"))
			if err != nil {
				f.wrong(at+"Value.BinaryValue", "Must be base64")
			}
			a.BinaryValue = b
		}
		if s.MessageAttributes == nil {
			s.MessageAttributes = map[string]wireAttribute{}
		}
		s.MessageAttributes[f.Get(at+"Name")] = a
	}
}

// answerQuery answers one request of the query protocol.
func (e *Events) answerQuery(w http.ResponseWriter, r *http.Request, n name, form url.Values) error {
	q, err := readQuery(form, r.URL.Path)
	if err != nil {
		return err
	}
	action := form.Get("Action")
	answer, err := e.act(r, n, action, q)
	if err != nil {
		return err
	}
	if o, is := answer.(outcome); is {
		o.entry = action + "ResultEntry"
		answer = o
	}
	return e.writeResult(w, sqsSpace, action, answer)
}

// MarshalXML writes a map as SQS does: an element for each, with its name and its value.
func (p pairs) MarshalXML(enc *xml.Encoder, start xml.StartElement) error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if err := enc.EncodeElement(struct{ Name, Value string }{name, p[name]}, start); err != nil {
			return err
		}
	}
	return nil
}

// MarshalXML does the same for attributes that a sender gave.
func (w wireAttributes) MarshalXML(enc *xml.Encoder, start xml.StartElement) error {
	type value struct {
		DataType    string
		StringValue *string `xml:",omitempty"`
		BinaryValue string  `xml:",omitempty"` // base64
	}
	for _, name := range slices.Sorted(maps.Keys(w)) {
		a := w[name]
		if err := enc.EncodeElement(struct {
			Name  string
			Value value
		}{name, value{a.DataType, a.StringValue, base64.StdEncoding.EncodeToString(a.BinaryValue)}}, start); err != nil {
			return err
		}
	}
	return nil
}

// MarshalXML writes each entry of a batch under the name that its action gives it.
func (o outcome) MarshalXML(enc *xml.Encoder, start xml.StartElement) error {
	if err := enc.EncodeToken(start); err != nil {
		return err
	}
	for _, one := range o.Successful {
		if err := enc.EncodeElement(one, xml.StartElement{Name: xml.Name{Local: o.entry}}); err != nil {
			return err
		}
	}
	for _, one := range o.Failed {
		if err := enc.EncodeElement(one, xml.StartElement{Name: xml.Name{Local: "BatchResultErrorEntry"}}); err != nil {
			return err
		}
	}
	return enc.EncodeToken(start.End())
}
