package events

import (
	"encoding/xml"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// query makes a call of the query protocol that has to get status, and reads the answer.
func (s *sender) query(status int, into any, fields ...string) string {
	s.t.Helper()
	form := url.Values{"Version": {sqsVersion}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	code, answer := s.post("sqs", map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, form.Encode())
	if code != status {
		s.t.Fatalf("%v: %d, not %d: %s", form, code, status, answer)
	}
	if into != nil {
		if err := xml.Unmarshal([]byte(answer), into); err != nil {
			s.t.Fatalf("%v: %v: %s", form, err, answer)
		}
	}
	return answer
}

// What older SDKs send and read ("Amazon SQS API Reference", version 2012-11-05).
func TestHandler_speaksSQSsQueryProtocol(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		b := newBench(t)
		b.apply(function("paid", ordersAndNews()))
		s := newSender(t, b, app, env)
		s.plain = plain
		got := s.query(200, nil, "Action", "GetQueueUrl", "QueueName", "orders")
		at := s.url + "/000000000000/orders"
		if !strings.Contains(got, `<GetQueueUrlResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><GetQueueUrlResult><QueueUrl>`+at+`</QueueUrl></GetQueueUrlResult><ResponseMetadata><RequestId>`) {
			t.Error(got)
		}
		var sent struct {
			XMLName xml.Name `xml:"http://queue.amazonaws.com/doc/2012-11-05/ SendMessageResponse"`
			Result  struct {
				MessageID  string `xml:"MessageId"`
				Body       string `xml:"MD5OfMessageBody"`
				Attributes string `xml:"MD5OfMessageAttributes"`
			} `xml:"SendMessageResult"`
		}
		s.query(200, &sent, "Action", "SendMessage", "QueueUrl", at, "MessageBody", "one <&>\n",
			"MessageAttribute.1.Name", "n", "MessageAttribute.1.Value.DataType", "Number", "MessageAttribute.1.Value.StringValue", "7",
			"MessageAttribute.2.Name", "b", "MessageAttribute.2.Value.DataType", "Binary", "MessageAttribute.2.Value.BinaryValue", "AP8=")
		if sent.Result.Body != digest([]byte("one <&>\n")) || sent.Result.MessageID == "" || sent.Result.Attributes == "" {
			t.Errorf("%+v", sent)
		}
		got = s.query(200, nil, "Action", "SendMessageBatch", "QueueUrl", at,
			"SendMessageBatchRequestEntry.1.Id", "a", "SendMessageBatchRequestEntry.1.MessageBody", "two", "SendMessageBatchRequestEntry.1.DelaySeconds", "60",
			"SendMessageBatchRequestEntry.2.Id", "b", "SendMessageBatchRequestEntry.2.MessageBody", "")
		if !strings.Contains(got, "<SendMessageBatchResult><SendMessageBatchResultEntry><Id>a</Id><MessageId>") ||
			!strings.Contains(got, "</SendMessageBatchResultEntry><BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault><Code>InvalidParameterValue</Code>") {
			t.Error(got)
		}
		if got = s.query(200, nil, "Action", "GetQueueAttributes", "QueueUrl", at, "AttributeName.1", "All"); !strings.Contains(got, "<Attribute><Name>ApproximateNumberOfMessages</Name><Value>1</Value></Attribute>") ||
			!strings.Contains(got, "<Name>QueueArn</Name><Value>arn:aws:sqs:local:000000000000:orders</Value>") {
			t.Error(got)
		}
		type pair struct{ Name, Value string }
		var received struct {
			Messages []struct {
				Body, ReceiptHandle, MD5OfMessageAttributes string
				Attribute                                   []pair
				MessageAttribute                            []struct {
					Name  string
					Value struct{ DataType, StringValue, BinaryValue string }
				}
			} `xml:"ReceiveMessageResult>Message"`
		}
		s.query(200, &received, "Action", "ReceiveMessage", "QueueUrl", at, "MaxNumberOfMessages", "10", "AttributeName.1", "SentTimestamp", "MessageAttributeName.1", "n", "MessageAttributeName.2", "b")
		if len(received.Messages) != 1 {
			t.Fatalf("%+v", received)
		}
		m := received.Messages[0]
		if m.Body != "one <&>\n" || m.MD5OfMessageAttributes != sent.Result.Attributes || len(m.Attribute) != 1 || m.Attribute[0].Name != "SentTimestamp" || len(m.MessageAttribute) != 2 ||
			m.MessageAttribute[0].Name != "b" || m.MessageAttribute[0].Value.BinaryValue != "AP8=" || m.MessageAttribute[1].Value.StringValue != "7" || m.MessageAttribute[1].Value.DataType != "Number" {
			t.Errorf("%+v", m)
		}
		if got = s.query(200, nil, "Action", "ReceiveMessage", "QueueUrl", at); !strings.Contains(got, "<ReceiveMessageResult></ReceiveMessageResult>") {
			t.Error(got)
		}
		got = s.query(200, nil, "Action", "ChangeMessageVisibilityBatch", "QueueUrl", at,
			"ChangeMessageVisibilityBatchRequestEntry.1.Id", "a", "ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle", m.ReceiptHandle, "ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout", "100")
		if !strings.Contains(got, "<ChangeMessageVisibilityBatchResultEntry><Id>a</Id></ChangeMessageVisibilityBatchResultEntry>") {
			t.Error(got)
		}
		if got = s.query(200, nil, "Action", "DeleteMessage", "QueueUrl", at, "ReceiptHandle", m.ReceiptHandle); !strings.Contains(got, `/"><ResponseMetadata>`) {
			t.Error(got)
		}
		got = s.query(200, nil, "Action", "DeleteMessageBatch", "QueueUrl", at, "DeleteMessageBatchRequestEntry.1.Id", "a", "DeleteMessageBatchRequestEntry.1.ReceiptHandle", "x")
		if !strings.Contains(got, "<Code>ReceiptHandleIsInvalid</Code>") {
			t.Error(got)
		}
		if got = s.query(200, nil, "Action", "ListQueues"); !strings.Contains(got, "<ListQueuesResult><QueueUrl>"+at+"</QueueUrl></ListQueuesResult>") {
			t.Error(got)
		}
		s.query(200, nil, "Action", "PurgeQueue", "QueueUrl", at)
		if b.left("orders") != 0 {
			t.Error("it was not purged")
		}
	}
}

func TestHandler_refusesInTheQueryProtocolsWords(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", ordersAndNews()))
	s := newSender(t, b, app, env)
	for _, c := range []struct {
		status int
		code   string
		fields []string
	}{
		{400, "AWS.SimpleQueueService.NonExistentQueue", []string{"Action", "SendMessage", "QueueUrl", "http://x/0/order", "MessageBody", "x"}},
		{400, "MissingParameter", []string{"Action", "SendMessage", "QueueUrl", "orders"}},
		{400, "MissingParameter", []string{"Action", "SendMessage", "MessageBody", "x"}},
		{400, "InvalidParameterValue", []string{"Action", "ReceiveMessage", "QueueUrl", "orders", "WaitTimeSeconds", "long"}},
		{400, "InvalidParameterValue", []string{"Action", "SendMessage", "QueueUrl", "orders", "MessageBody", "x", "MessageAttribute.1.Name", "a", "MessageAttribute.1.Value.DataType", "Binary", "MessageAttribute.1.Value.BinaryValue", "?"}},
		{400, "AWS.SimpleQueueService.EmptyBatchRequest", []string{"Action", "SendMessageBatch", "QueueUrl", "orders"}},
		{400, "AWS.SimpleQueueService.UnsupportedOperation", []string{"Action", "CreateQueue", "QueueName", "x"}},
	} {
		got := s.query(c.status, nil, c.fields...)
		if !strings.Contains(got, `<ErrorResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><Error><Type>Sender</Type><Code>`+c.code+`</Code><Message>`) {
			t.Errorf("%v: %s", c.fields, got)
		}
	}
	// The signature is for the service that is spoken to.
	if code, _ := s.post("sns", nil, "Version=2012-11-05&Action=ListQueues"); code != 403 {
		t.Error("a signature for one service opens the other")
	}
	s.given["AWS_ENDPOINT_URL_SQS"] += "/000000000000/orders" // a form without a version, sent to a queue
	if code, got := s.post("sqs", nil, "Action=SendMessage&MessageBody=x"); code != 200 || !strings.Contains(got, "<MessageId>") {
		t.Error(code, got)
	}
}

// TestHandler_theOlderSDK speaks with AWS's SDK for JavaScript of the second generation,
// where the folder in which it is installed is named.
func TestHandler_theOlderSDK(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("TITRATE_TEST_AWS_SDK2")
	if dir == "" {
		t.Skip("TITRATE_TEST_AWS_SDK2 names a folder in which npm install aws-sdk@2.1400.0 was run: the last ones speak JSON")
	}
	b := newBench(t)
	b.apply(function("paid", ordersAndNews()))
	b.hands.move(time.Since(noon)) // the client signs by the machine's clock
	s := newSender(t, b, app, env)
	cmd := exec.CommandContext(t.Context(), "node", "-e", `
const AWS = require("aws-sdk");
const sqs = new AWS.SQS({ endpoint: process.env.AWS_ENDPOINT_URL_SQS }), sns = new AWS.SNS({ endpoint: process.env.AWS_ENDPOINT_URL_SNS });
(async () => {
  const { QueueUrl } = await sqs.getQueueUrl({ QueueName: "orders" }).promise();
  await sqs.sendMessage({ QueueUrl, MessageBody: "hello <&>", MessageAttributes: { a: { DataType: "String", StringValue: "b" }, c: { DataType: "Binary", BinaryValue: Buffer.from([0, 255]) } } }).promise();
  const batch = await sqs.sendMessageBatch({ QueueUrl, Entries: [{ Id: "x", MessageBody: "two" }, { Id: "y", MessageBody: "\u0001" }] }).promise();
  const { Messages } = await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10, AttributeNames: ["All"], MessageAttributeNames: ["All"] }).promise();
  for (const m of Messages) await sqs.deleteMessage({ QueueUrl, ReceiptHandle: m.ReceiptHandle }).promise();
  const code = await sqs.getQueueUrl({ QueueName: "nowhere" }).promise().catch((e) => e.code);
  const { Attributes } = await sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["All"] }).promise();
  const topic = await sns.publish({ TopicArn: "arn:aws:sns:local:000000000000:news", Message: "x" }).promise();
  console.log(JSON.stringify([Messages.map((m) => m.Body), Messages[0].MessageAttributes.a.StringValue, [...Messages[0].MessageAttributes.c.BinaryValue], batch.Successful.length,
    batch.Failed[0].Code, code, Attributes.ApproximateNumberOfMessages, typeof topic.MessageId]));
})().catch((e) => { console.error(e); process.exit(1); });`)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1")
	for k, v := range s.given {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	if want := `[["hello <&>","two"],"b",[0,255],1,"InvalidMessageContents","AWS.SimpleQueueService.NonExistentQueue","0","string"]`; err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("%v: %s\nis not\n%s", err, out, want)
	}
}
