package rollout

import "time"

// Function is how a version of a function is run: what its process is given.
type Function struct {
	// Runtime as the manifest has it: "nodejs22", "python3.12", "provided"; empty: as
	// the artifact was found to be.
	Runtime string        `json:"runtime,omitempty"`
	Handler string        `json:"handler,omitempty"` // as its runtime names it; empty: as the artifact was found to be
	Timeout time.Duration `json:"timeout"`           // of one invocation
	Probe   []byte        `json:"probe,omitempty"`   // the event that it must answer at 0 %; empty: to start is enough (R11)
}

// Scale is how many instances of each version of a function there may be.
type Scale struct {
	Min int `json:"min,omitempty"` // kept while idle
	Max int `json:"max"`           // at work at a time; what exceeds it is throttled
}

// Triggers is what calls a function. They are the workload's, not a version's: which
// version is called is drawn by weight for each event.
type Triggers struct {
	Routes    []string          `json:"routes,omitempty"`  // "GET /pickups/{id}", "ANY /{proxy+}", "$default"
	Payload   string            `json:"payload,omitempty"` // of requests: "2.0", or "1.0"
	CORS      *CORS             `json:"cors,omitempty"`
	JWT       *JWT              `json:"jwt,omitempty"`
	Schedules []ScheduleTrigger `json:"schedules,omitempty"`
	Queues    []QueueTrigger    `json:"queues,omitempty"`
	Topics    []string          `json:"topics,omitempty"`
}

// CORS is what browsers of other origins may do, as HTTP APIs have it.
type CORS struct {
	Origins     []string      `json:"origins,omitempty"`
	Methods     []string      `json:"methods,omitempty"`
	Headers     []string      `json:"headers,omitempty"`
	Expose      []string      `json:"expose,omitempty"`
	MaxAge      time.Duration `json:"max_age,omitempty"`
	Credentials bool          `json:"credentials,omitempty"`
}

// JWT is whose tokens open the routes of a function.
type JWT struct {
	Issuer    string   `json:"issuer"` // an OIDC issuer's URL
	Audiences []string `json:"audiences"`
	Scopes    []string `json:"scopes,omitempty"` // one of them; empty: none is asked for
}

// ScheduleTrigger calls a function by the clock.
type ScheduleTrigger struct {
	Expression string `json:"expression"`      // of [titrate/internal/schedule]: "cron(0 2 * * ? *)", "rate(5 minutes)", "0 2 * * *"
	Zone       string `json:"zone,omitempty"`  // of the IANA database; empty: UTC
	Input      []byte `json:"input,omitempty"` // JSON: the event; empty: that of EventBridge
}

// QueueTrigger calls a function with the messages of a queue.
type QueueTrigger struct {
	Queue  Queue         `json:"queue"`
	Batch  int           `json:"batch"`             // messages of a call at the most
	Window time.Duration `json:"window,omitempty"`  // how long a batch is collected
	Whole  bool          `json:"whole,omitempty"`   // a failed call fails all of its messages: the answer's batchItemFailures is not read
	Most   int           `json:"at_most,omitempty"` // calls at a time; 0: as many as the function may have
}

// Queue is a queue of an app's environment.
type Queue struct {
	Name       string        `json:"name"`
	Visibility time.Duration `json:"visibility"` // how long a message that was received is hidden
	Retention  time.Duration `json:"retention"`
	Delay      time.Duration `json:"delay,omitempty"`
	MaxReceive int           `json:"max_receive,omitempty"` // after which a message is given up; 0: never
	DeadLetter string        `json:"dead_letter,omitempty"` // the queue for what was given up
}
