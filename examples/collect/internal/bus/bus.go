// Package bus sends messages to queues and topics, by the protocols of SQS and SNS as
// far as one message needs them.
//
// Sources: "SendMessage" and "Making Query API requests using AWS JSON protocol" of
// Amazon SQS, "Publish" of Amazon SNS.
package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Bus is where messages are sent.
type Bus struct {
	Queues string // AWS_ENDPOINT_URL_SQS
	Topics string // AWS_ENDPOINT_URL_SNS
	Token  string // TITRATE_EVENTS_TOKEN
	Client *http.Client
}

// account stands in the names of queues and topics; a machine of one's own has none.
const account = "000000000000"

// Send puts a message into a queue. When it returns nil the message is kept.
func (b Bus) Send(ctx context.Context, queue string, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("send to %s: %w", queue, err)
	}
	at := strings.TrimRight(b.Queues, "/")
	body, err := json.Marshal(map[string]string{"QueueUrl": at + "/" + account + "/" + queue, "MessageBody": string(text)})
	if err != nil {
		return fmt.Errorf("send to %s: %w", queue, err)
	}
	head := map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
	if err := b.post(ctx, at+"/", head, body); err != nil {
		return fmt.Errorf("send to %s: %w", queue, err)
	}
	return nil
}

// Publish tells a topic something. When it returns nil every subscriber will get it.
func (b Bus) Publish(ctx context.Context, topic string, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	form := url.Values{"Action": {"Publish"}, "Version": {"2010-03-31"}, "TopicArn": {"arn:aws:sns:local:" + account + ":" + topic}, "Message": {string(text)}}
	head := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	if err := b.post(ctx, strings.TrimRight(b.Topics, "/")+"/", head, []byte(form.Encode())); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

func (b Bus) post(ctx context.Context, at string, head map[string]string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.Token)
	for name, value := range head {
		req.Header.Set(name, value)
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %d: %.300s", resp.StatusCode, said)
	}
	return nil
}
