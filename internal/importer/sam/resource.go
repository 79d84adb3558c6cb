package sam

import "strings"

// kindOf is the Type of a resource.
func kindOf(v *value) string {
	if t := v.field("Type"); t != nil && t.kind == scalar {
		return t.text
	}
	return ""
}

// resource takes a resource by its Type. Those that speak of other resources wait
// for packaged and alarms.
func (r *reader) resource(id string, v *value) {
	if c := v.field("Condition"); c != nil && c.kind == scalar {
		c.take()
	}
	p := v.field("Properties")
	switch kind := kindOf(v); kind {
	case "AWS::Serverless::Function", "AWS::Lambda::Function":
		r.function(id, v)
	case "AWS::Serverless::Api", "AWS::Serverless::HttpApi":
		p := r.table(p)
		r.project.APIs = append(r.project.APIs, API{
			r.at(v), id, r.text(p.field("Name")), r.text(p.field("Description")), r.text(p.field("StageName")), kind == "AWS::Serverless::Api",
		})
	case "AWS::Serverless::LayerVersion":
		p := r.table(p)
		r.project.Layers = append(r.project.Layers, Layer{
			r.at(v), id, r.text(p.field("LayerName")), r.text(p.field("Description")), r.uri(p.field("ContentUri")), r.texts(p.field("CompatibleRuntimes")),
		})
	case "AWS::Lambda::LayerVersion":
		p := r.table(p)
		uri, _, _ := r.code(p.field("Content"))
		r.project.Layers = append(r.project.Layers, Layer{
			r.at(v), id, r.text(p.field("LayerName")), r.text(p.field("Description")), uri, r.texts(p.field("CompatibleRuntimes")),
		})
	case "AWS::SQS::Queue":
		r.queue(id, v, r.table(p))
	case "AWS::SNS::Topic":
		p := r.table(p)
		r.project.Topics = append(r.project.Topics, Topic{r.at(v), id, r.text(p.field("TopicName")), r.text(p.field("DisplayName"))})
		r.subscribe(id, p)
	case "AWS::Lambda::Version", "AWS::Lambda::Alias", "AWS::Lambda::EventSourceMapping", "AWS::CodeDeploy::DeploymentGroup",
		"AWS::Events::Rule", "AWS::CloudWatch::Alarm", "AWS::SNS::Subscription",
		"AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Integration", "AWS::ApiGateway::Method", "AWS::ApiGateway::Resource":
		return // see packaged and alarms
	default:
		why, instead := other(kind)
		if strings.HasPrefix(id, "Fn::ForEach::") {
			why, instead = "loops are not unrolled: what this one makes is not read", "write its resources out"
		}
		r.lose(v, why, instead)
		return
	}
	v.field("Type").take()
}

// other says why a resource of another type is not carried.
func other(kind string) (why, instead string) {
	switch kind {
	case "":
		return "the resource has no Type", "write its Type"
	case "AWS::Serverless::SimpleTable", "AWS::DynamoDB::Table":
		return kind + " is a table at AWS, and is not made here", "keep it at AWS, or run a database as an accessory"
	case "AWS::Serverless::StateMachine", "AWS::StepFunctions::StateMachine":
		return kind + " is not carried: no state machines run here", "call the functions one from the other, through queues"
	case "AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::Lambda::Permission":
		return kind + " is not carried: there are no IAM roles here", "give what a function calls its own credentials, as secrets"
	}
	return kind + " is not carried", "keep it at AWS, or replace it"
}

func (r *reader) queue(id string, v, p *value) {
	q := Queue{
		At: r.at(v), ID: id, Name: r.text(p.field("QueueName")), Visibility: r.number(p.field("VisibilityTimeout")),
		Retention: r.number(p.field("MessageRetentionPeriod")), Delay: r.number(p.field("DelaySeconds")),
		FIFO: r.flag(p.field("FifoQueue"), false), DeduplicateContent: r.flag(p.field("ContentBasedDeduplication"), false),
	}
	dead := r.table(p.field("RedrivePolicy"))
	q.DeadLetter, q.MaximumReceive = r.reference(dead.field("deadLetterTargetArn")), r.number(dead.field("maxReceiveCount"))
	r.project.Queues = append(r.project.Queues, q)
}

// subscribe gives a topic's subscriptions to the functions they name.
func (r *reader) subscribe(topic string, p *value) {
	for _, s := range r.list(p.field("Subscription")) {
		if s.kind == table {
			r.subscription(topic, s)
		}
	}
}

// subscription is one function's; those of other protocols are swept.
func (r *reader) subscription(topic string, s *value) {
	protocol := r.resolve(s.field("Protocol"))
	if protocol == nil || protocol.text != "lambda" {
		return
	}
	id := r.functionOf(s.field("Endpoint"))
	if id == "" {
		r.lose(s, "the endpoint is no function of this template", "")
		return
	}
	protocol.take()
	r.pending(id, Event{At: r.at(s), Kind: SNS, Source: topic})
}
