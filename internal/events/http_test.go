package events

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// sender sends to a handler as one environment.
type sender struct {
	t     testing.TB
	b     *bench
	url   string
	given map[string]string // the variables of a process
	plain bool              // by token, not by signature
}

func newSender(tb testing.TB, b *bench, app, env string) *sender {
	tb.Helper()
	s := httptest.NewServer(b.Handler())
	tb.Cleanup(s.Close)
	return &sender{t: tb, b: b, url: s.URL, given: b.Variables(app, env, strings.TrimPrefix(s.URL, "http://"))}
}

func (s *sender) post(service string, headers map[string]string, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.given["AWS_ENDPOINT_URL_SQS"]+"/", strings.NewReader(body))
	must(s.t, err)
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	if s.plain {
		r.Header.Set("Authorization", "Bearer "+s.given["TITRATE_EVENTS_TOKEN"])
	} else {
		sum := sha256.Sum256([]byte(body))
		who := aws.Credentials{AccessKeyID: s.given["AWS_ACCESS_KEY_ID"], SecretAccessKey: s.given["AWS_SECRET_ACCESS_KEY"]}
		must(s.t, v4.NewSigner().SignHTTP(context.Background(), who, r, hex.EncodeToString(sum[:]), service, s.given["AWS_REGION"], s.b.hands.Now()))
	}
	got, err := http.DefaultClient.Do(r)
	must(s.t, err)
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	must(s.t, err)
	return got.StatusCode, string(b)
}

// sqs makes a call that has to get status, and returns the answer.
func (s *sender) sqs(status int, action, body string) map[string]any {
	s.t.Helper()
	code, answer := s.post("sqs", map[string]string{"X-Amz-Target": "AmazonSQS." + action, "Content-Type": "application/x-amz-json-1.0"}, body)
	if code != status {
		s.t.Fatalf("%s %s: %d, not %d: %s", action, body, code, status, answer)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(answer), &m); err != nil {
		s.t.Fatalf("%s: %v: %q", action, err, answer)
	}
	return m
}

func (s *sender) sns(status int, form url.Values) string {
	s.t.Helper()
	code, answer := s.post("sns", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, form.Encode())
	if code != status {
		s.t.Fatalf("%v: %d, not %d: %s", form, code, status, answer)
	}
	return answer
}

func ordersAndNews() rollout.Triggers {
	triggers := onQueue("orders", 10)
	triggers.Topics = []string{"news"}
	return triggers
}

func TestHandler_speaksSQS(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		b := newBench(t)
		b.apply(function("paid", ordersAndNews()))
		s := newSender(t, b, app, env)
		s.plain = plain
		address, _ := s.sqs(200, "GetQueueUrl", `{"QueueName":"orders"}`)["QueueUrl"].(string)
		if address != s.url+"/000000000000/orders" {
			t.Fatal(address)
		}
		at := func(more string) string { return `{"QueueUrl":"` + address + `"` + more + `}` }
		sent := s.sqs(200, "SendMessage", at(`,"MessageBody":"one","MessageAttributes":{"n":{"DataType":"Number","StringValue":"7"},"b":{"DataType":"Binary","BinaryValue":"AP8="}}`))
		if sent["MD5OfMessageBody"] != "f97c5d29941bfb1b2fdab0874906ab82" || sent["MessageId"] == "" || sent["MD5OfMessageAttributes"] == "" {
			t.Error(sent)
		}
		batch := s.sqs(200, "SendMessageBatch", at(`,"Entries":[{"Id":"a","MessageBody":"two","DelaySeconds":60},{"Id":"b","MessageBody":""},{"Id":"c","MessageBody":"\u0000"}]`))
		if good, bad := batch["Successful"].([]any), batch["Failed"].([]any); len(good) != 1 || len(bad) != 2 || bad[1].(map[string]any)["Code"] != "InvalidMessageContents" {
			t.Error(batch)
		}
		attributes := s.sqs(200, "GetQueueAttributes", at(`,"AttributeNames":["All"]`))["Attributes"].(map[string]any)
		if attributes["ApproximateNumberOfMessages"] != "1" || attributes["ApproximateNumberOfMessagesDelayed"] != "1" || attributes["QueueArn"] != "arn:aws:sqs:local:000000000000:orders" {
			t.Error(attributes)
		}
		got := s.sqs(200, "ReceiveMessage", at(`,"MaxNumberOfMessages":10,"MessageSystemAttributeNames":["SentTimestamp"],"MessageAttributeNames":["All"]`))
		m := got["Messages"].([]any)[0].(map[string]any)
		if m["Body"] != "one" || len(m["Attributes"].(map[string]any)) != 1 || len(m["MessageAttributes"].(map[string]any)) != 2 || m["MD5OfMessageAttributes"] != sent["MD5OfMessageAttributes"] {
			t.Error(m)
		}
		handle, _ := m["ReceiptHandle"].(string)
		s.sqs(200, "ChangeMessageVisibility", at(`,"ReceiptHandle":"`+handle+`","VisibilityTimeout":0`))
		if got := s.sqs(200, "ReceiveMessage", at(``)); len(got["Messages"].([]any)) != 1 {
			t.Error(got)
		} else {
			handle, _ = got["Messages"].([]any)[0].(map[string]any)["ReceiptHandle"].(string)
		}
		if got := s.sqs(200, "ReceiveMessage", at(``)); len(got) != 0 {
			t.Error(got)
		}
		s.sqs(200, "DeleteMessage", at(`,"ReceiptHandle":"`+handle+`"`))
		s.sqs(200, "DeleteMessage", at(`,"ReceiptHandle":"`+handle+`"`)) // a second time is no error
		deleted := s.sqs(200, "DeleteMessageBatch", at(`,"Entries":[{"Id":"a","ReceiptHandle":"`+handle+`"},{"Id":"b","ReceiptHandle":"x"}]`))
		if len(deleted["Successful"].([]any)) != 1 || len(deleted["Failed"].([]any)) != 1 {
			t.Error(deleted)
		}
		if all := s.sqs(200, "ListQueues", `{}`)["QueueUrls"].([]any); len(all) != 1 || all[0] != address {
			t.Error(all)
		}
		s.sqs(200, "PurgeQueue", at(``))
		if b.left("orders") != 0 {
			t.Error("it was not purged")
		}
	}
}

func TestHandler_aReceiveWaitsForMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", ordersAndNews()))
	s := newSender(t, b, app, env)
	got := make(chan map[string]any)
	go func() { got <- s.sqs(200, "ReceiveMessage", `{"QueueUrl":"orders","WaitTimeSeconds":20}`) }()
	b.hands.armed(t, noon.Add(20*time.Second))
	b.send("orders", "a")
	if m := <-got; len(m["Messages"].([]any)) != 1 {
		t.Error(m)
	}
	go func() { got <- s.sqs(200, "ReceiveMessage", `{"QueueUrl":"orders","WaitTimeSeconds":20}`) }()
	b.hands.armed(t, noon.Add(20*time.Second))
	b.hands.move(20 * time.Second)
	if m := <-got; len(m) != 0 {
		t.Error(m)
	}
}

func TestHandler_refusesInAWSsWords(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", ordersAndNews()))
	s := newSender(t, b, app, env)
	long := strings.Repeat("x", 256<<10+1)
	for _, c := range []struct{ action, body, code string }{
		{"SendMessage", `{"QueueUrl":"http://x/0/order","MessageBody":"x"}`, "QueueDoesNotExist"},
		{"SendMessage", `{"QueueUrl":"http://x/0/paid%2Fevents","MessageBody":"x"}`, "QueueDoesNotExist"},
		{"GetQueueUrl", `{"QueueName":"paid/events"}`, "QueueDoesNotExist"},
		{"SendMessage", `{"MessageBody":"x"}`, "MissingParameter"},
		{"SendMessage", `{"QueueUrl":"orders"}`, "MissingParameter"},
		{"SendMessage", `{"QueueUrl":"orders","MessageBody":"` + long + `"}`, "InvalidParameterValue"},
		{"SendMessage", `{"QueueUrl":"orders","MessageBody":"x","DelaySeconds":901}`, "InvalidParameterValue"},
		{"SendMessage", `{"QueueUrl":"orders","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String"}}}`, "InvalidParameterValue"},
		{"SendMessage", `{"QueueUrl":7}`, "SerializationException"},
		{"SendMessageBatch", `{"QueueUrl":"orders"}`, "EmptyBatchRequest"},
		{"SendMessageBatch", `{"QueueUrl":"orders","Entries":[{"Id":"a"},{"Id":"a"}]}`, "BatchEntryIdsNotDistinct"},
		{"ReceiveMessage", `{"QueueUrl":"orders","MaxNumberOfMessages":11}`, "InvalidParameterValue"},
		{"ReceiveMessage", `{"QueueUrl":"orders","WaitTimeSeconds":21}`, "InvalidParameterValue"},
		{"DeleteMessage", `{"QueueUrl":"orders","ReceiptHandle":"x"}`, "ReceiptHandleIsInvalid"},
		{"ChangeMessageVisibility", `{"QueueUrl":"orders","ReceiptHandle":"9.x","VisibilityTimeout":1}`, "MessageNotInflight"},
		{"CreateQueue", `{"QueueName":"x"}`, "UnsupportedOperation"},
	} {
		got := s.sqs(400, c.action, c.body)
		if got["__type"] != "com.amazonaws.sqs#"+c.code || got["message"] == "" {
			t.Errorf("%s %.80s: %v, not %s", c.action, c.body, got, c.code)
		}
	}
	for _, c := range []struct {
		status int
		form   url.Values
		code   string
	}{
		{404, url.Values{"Action": {"Publish"}, "TopicArn": {arn("sns", "new")}, "Message": {"x"}}, "NotFound"},
		{400, url.Values{"Action": {"Publish"}, "TopicArn": {"news"}, "Message": {"x"}}, "InvalidParameter"},
		{400, url.Values{"Action": {"Publish"}, "TopicArn": {arn("sns", "news")}}, "InvalidParameter"},
		{400, url.Values{"Action": {"SendMessage"}}, "InvalidAction"},
	} {
		if got := s.sns(c.status, c.form); !strings.Contains(got, "<Code>"+c.code+"</Code>") {
			t.Errorf("%v: %s", c.form, got)
		}
	}
}

func TestHandler_aKeyOpensItsOwnEnvironmentOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := function("paid", ordersAndNews())
	other.Key.Env = "uat"
	b.apply(function("paid", ordersAndNews()), other)
	const send = `{"QueueUrl":"http://x/production/orders","MessageBody":"x"}`
	for _, plain := range []bool{false, true} {
		s := newSender(t, b, app, "uat")
		s.plain = plain
		s.sqs(200, "SendMessage", send)
		s.given["AWS_SECRET_ACCESS_KEY"] += "x"
		s.given["TITRATE_EVENTS_TOKEN"] += "x"
		s.sqs(403, "SendMessage", send)
		s.given = b.Variables(app, "elsewhere", strings.TrimPrefix(s.url, "http://"))
		s.sqs(403, "SendMessage", send)
	}
	if n := b.left("orders"); n != 0 {
		t.Errorf("%d got into production", n)
	}
	s := newSender(t, b, app, "uat")
	if code, _ := s.post("sns", map[string]string{"X-Amz-Target": "AmazonSQS.SendMessage"}, send); code != 403 {
		t.Error("a signature for one service opens the other")
	}
	b.hands.move(time.Hour)
	s.sqs(200, "SendMessage", send) // it signs at that time
	b.apply(function("paid", ordersAndNews()))
	s.sqs(403, "SendMessage", send) // its environment is gone
	r, err := http.Post(s.url, "", strings.NewReader("Action=Publish"))
	must(t, err)
	defer r.Body.Close()
	if r.StatusCode != 403 {
		t.Error(r.Status)
	}
}

func TestHandler_speaksSNS(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(function("paid", ordersAndNews()))
	s := newSender(t, b, app, env)
	got := s.sns(200, url.Values{
		"Action": {"Publish"}, "TopicArn": {arn("sns", "news")}, "Message": {"hello"}, "Subject": {"hi"},
		"MessageAttributes.entry.1.Name": {"who"}, "MessageAttributes.entry.1.Value.DataType": {"String"}, "MessageAttributes.entry.1.Value.StringValue": {"Ada"},
	})
	if !strings.Contains(got, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>`) || !strings.Contains(got, "<ResponseMetadata><RequestId>") {
		t.Error(got)
	}
	got = s.sns(200, url.Values{
		"Action": {"PublishBatch"}, "TopicArn": {arn("sns", "news")},
		"PublishBatchRequestEntries.member.1.Id": {"a"}, "PublishBatchRequestEntries.member.1.Message": {"again"},
		"PublishBatchRequestEntries.member.2.Id": {"b"}, "PublishBatchRequestEntries.member.2.Message": {""},
	})
	if !strings.Contains(got, "<Successful><member><Id>a</Id><MessageId>") || !strings.Contains(got, "<Failed><member><Id>b</Id>") {
		t.Error(got)
	}
	if got := s.sns(200, url.Values{"Action": {"ListTopics"}}); !strings.Contains(got, "<member><TopicArn>arn:aws:sns:local:000000000000:news</TopicArn></member>") {
		t.Error(got)
	}
	b.run()
	for _, want := range []string{`"Message":"hello"`, `"Message":"again"`} {
		m := b.next()
		if !strings.Contains(string(m.Payload), want) || m.Source != "topic news" {
			t.Errorf("%s: %s", m.Source, m.Payload)
		}
		m.say(byStable)
		if want == `"Message":"hello"` {
			continue
		}
	}
}

func TestVariables_oneAddressHoweverItIsSpelled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, addr := range []string{"127.0.0.1:81", "http://127.0.0.1:81", "http://127.0.0.1:81/"} {
		v := b.Variables(app, env, addr)
		for _, k := range []string{"AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SNS", "TITRATE_EVENTS_URL"} {
			if v[k] != "http://127.0.0.1:81" {
				t.Errorf("%s: %s is %s", addr, k, v[k])
			}
		}
	}
	if v := b.Variables(app, env, ""); v != nil {
		t.Error(v)
	}
}

// The digest is over what the developer guide says, written out by hand.
func TestAttributesDigest(t *testing.T) {
	t.Parallel()
	if attributesDigest(nil) != "" {
		t.Error("there is nothing to digest")
	}
	one := map[string]Attribute{"a": {"String", []byte("b")}}
	if got, want := attributesDigest(one), digest([]byte("\x00\x00\x00\x01a\x00\x00\x00\x06String\x01\x00\x00\x00\x01b")); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// TestHandler_theAWSCommandLine runs the real client; it takes seconds.
func TestHandler_theAWSCommandLine(t *testing.T) {
	t.Parallel()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("each call of the AWS command line takes a second: TITRATE_TEST_SLOW=1")
	}
	b := newBench(t)
	b.apply(function("paid", ordersAndNews()))
	b.hands.move(time.Since(noon)) // the client signs by the machine's clock
	s := newSender(t, b, app, env)
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "aws", args...)
		cmd.Env = append(os.Environ(), "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
		for k, v := range s.given {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("aws %v: %v: %s", args, err, errs.String())
		}
		return string(out)
	}
	var got struct {
		QueueURL string `json:"QueueUrl"`
	}
	must(t, json.Unmarshal([]byte(run("sqs", "get-queue-url", "--queue-name", "orders")), &got))
	run("sqs", "send-message", "--queue-url", got.QueueURL, "--message-body", "hello", "--message-attributes", `{"a":{"DataType":"String","StringValue":"b"}}`)
	if out := run("sqs", "receive-message", "--queue-url", got.QueueURL, "--message-attribute-names", "All", "--attribute-names", "All"); !strings.Contains(out, `"hello"`) || !strings.Contains(out, `"StringValue": "b"`) {
		t.Error(out)
	}
	if out := run("sns", "publish", "--topic-arn", arn("sns", "news"), "--message", "x"); !strings.Contains(out, "MessageId") {
		t.Error(out)
	}
}

// FuzzHandler shows that no request of a known sender panics, and that every answer is one.
func FuzzHandler(f *testing.F) {
	b := newBench(f)
	b.apply(function("paid", ordersAndNews()))
	token := b.Variables(app, env, "x")["TITRATE_EVENTS_TOKEN"]
	for _, s := range []struct{ target, body string }{
		{"SendMessage", `{"QueueUrl":"orders","MessageBody":"x","MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"AA=="}}}`},
		{"SendMessageBatch", `{"QueueUrl":"orders","Entries":[{"Id":"a","MessageBody":"x"}]}`},
		{"ReceiveMessage", `{"QueueUrl":"orders","MaxNumberOfMessages":10,"VisibilityTimeout":-1}`},
		{"DeleteMessageBatch", `{"QueueUrl":"orders","Entries":[{"Id":"a","ReceiptHandle":"1.x"}]}`},
		{"ChangeMessageVisibility", `{"QueueUrl":"orders","ReceiptHandle":"1.x","VisibilityTimeout":99999999999}`},
		{"GetQueueAttributes", `{"QueueUrl":"orders","AttributeNames":["All"]}`},
		{"", "Action=Publish&TopicArn=arn:aws:sns:local:000000000000:news&Message=x&MessageAttributes.entry.1.Name=a"},
		{"", "Version=2012-11-05&Action=SendMessage&QueueUrl=orders&MessageBody=x&MessageAttribute.1.Name=a&MessageAttribute.1.Value.DataType=Binary&MessageAttribute.1.Value.BinaryValue=AA=="},
		{"", "Version=2012-11-05&Action=SendMessageBatch&QueueUrl=orders&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x"},
		{"", "Version=2012-11-05&Action=ReceiveMessage&QueueUrl=orders&MaxNumberOfMessages=10&AttributeName.1=All&VisibilityTimeout=-1"},
		{"", "Action=PublishBatch&TopicArn=arn:aws:sns:local:000000000000:news&PublishBatchRequestEntries.member.1.Id=a"},
	} {
		f.Add(s.target, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, target string, body []byte) {
		if strings.Contains(string(body), "WaitTimeSeconds") {
			return // it would wait for a clock that stands still
		}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		if target != "" {
			r.Header.Set("X-Amz-Target", "AmazonSQS."+target)
		}
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		if target != "" && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("no JSON: %s", w.Body)
		}
		if target == "" && xml.Unmarshal(w.Body.Bytes(), new(struct{})) != nil {
			t.Fatalf("no XML: %s", w.Body)
		}
	})
}
