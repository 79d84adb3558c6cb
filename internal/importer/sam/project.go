package sam

// Project is what a template says, in no platform's words but AWS's for values.
//
// A text may hold ${ID}, ${ID.Attribute} or ${Fn::Name}: what is known only after a
// deployment at AWS. Each such text is in Lost as well, unless it names a resource
// where one is asked for (an event's source, an alarm, a hook): then the field has
// the resource's logical ID alone.
type Project struct {
	File        string
	Description string
	SAM         bool // the template asks for the SAM transform
	Parameters  []Parameter
	Functions   []Function
	APIs        []API
	Queues      []Queue
	Topics      []Topic
	Layers      []Layer
	Alarms      []Alarm // those that a Deployment names
	Lost        []Lost  // by line
}

// Lost is a part of the template that is not in the Project, with all beneath it.
type Lost struct {
	File    string
	Line    int
	Key     string // as Resources.Fn.Properties.VpcConfig, items as [0]
	Why     string
	Instead string // what to do about it, may be empty
}

// At is a place in a template.
type At struct {
	File string
	Line int
}

// Parameter is a value that is given at deployment.
type Parameter struct {
	At
	Name, Type, Default, Description string
	Value                            string // given by the caller, or the Default
	Known                            bool   // there is a Value
	Secret                           bool   // NoEcho
	Allowed                          []string
}

// Function is an AWS::Serverless::Function or AWS::Lambda::Function, with Globals.
type Function struct {
	At
	ID                   string // its logical ID
	Condition            string // the condition it was made under, when there is one
	Name, Description    string
	Handler, Runtime     string
	CodeURI              string // a folder, a file, or s3://BUCKET/KEY
	InlineCode, ImageURI string
	PackageType          string // Zip or Image
	Memory, Timeout      int    // MB and seconds; 0 when not said
	EphemeralStorage     int    // MB; 0 when not said
	Architectures        []string
	Environment          []Variable
	Layers               []string // logical IDs or ARNs
	Events               []Event
	AutoPublishAlias     string
	Deployment           *Deployment
	Reserved             *int // reserved concurrent executions
	Provisioned          *int // provisioned concurrent executions
	DeadLetter           *DeadLetter
}

// Variable is one of the environment.
type Variable struct {
	At
	Name, Value string
	Known       bool // false when Value holds what only AWS knows
}

// EventKind is what calls a function.
type EventKind string

// The kinds of events that are carried; all others are listed as lost.
const (
	HTTPAPI     EventKind = "http-api"
	RESTAPI     EventKind = "rest-api"
	FunctionURL EventKind = "function-url"
	Schedule    EventKind = "schedule"
	SQS         EventKind = "sqs"
	SNS         EventKind = "sns"
)

// Event is one source of a function's calls.
type Event struct {
	At
	Name, Description string
	Kind              EventKind
	API               string // logical ID; empty for the implicit one
	Method, Path      string // empty or ANY for every one
	Payload           string // 1.0 or 2.0; empty when not said
	Auth              string // AuthType of a function URL
	Authorizer        *Authorizer
	Expression        string // cron(…), rate(…), at(…)
	TimeZone, Input   string
	Source            string // logical ID or ARN of the queue or topic
	BatchSize         int    // 0 when not said
	BatchWindow       int    // seconds
	MaxConcurrency    int
	PartialBatch      bool // ReportBatchItemFailures
	Disabled          bool
}

// Deployment is a DeploymentPreference, or the CodeDeploy group of an alias.
type Deployment struct {
	At
	Type                  string // such as Canary10Percent5Minutes, AllAtOnce
	Enabled               bool   // true unless said otherwise
	Alarms                []string
	PreTraffic            string // logical ID or ARN of a hook function
	PostTraffic           string
	Role                  string
	Triggers              []Trigger
	PassthroughCondition  bool
	ApplicationName, Name string // of CodeDeploy, in packaged templates
}

// Trigger tells a topic of what happens to a deployment.
type Trigger struct {
	At
	Name, Target string
	Events       []string
}

// DeadLetter is where events go that the function keeps failing.
type DeadLetter struct {
	At
	Type, Target string // SQS or SNS; Type is empty in packaged templates
}

// Alarm is an AWS::CloudWatch::Alarm over one metric.
type Alarm struct {
	At
	ID, Name, Description         string
	Namespace, Metric             string
	Statistic, ExtendedStatistic  string // Sum, Maximum …; or p99
	Comparison, Missing, Unit     string // ComparisonOperator, TreatMissingData
	Threshold                     *float64
	Period, Periods, DatapointsOf int        // seconds, EvaluationPeriods, DatapointsToAlarm
	Dimensions                    []Variable // a value that names a resource is its logical ID
}

// API is an AWS::Serverless::Api (REST) or ::HttpApi.
type API struct {
	At
	ID, Name, Description, Stage string
	REST                         bool
}

// Queue is an AWS::SQS::Queue.
type Queue struct {
	At
	ID, Name           string
	Visibility         int // seconds; 0 when not said
	Retention, Delay   int // seconds
	FIFO               bool
	DeadLetter         string // logical ID or ARN
	MaximumReceive     int
	DeduplicateContent bool
}

// Topic is an AWS::SNS::Topic.
type Topic struct {
	At
	ID, Name, DisplayName string
}

// Layer is an AWS::Serverless::LayerVersion or AWS::Lambda::LayerVersion.
type Layer struct {
	At
	ID, Name, Description, ContentURI string
	Runtimes                          []string
}
