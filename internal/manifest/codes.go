package manifest

// The codes of a manifest's problems. Each has a page in internal/explain; once
// given, a code keeps its meaning.
const (
	codeSyntax       = "T0300" // not YAML
	codeSize         = "T0301" // too large, too deep, or a line too long
	codeEncoding     = "T0302" // not UTF-8
	codeDocuments    = "T0303" // more than one document
	codeAnchor       = "T0304" // anchors, aliases, merge keys and tags
	codeDuplicate    = "T0305" // a key twice
	codeEmpty        = "T0306" // nothing in the file
	codeMany         = "T0307" // more problems than are worth telling
	codeTab          = "T0308" // a tab where YAML wants spaces
	codeControl      = "T0309" // a character that no editor shows
	codeFormat       = "T0310" // `titrate:` is missing or unknown
	codeMissing      = "T0311" // a key that must be there
	codeUnknownKey   = "T0312"
	codeMisplaced    = "T0313" // a known key in the wrong place
	codeLaterKey     = "T0314" // a known key that is not available yet
	codeLaterValue   = "T0315" // a known value that is not available yet
	codeType         = "T0320" // a list where a number should be
	codeName         = "T0321" // of an app, service or environment
	codeDuration     = "T0322"
	codeRange        = "T0323" // a number, length or count outside its limits
	codePath         = "T0324" // of a folder, health check or route
	codeHost         = "T0325"
	codeVariable     = "T0326" // name of an environment variable or secret
	codeChoice       = "T0327" // not one of the words
	codeStrategy     = "T0330"
	codeDamage       = "T0590" // a damage budget cannot be read
	codeStep         = "T0331" // one step cannot be read
	codeSteps        = "T0332" // the steps do not lead to 100 %
	codeAlarm        = "T0340"
	codeTogether     = "T0350" // the groups name something wrong
	codeTogetherPlan = "T0351" // members of a group with different strategies (R23)
	codeRouteTaken   = "T0352" // two services on one host and route
	codeRouteHost    = "T0353" // a route without a host, where there are several
	codeEnvAndSecret = "T0354"
	codeWorker       = "T0355" // a worker with something that is for requests
	codeNoService    = "T0356" // environments.E.services names a service that is not there
	codeBuild        = "T0357"
	codeAddress      = "T0358" // a variable with the address of a service that cannot be
	codeImage        = "T0360" // a reference to an image, or an image beside a build
	codeDocker       = "T0363" // what is for a Dockerfile beside another way to build
	codeLimit        = "T0365" // of what an instance may use
	codeAccessory    = "T0370" // an accessory that does not fit together
	codeVolume       = "T0375" // its name or path
	codeExclusive    = "T0376" // what cannot be with a volume that is not shared (R31)

	codeFunctionKey  = "T0371" // no folder, pattern or name
	codeNoFolder     = "T0372" // a pattern or folder without code
	codeFunctionName = "T0373" // two workloads of one name, or one that is too long
	codeHTTP         = "T0374" // a route, CORS or JWT of a function
	codeSchedule     = "T0378"
	codeQueue        = "T0379" // of a queue or topic
	codeRuntime      = "T0385" // runtime or handler
	codeNotFunction  = "T0387" // a key of services on a function
	codeEvent        = "T0388" // an event that is not JSON
	codeForFunctions = "T0389" // what only functions have, where there is none

	codeRoute = "T0595" // of a service's routes
	codeMatch = "T0596" // of what is sent to a candidate

	warnNoDataPass = "T0380"
	warnNoAlarms   = "T0381"
	warnUnreached  = "T0382"
	warnFixedPort  = "T0383"
	warnReadOnly   = "T0384"
	warnUnused     = "T0386" // no service is given an accessory's connection string
	warnDowntime   = "T0377"
)
