package serverless

import "strings"

// nameKeys are the properties that name a resource (CloudFormation "Template
// reference").
var nameKeys = map[string]string{
	"AWS::SQS::Queue": "QueueName", "AWS::SNS::Topic": "TopicName", "AWS::DynamoDB::Table": "TableName",
	"AWS::S3::Bucket": "BucketName", "AWS::Kinesis::Stream": "Name", "AWS::Lambda::LayerVersion": "LayerName",
}

// target reads what names a resource: an ARN, a name, Ref or Fn::GetAtt. Anything else
// stays to be listed.
func (d *reader) target(n *node) *Target {
	switch {
	case n.null():
		return nil
	case n.kind == scalar:
		s := n.str()
		if !strings.HasPrefix(s, "arn:") {
			return &Target{Name: s}
		}
		return &Target{ARN: s, Name: arnName(s)}
	case n.kind != table:
		return nil
	case len(n.fields) != 1: // {type: sqs, arn: …} of a destination
		if arn := n.under("arn"); arn != nil {
			n.under("type").str()
			return d.target(arn)
		}
		return nil
	}
	v := n.fields[0]
	var id string
	switch {
	case v.key == "Ref" && v.kind == scalar:
		id = v.str()
	case v.key == "Fn::GetAtt" && len(v.items) > 0 && v.items[0].kind == scalar:
		id = v.take().items[0].text
	case v.key == "Fn::GetAtt" && v.kind == scalar:
		id, _, _ = strings.Cut(v.str(), ".")
	case v.key == "arn":
		return d.target(v)
	default:
		return nil
	}
	t := &Target{Resource: id}
	for _, section := range sections(d.root.under("layers")) {
		for _, l := range section.fields {
			if id == normal(l.key)+"LambdaLayer" {
				return &Target{Resource: id, Name: l.key, Type: "AWS::Lambda::LayerVersion"}
			}
		}
	}
	if res := d.resources[id]; res != nil {
		t.Type = res.under("Type").str()
		t.Name = res.under("Properties", nameKeys[t.Type]).str()
		if t.Name == "" {
			t.Name = id
		}
	}
	return t
}

// arnName is the name within an ARN: arn:aws:SERVICE:REGION:ACCOUNT:NAME, where
// DynamoDB and Kinesis put a kind before the name and layers a version behind it (AWS
// Service Authorization Reference, "Resource types").
func arnName(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return arn
	}
	name := parts[5]
	for _, kind := range []string{"table/", "stream/", "layer:", "function:"} {
		if rest, ok := strings.CutPrefix(name, kind); ok {
			if i := strings.IndexAny(rest, "/:"); i >= 0 {
				rest = rest[:i]
			}
			return rest
		}
	}
	return name
}

// resource reads a queue or a topic. It is listed as lost all the same: nothing in a
// function's release makes it.
func (d *reader) resource(n *node) {
	props := n.under("Properties")
	switch n.under("Type").str() {
	case "AWS::SQS::Queue":
		q := Queue{At: n.At, ID: n.key, Name: props.under("QueueName").str(), Visibility: props.under("VisibilityTimeout").num(), Delay: props.under("DelaySeconds").num(), Retention: props.under("MessageRetentionPeriod").num()}
		if yes := props.under("FifoQueue").truth(); yes != nil {
			q.FIFO = *yes
		}
		redrive := props.under("RedrivePolicy")
		q.MaxReceive, q.DeadLetter = redrive.under("maxReceiveCount").num(), d.target(redrive.under("deadLetterTargetArn"))
		d.p.Queues = append(d.p.Queues, q)
	case "AWS::SNS::Topic":
		d.p.Topics = append(d.p.Topics, Topic{At: n.At, ID: n.key, Name: props.under("TopicName").str()})
	}
}
