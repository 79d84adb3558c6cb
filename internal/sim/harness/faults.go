package harness

// Fault is one kind of thing that happens to a history: a crash, a loss, a push
// at a bad moment, a bad version, a person.
type Fault int

// The faults.
const (
	CrashIdle Fault = iota
	CrashBeforeStore
	CrashAfterRelease
	CrashAfterCommand
	CrashAfterDecision
	CrashAfterOutcome
	CrashBeforeTarget
	CrashAfterTarget
	CrashBeforeRouter
	CrashAfterRouter
	StoreRefuses
	StoreUnanswered
	TargetRefuses
	RouterLoses
	RouterUnanswered
	RouterSilent
	ObservationLost
	ObservationLate
	ObservationDoubled
	WindowsLost
	WindowsLate
	WindowsDoubled
	MeterBlind
	NodeRestart
	NodeWiped
	InstanceDies
	LeaseExpires
	OldLeaderActs
	OldLeaderAsked
	OldWorldComesLate
	PushNew
	PushRevert
	PushConfig
	PushPlan
	PushUrgent
	PushMidRollout
	OverlapNext
	OverlapSupersede
	OverlapQueue
	OverlapReject
	BadErrors
	BadLatency
	NeverReady
	ExitsAtStart
	SlowStart
	KeepsCrashing
	HookFailed
	HookTimedOut
	HookLost
	Idle
	Scarce
	Worker
	Together
	Volume
	Functions
	ManyFunctions
	RareFunction
	Waves
	BadTimeouts
	Throttled
	PersonPauses
	PersonResumes
	PersonPromotes
	PersonPromotesFull
	PersonAborts
	PersonRetries
	PersonSetsWeight
	PersonRollsBack
	faults
)

var faultNames = [faults]string{
	CrashIdle:          "crash while nothing is written",
	CrashBeforeStore:   "crash before a write to the store",
	CrashAfterRelease:  "crash after a release was stored",
	CrashAfterCommand:  "crash after a command was stored",
	CrashAfterDecision: "crash after a decision was stored",
	CrashAfterOutcome:  "crash after an outcome was stored",
	CrashBeforeTarget:  "crash before the target took a world",
	CrashAfterTarget:   "crash after the target took a world",
	CrashBeforeRouter:  "crash before the router took a world",
	CrashAfterRouter:   "crash after the router took a world",
	StoreRefuses:       "a write to the store fails",
	StoreUnanswered:    "a decision is stored, but the answer is lost",
	TargetRefuses:      "the target cannot be asked",
	RouterLoses:        "the router loses a world",
	RouterUnanswered:   "the router takes a world, but the answer is lost",
	RouterSilent:       "the router acknowledges late",
	ObservationLost:    "an observation is lost",
	ObservationLate:    "an observation comes late",
	ObservationDoubled: "an observation comes twice",
	WindowsLost:        "windows are lost",
	WindowsLate:        "windows come late",
	WindowsDoubled:     "windows come twice",
	MeterBlind:         "the metric source goes blind",
	NodeRestart:        "the node restarts",
	NodeWiped:          "the node loses its disk",
	InstanceDies:       "an instance dies",
	LeaseExpires:       "another controller takes the lease",
	OldLeaderActs:      "the old controller goes on",
	OldLeaderAsked:     "the old controller is asked for something",
	OldWorldComesLate:  "a world of the old controller comes late",
	PushNew:            "push of a new version",
	PushRevert:         "push of an earlier version",
	PushConfig:         "push of a configuration only",
	PushPlan:           "push of another plan",
	PushUrgent:         "urgent push",
	PushMidRollout:     "push in mid-rollout",
	OverlapNext:        "overlap next",
	OverlapSupersede:   "overlap supersede",
	OverlapQueue:       "overlap queue",
	OverlapReject:      "overlap reject",
	BadErrors:          "version that fails requests",
	BadLatency:         "version that is slow",
	NeverReady:         "version that never gets ready",
	ExitsAtStart:       "version that exits at its start",
	SlowStart:          "version that starts slowly",
	KeepsCrashing:      "version that keeps crashing",
	HookFailed:         "hook that fails",
	HookTimedOut:       "hook that times out",
	HookLost:           "hook that is lost",
	Idle:               "idle service",
	Scarce:             "service with few requests",
	Worker:             "worker",
	Together:           "services that move together",
	Volume:             "service with volumes",
	Functions:          "functions that move together",
	ManyFunctions:      "sixty functions",
	RareFunction:       "function that is seldom called",
	Waves:              "weights that are written in waves",
	BadTimeouts:        "function that is not done in time",
	Throttled:          "function that is throttled",
	PersonPauses:       "a person pauses",
	PersonResumes:      "a person resumes",
	PersonPromotes:     "a person promotes",
	PersonPromotesFull: "a person promotes to 100 %",
	PersonAborts:       "a person aborts",
	PersonRetries:      "a person retries",
	PersonSetsWeight:   "a person sets a weight",
	PersonRollsBack:    "a person rolls back",
}

// String names the fault for people.
func (f Fault) String() string { return faultNames[f] }

// Faults returns all kinds of faults.
func Faults() []Fault {
	all := make([]Fault, faults)
	for i := range all {
		all[i] = Fault(i)
	}
	return all
}
