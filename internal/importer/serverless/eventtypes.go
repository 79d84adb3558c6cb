package serverless

// Kinds of events that are carried; every other kind is in Project.Lost.
const (
	KindHTTP     = "http"     // API Gateway, payload 1.0
	KindHTTPAPI  = "httpApi"  // HTTP API
	KindSchedule = "schedule" // also eventBridge with a schedule
	KindSQS      = "sqs"
	KindSNS      = "sns"
	KindStream   = "stream"
	KindS3       = "s3"
)

// Event is what calls a function: Kind tells which of the pointers is set.
type Event struct {
	At
	Kind     string    `json:"kind"`
	HTTP     *HTTP     `json:"http,omitempty"` // of http and httpApi
	Schedule *Schedule `json:"schedule,omitempty"`
	Source   *Source   `json:"source,omitempty"` // of sqs and stream
	Topic    *TopicSub `json:"topic,omitempty"`
	Bucket   *Bucket   `json:"bucket,omitempty"`
}

// HTTP is a route.
type HTTP struct {
	Method     string      `json:"method"` // upper case; * is any
	Path       string      `json:"path"`   // with a slash first; * is any
	Payload    string      `json:"payload"`
	Private    bool        `json:"private,omitempty"` // asks for an API key
	CORS       *CORS       `json:"cors,omitempty"`
	Authorizer *Authorizer `json:"authorizer,omitempty"`
}

// CORS is who may call from a browser. Default: the framework's own settings.
type CORS struct {
	Default     bool     `json:"default,omitempty"`
	Origins     []string `json:"origins,omitempty"`
	Headers     []string `json:"headers,omitempty"`
	Methods     []string `json:"methods,omitempty"`
	Expose      []string `json:"expose,omitempty"`
	Credentials *bool    `json:"credentials,omitempty"`
	MaxAge      *int     `json:"maxAge,omitempty"` // seconds
}

// Authorizer is what decides about a caller.
type Authorizer struct {
	At
	Name           string   `json:"name,omitempty"`
	Type           string   `json:"type,omitempty"`
	ARN            *Target  `json:"arn,omitempty"`
	Issuer         string   `json:"issuer,omitempty"`
	Audience       []string `json:"audience,omitempty"`
	IdentitySource []string `json:"identitySource,omitempty"`
	Scopes         []string `json:"scopes,omitempty"`
	Function       string   `json:"function,omitempty"`
	ResultTTL      *int     `json:"resultTtl,omitempty"` // seconds
}

// URL is a function's own address.
type URL struct {
	At
	Authorizer string `json:"authorizer,omitempty"`
	InvokeMode string `json:"invokeMode,omitempty"`
	CORS       *CORS  `json:"cors,omitempty"`
}

// Schedule is a timer; several rates are several timers with one input.
type Schedule struct {
	Rates       []string `json:"rates"` // rate(…), cron(…), at(…)
	Enabled     *bool    `json:"enabled,omitempty"`
	Name        string   `json:"name,omitempty"`
	Description string   `json:"description,omitempty"`
	Timezone    string   `json:"timezone,omitempty"`
	Input       string   `json:"input,omitempty"` // JSON
}

// Source is a queue or a stream that is read in batches.
type Source struct {
	From            Target `json:"from"`
	Type            string `json:"type,omitempty"` // of streams: dynamodb or kinesis
	Enabled         *bool  `json:"enabled,omitempty"`
	BatchSize       *int   `json:"batchSize,omitempty"`
	Window          *int   `json:"window,omitempty"` // seconds
	MaxConcurrency  *int   `json:"maxConcurrency,omitempty"`
	PartialResponse bool   `json:"partialResponse,omitempty"` // ReportBatchItemFailures
	Filters         string `json:"filters,omitempty"`         // JSON
	Start           string `json:"start,omitempty"`           // LATEST, TRIM_HORIZON
	Retries         *int   `json:"retries,omitempty"`
	MaxAge          *int   `json:"maxAge,omitempty"` // seconds
	Bisect          *bool  `json:"bisect,omitempty"`
	Parallel        *int   `json:"parallel,omitempty"`
}

// TopicSub is a subscription to a topic.
type TopicSub struct {
	Topic       Target `json:"topic"`
	DisplayName string `json:"displayName,omitempty"`
	Filter      string `json:"filter,omitempty"` // JSON
	FilterScope string `json:"filterScope,omitempty"`
}

// Bucket is what happens in a bucket.
type Bucket struct {
	Bucket   Target   `json:"bucket"`
	Event    string   `json:"event,omitempty"`
	Prefix   []string `json:"prefix,omitempty"`
	Suffix   []string `json:"suffix,omitempty"`
	Existing *bool    `json:"existing,omitempty"`
}
