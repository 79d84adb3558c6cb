// Package serverless reads a Serverless Framework project into a plain value, and
// lists every key of it that the value does not carry.
package serverless

// At is where something was written.
type At struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// Options are what the person who imports says beside the files.
type Options struct {
	File    string            // the configuration; empty: serverless.yml, .yaml or .json of the root
	Options map[string]string // stage, region and other options of the command line
	Env     map[string]string // the environment variables that may be used
	Params  map[string]string // --param
	State   []byte            // serverless-state.json of the framework, for a configuration that is a program
}

// Project is what a service's files say, with variables resolved. Values that only a
// running account knows keep their ${…} and are in Lost.
type Project struct {
	At
	Service          string     `json:"service"`
	FrameworkVersion string     `json:"frameworkVersion,omitempty"`
	Plugins          []string   `json:"plugins,omitempty"`
	Provider         Provider   `json:"provider"`
	Package          *Package   `json:"package,omitempty"`
	Functions        []Function `json:"functions,omitempty"`
	Layers           []Layer    `json:"layers,omitempty"`
	Queues           []Queue    `json:"queues,omitempty"` // of resources
	Topics           []Topic    `json:"topics,omitempty"` // of resources
	Lost             []Lost     `json:"lost,omitempty"`
}

// Lost is a key, with all under it, that the project's value does not carry.
type Lost struct {
	At
	Key     string `json:"key"` // functions.hello.vpc
	Why     string `json:"why"`
	Instead string `json:"instead,omitempty"`
}

// Provider is what holds for all functions. Functions already carry its defaults.
type Provider struct {
	At
	Name    string   `json:"name,omitempty"`
	Stage   string   `json:"stage"`
	Region  string   `json:"region"`
	HTTPAPI *HTTPAPI `json:"httpApi,omitempty"`
}

// HTTPAPI is what provider.httpApi says.
type HTTPAPI struct {
	At
	Payload     string       `json:"payload,omitempty"` // 1.0 or 2.0
	CORS        *CORS        `json:"cors,omitempty"`
	Authorizers []Authorizer `json:"authorizers,omitempty"`
}

// Package is how code is put into archives.
type Package struct {
	At
	Individually bool     `json:"individually,omitempty"`
	Artifact     string   `json:"artifact,omitempty"`
	Patterns     []string `json:"patterns,omitempty"` // with ! first: left out
}

// Layer is one that the service itself makes.
type Layer struct {
	At
	Key      string   `json:"key"`
	Name     string   `json:"name,omitempty"`
	Path     string   `json:"path,omitempty"`
	Artifact string   `json:"artifact,omitempty"`
	Runtimes []string `json:"runtimes,omitempty"`
}

// Function is one function with the provider's defaults and the framework's
// (memory 1024 MB, timeout 6 s) filled in.
type Function struct {
	At
	Key                    string      `json:"key"`  // in the file
	Name                   string      `json:"name"` // service-stage-key if not said
	Description            string      `json:"description,omitempty"`
	Handler                string      `json:"handler,omitempty"`
	Image                  string      `json:"image,omitempty"`
	Runtime                string      `json:"runtime,omitempty"`
	Architecture           string      `json:"architecture,omitempty"`
	Memory                 int         `json:"memory"`  // MB
	Timeout                int         `json:"timeout"` // seconds
	EphemeralStorage       *int        `json:"ephemeralStorage,omitempty"`
	Env                    []Variable  `json:"env,omitempty"`
	Layers                 []Target    `json:"layers,omitempty"`
	Package                *Package    `json:"package,omitempty"`
	ReservedConcurrency    *int        `json:"reservedConcurrency,omitempty"`
	ProvisionedConcurrency *int        `json:"provisionedConcurrency,omitempty"`
	MaxRetries             *int        `json:"maxRetries,omitempty"`  // of asynchronous calls
	MaxEventAge            *int        `json:"maxEventAge,omitempty"` // seconds
	OnError                *Target     `json:"onError,omitempty"`     // dead letters
	OnFailure              *Target     `json:"onFailure,omitempty"`
	OnSuccess              *Target     `json:"onSuccess,omitempty"`
	URL                    *URL        `json:"url,omitempty"`
	Events                 []Event     `json:"events,omitempty"`
	Deployment             *Deployment `json:"deployment,omitempty"`
	Alarms                 []Alarm     `json:"alarms,omitempty"`
}

// Variable is an environment variable of a function: a text, or a resource.
type Variable struct {
	At
	Name  string  `json:"name"`
	Value string  `json:"value"`
	Of    *Target `json:"of,omitempty"` // whose name or address is the value
}

// Target is a queue, topic, stream, layer or function that something names.
type Target struct {
	Name     string `json:"name,omitempty"`     // as the cloud knows it, when a file says so
	ARN      string `json:"arn,omitempty"`      // as written
	Resource string `json:"resource,omitempty"` // its logical ID in resources
	Type     string `json:"type,omitempty"`     // of the resource
}

// Queue is an AWS::SQS::Queue of resources.
type Queue struct {
	At
	ID         string  `json:"id"`
	Name       string  `json:"name,omitempty"`
	FIFO       bool    `json:"fifo,omitempty"`
	Visibility *int    `json:"visibility,omitempty"` // seconds
	Delay      *int    `json:"delay,omitempty"`      // seconds
	Retention  *int    `json:"retention,omitempty"`  // seconds
	MaxReceive *int    `json:"maxReceive,omitempty"`
	DeadLetter *Target `json:"deadLetter,omitempty"`
}

// Topic is an AWS::SNS::Topic of resources.
type Topic struct {
	At
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}
