// Package client holds what Titrate's HTTP API says, as Go types, and a client of
// it. The command line, the demo and other programs use nothing else.
package client

import "time"

// App is one application as it stands.
type App struct {
	Name         string        `json:"name"`
	Remote       string        `json:"remote" doc:"URL of its git remote on this server"`
	Release      int           `json:"release" doc:"number of the newest release; 0: none yet"`
	Commit       string        `json:"commit,omitempty"`
	Pushes       []Push        `json:"pushes,omitempty" doc:"pushes on their way, and the last that failed"`
	Environments []Environment `json:"environments"`
}

// Accessory is a database or cache of an environment.
type Accessory struct {
	Name     string    `json:"name"`
	Use      string    `json:"use" doc:"postgres, redis, image or run"`
	State    string    `json:"state" enum:"starting,ready,unready,backoff,stopping,unknown"`
	Why      string    `json:"why,omitempty"`
	Secret   string    `json:"secret" doc:"the variable that its connection string is given in"`
	Unused   bool      `json:"unused,omitempty" doc:"its secret is set by hand, which wins"`
	Addr     string    `json:"addr,omitempty"`
	Since    time.Time `json:"since,omitzero" doc:"when the state began"`
	Restarts int       `json:"restarts,omitempty"`
	Folder   string    `json:"folder,omitempty" doc:"with its data, on the server's machine"`
	Orphaned int       `json:"orphaned,omitempty" doc:"the release whose manifest names it no more"`
	Image    string    `json:"image,omitempty" doc:"that it is, with the digest"`
	Waiting  string    `json:"waiting,omitempty" doc:"what was pushed and is taken at a restart"`
	Every    string    `json:"every,omitempty" doc:"time between two backups"`
	At       string    `json:"at,omitempty" doc:"when one is made each day; without every and at none is made by itself"`
	Backups  []Backup  `json:"backups,omitempty" doc:"oldest first"`
	Unkept   string    `json:"unkept,omitempty" doc:"why the last backup or rehearsal that was due could not be made"`
	Task     *Task     `json:"task,omitempty" doc:"the last one that was asked for"`
}

// Backup is a copy of an accessory's data.
type Backup struct {
	Name      string    `json:"name"`
	At        time.Time `json:"at"`
	Seconds   float64   `json:"seconds" doc:"how long it took"`
	Size      int64     `json:"size" doc:"bytes"`
	SHA256    string    `json:"sha256"`
	Tables    int       `json:"tables"`
	Rows      int64     `json:"rows" doc:"of all tables, when it was made; of Redis its keys, and tables are databases"`
	Holds     string    `json:"holds" doc:"the same for people"`
	Rehearsed time.Time `json:"rehearsed,omitzero" doc:"when it was last restored beside the data and compared"`
	Problem   string    `json:"problem,omitempty" doc:"what was wrong with it then"`
}

// Task is something that a person asked to be done once with an accessory's data.
type Task struct {
	ID     int64     `json:"id"`
	Kind   string    `json:"kind" enum:"backup,rehearse,restore,restart"`
	Backup string    `json:"backup,omitempty" doc:"of rehearse and restore; empty: the newest"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at,omitzero"`
	State  string    `json:"state,omitempty" enum:"asked,running,done,failed"`
	Why    string    `json:"why,omitempty" doc:"what came of it, or went wrong"`
}

// TaskRequest asks for a task.
type TaskRequest struct {
	Kind   string `json:"kind" enum:"backup,rehearse,restore,restart"`
	Backup string `json:"backup,omitempty" maxLength:"64" doc:"of rehearse and restore; empty: the newest"`
}

// Push is one push on its way to a release.
type Push struct {
	ID      int64     `json:"id"`
	App     string    `json:"app"`
	Repo    string    `json:"repo,omitempty" doc:"the further repository that was pushed to, APP/NAME; empty: the app's own"`
	Commit  string    `json:"commit"`
	Branch  string    `json:"branch"`
	Message string    `json:"message"`
	Stage   string    `json:"stage" enum:"accepted,building,delivered,failed"`
	Problem string    `json:"problem,omitempty" doc:"why it failed"`
	Release int       `json:"release,omitempty"`
	At      time.Time `json:"at"`
}

// Environment is one environment of an app as it stands.
type Environment struct {
	Name        string      `json:"name"`
	Workloads   []Workload  `json:"workloads"`
	Accessories []Accessory `json:"accessories,omitempty"`
}

// Workload is one workload as it stands. Health, outcome and sync are three
// facts, never one status.
type Workload struct {
	Name      string     `json:"name"`
	Health    string     `json:"health" enum:"healthy,degraded,down,starting,unknown" doc:"is it serving well"`
	Why       string     `json:"why,omitempty" doc:"why it is degraded or down"`
	Outcome   string     `json:"outcome,omitempty" doc:"how its last rollout ended"`
	Sync      string     `json:"sync" doc:"whether what runs is what was asked, in words"`
	Synced    bool       `json:"synced"`
	Worker    bool       `json:"worker,omitempty"`
	URLs      []string   `json:"urls,omitempty" doc:"where it answers from outside"`
	Stable    int        `json:"stable" doc:"version that was promoted last; 0: none"`
	Versions  []Version  `json:"versions" doc:"what runs, stable first"`
	Instances []Instance `json:"instances"`
	Rollout   *Rollout   `json:"rollout,omitempty" doc:"in progress, or the last one"`
	Refused   int        `json:"refused,omitempty" doc:"version that is not tried again by itself"`
	Orphaned  int        `json:"orphaned,omitempty" doc:"release whose manifest names it no more"`
}

// Version is one version of a workload in an environment.
type Version struct {
	Version  int     `json:"version"`
	Release  int     `json:"release"`
	Commit   string  `json:"commit,omitempty"`
	Role     string  `json:"role" enum:"stable,candidate,old"`
	Asked    float64 `json:"asked" doc:"share of traffic asked for, percent"`
	Served   float64 `json:"served" doc:"share in the table that the gateway serves from, percent"`
	Observed float64 `json:"observed" doc:"share of the requests drawn since the weight changed, percent; -1: none were"`
	Requests uint64  `json:"requests" doc:"drawn since the weight changed"`
	Ready    int     `json:"ready"`
	Wanted   int     `json:"wanted"`
	Restarts int     `json:"restarts"`
	RPS      float64 `json:"rps" doc:"over the last ten seconds"`
	Errors   float64 `json:"errors" doc:"share of requests that failed over the last ten seconds, percent"`
	P50      float64 `json:"p50" doc:"milliseconds, over the last ten seconds"`
	P99      float64 `json:"p99" doc:"milliseconds, over the last ten seconds"`
	Refused  string  `json:"refused,omitempty" doc:"why it is not tried again"`

	Shielded   uint64     `json:"shielded,omitempty" doc:"failures of the candidate that stable answered in its place, since the gateway began"`
	Failures   uint64     `json:"served_failures,omitempty" doc:"failures of the candidate that clients saw, since the gateway began"`
	Unshielded Unshielded `json:"unshielded,omitzero" doc:"these failures, by why stable did not answer instead"`
}

// Unshielded counts failures of a candidate that clients saw, by why they did.
type Unshielded struct {
	Method uint64 `json:"method,omitempty" doc:"the request may not be sent twice"`
	Body   uint64 `json:"body,omitempty" doc:"the request's body was too large to keep"`
	Budget uint64 `json:"budget,omitempty" doc:"too many were shielded in ten seconds"`
	Sent   uint64 `json:"sent,omitempty" doc:"the client had the head of the answer"`
	Status uint64 `json:"status,omitempty" doc:"the answer's status is none that is shielded, such as 500"`
	Stable uint64 `json:"stable,omitempty" doc:"nothing of stable was ready"`
}

// Instance is one process of a version.
type Instance struct {
	ID       string    `json:"id"`
	Version  int       `json:"version"`
	State    string    `json:"state"`
	PID      int       `json:"pid,omitempty"`
	Addr     string    `json:"addr,omitempty"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	Last     string    `json:"last,omitempty" doc:"how the process before this one ended by itself"`
	Why      string    `json:"why,omitempty"`
}

// Rollout is the move of one or more workloads to candidates.
type Rollout struct {
	ID       int64     `json:"id"`
	App      string    `json:"app"`
	Env      string    `json:"env"`
	Release  int       `json:"release"`
	Kind     string    `json:"kind" enum:"forward,rollback"`
	Strategy string    `json:"strategy"`
	Members  []Member  `json:"members"`
	Steps    []Step    `json:"steps"`
	Phase    string    `json:"phase" enum:"queued,starting,shifting,baking,returning,retiring,ended"`
	Outcome  string    `json:"outcome,omitempty" enum:"promoted,rolled-back,aborted,superseded,failed"`
	Why      string    `json:"why"`
	Label    string    `json:"label,omitempty" doc:"no baseline, or unmeasured"`
	Step     int       `json:"step" doc:"from 1"`
	Weight   float64   `json:"weight" doc:"the candidates' share asked for, percent"`
	Attempt  int       `json:"attempt"`
	Damage   string    `json:"damage,omitempty" doc:"failures that an attempt may serve before the gateway takes the traffic back: 50 requests"`
	Arrived  time.Time `json:"arrived,omitzero" doc:"when the weight had arrived at every member"`
	Wait     Wait      `json:"wait" doc:"what it waits for"`
	Pause    *Pause    `json:"pause,omitempty"`
	Evidence *Alarm    `json:"evidence,omitempty" doc:"the alarm that took it back"`
	Refused  string    `json:"refused,omitempty" doc:"why the last command was refused"`
	Notices  []string  `json:"notices,omitempty"`
	Opened   time.Time `json:"opened"`
	Since    time.Time `json:"since" doc:"when this phase or step began"`
	By       string    `json:"by,omitempty"`
	Revision int64     `json:"revision"`
}

// Over reports whether the rollout's outcome is known.
func (r Rollout) Over() bool { return r.Outcome != "" }

// Member is one workload of a rollout.
type Member struct {
	Workload  string  `json:"workload"`
	Stable    int     `json:"stable" doc:"0: none, a first release"`
	Candidate int     `json:"candidate"`
	Instances int     `json:"instances"`
	Ready     int     `json:"ready" doc:"ready instances of the candidate, now"`
	Failure   string  `json:"failure,omitempty" doc:"why an instance of the candidate did not become ready"`
	Preview   string  `json:"preview,omitempty" doc:"address at which the candidate is reached past the split, for an hour; it holds a token"`
	Alarms    []Alarm `json:"alarms,omitempty"`
}

// Step is one stop of a strategy.
type Step struct {
	Weight  float64 `json:"weight" doc:"percent"`
	Hold    float64 `json:"hold" doc:"seconds"`
	Approve bool    `json:"approve,omitempty"`
	Hook    string  `json:"hook,omitempty"`
}

// Wait says what a rollout waits for, until when, and what happens then.
type Wait struct {
	For    string    `json:"for,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	Then   string    `json:"then,omitempty"`
	Person bool      `json:"person,omitempty" doc:"it is a person who must act"`
}

// Pause is a stop with an owner, a reason and an end.
type Pause struct {
	Owner  string    `json:"owner"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"`
}

// Alarm is an alarm's last reading.
type Alarm struct {
	Name      string    `json:"name"`
	Workload  string    `json:"workload,omitempty"`
	Rule      string    `json:"rule,omitempty" doc:"as in the manifest"`
	Verdict   string    `json:"verdict,omitempty" enum:"pass,fail,inconclusive,no-data"`
	Abstains  bool      `json:"abstains,omitempty"`
	Error     string    `json:"error,omitempty"`
	Value     float64   `json:"value"`
	Limit     float64   `json:"limit"`
	Stable    *float64  `json:"stable,omitempty"`
	Requests  uint64    `json:"requests"`
	Bad       uint64    `json:"bad"`
	Min       int       `json:"min"`
	Breaching string    `json:"breaching" doc:"data points of the last N that breach, and how many must: 2 of 6 (6)"`
	Since     time.Time `json:"since,omitzero"`
	Closed    time.Time `json:"closed,omitzero"`
	Text      string    `json:"text"`
}

// Release is one release of an app with what came of it.
type Release struct {
	Number   int               `json:"number"`
	Repo     string            `json:"repo,omitempty" doc:"the further repository that was pushed to, APP/NAME; empty: the app's own"`
	Commit   string            `json:"commit"`
	Sources  map[string]string `json:"sources,omitempty" doc:"the commit of each repository, when the app has further ones"`
	Message  string            `json:"message"`
	Author   string            `json:"author"`
	Branch   string            `json:"branch"`
	At       time.Time         `json:"at"`
	Rollouts []Rollout         `json:"rollouts"`
}

// Look is one stored decision: a row of a rollout's history.
type Look struct {
	Revision int64     `json:"revision"`
	At       time.Time `json:"at"`
	Core     int       `json:"core"`
	From     string    `json:"from" doc:"phase before"`
	To       string    `json:"to" doc:"phase after"`
	Step     int       `json:"step"`
	Weight   float64   `json:"weight"`
	Why      string    `json:"why"`
}

// Explanation tells from history why a rollout is where it is.
type Explanation struct {
	Rollout   Rollout    `json:"rollout"`
	Summary   string     `json:"summary"`
	Next      string     `json:"next,omitempty" doc:"what to type to go on"`
	Sentences []Sentence `json:"sentences"`
	Requests  []string   `json:"requests,omitempty" doc:"sample log lines of what failed"`
}

// Sentence is one thing that happened.
type Sentence struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Replay is what came of feeding a stored history through the core again.
type Replay struct {
	Rollout int64  `json:"rollout"`
	Looks   int    `json:"looks"`
	Agrees  bool   `json:"agrees"`
	Differs string `json:"differs,omitempty"`
}

// CommandRequest asks something of a rollout.
type CommandRequest struct {
	Verb   string  `json:"verb" enum:"abort,pause,resume,promote,promote-full,set-weight,retry"`
	Weight float64 `json:"weight,omitempty" minimum:"0" maximum:"100" doc:"set-weight: percent"`
	Step   int     `json:"step,omitempty" minimum:"0" doc:"retry: step to begin with, from 1; 0: the first"`
	For    string  `json:"for,omitempty" doc:"pause: a duration after which it resumes"`
	Reason string  `json:"reason,omitempty" maxLength:"500"`
}

// RollbackRequest asks for an earlier promoted version.
type RollbackRequest struct {
	Env      string `json:"env,omitempty" doc:"empty: the only one, or production"`
	Workload string `json:"workload,omitempty" doc:"empty: every workload that the last release moved"`
	To       string `json:"to,omitempty" doc:"r41 or v17; empty: the promoted one before"`
}

// RollbackAnswer names what was begun.
type RollbackAnswer struct {
	Rollouts []int64  `json:"rollouts" doc:"opened, or aborted"`
	Did      []string `json:"did" doc:"a sentence each"`
}

// DiffRequest asks what a deploy of a manifest would change.
type DiffRequest struct {
	Env      string `json:"env,omitempty"`
	Manifest string `json:"manifest,omitempty" doc:"titrate.yaml; empty: that of the newest release"`
	// Folders are those with code, of the repository that Manifest is of: its patterns may
	// name them.
	Folders []string `json:"folders,omitempty"`
}

// Difference is one thing that differs between what runs and what is asked.
type Difference struct {
	Workload string `json:"workload"`
	Field    string `json:"field"`
	Running  string `json:"running"`
	Asked    string `json:"asked"`
	Effect   string `json:"effect" doc:"what a deploy would do about it"`
}

// Secret is a secret's name; its value never leaves the server.
type Secret struct {
	Name string    `json:"name"`
	Set  time.Time `json:"set"`
}

// LogLine is one line that a process, a hook or a build wrote.
type LogLine struct {
	At       time.Time `json:"at"`
	Workload string    `json:"workload"`
	Version  int       `json:"version"`
	Instance string    `json:"instance"`
	Stream   string    `json:"stream"`
	Text     string    `json:"text"`
}

// Event is something that happened. IDs grow.
type Event struct {
	ID       int64          `json:"id"`
	At       time.Time      `json:"at"`
	Kind     string         `json:"kind"`
	App      string         `json:"app,omitempty"`
	Env      string         `json:"env,omitempty"`
	Workload string         `json:"workload,omitempty"`
	Rollout  int64          `json:"rollout,omitempty"`
	Release  int            `json:"release,omitempty"`
	Data     map[string]any `json:"data,omitempty"`
}

// EventReset is the kind of an event that says that others were missed: they are kept
// no longer. What was made of events before has to be asked for anew.
const EventReset = "reset"

// Server says what the server is.
type Server struct {
	Version     string   `json:"version"`
	API         string   `json:"api" doc:"address of this API"`
	Gateway     string   `json:"gateway" doc:"address of the gateway"`
	HTTPS       string   `json:"https,omitempty" doc:"form of a host's address over TLS: https://HOST"`
	URL         string   `json:"url,omitempty" doc:"where this API and the git remotes are reached from elsewhere, over TLS"`
	Data        string   `json:"data" doc:"the data folder"`
	Node        string   `json:"node" enum:"up,down"`
	Engine      *Engine  `json:"engine,omitempty" doc:"the container engine that builds and runs images; absent: none answers"`
	Confinement []string `json:"confinement,omitempty" doc:"what this machine cannot confine"`
}

// Engine is a container engine.
type Engine struct {
	Name     string `json:"name,omitempty" doc:"Docker or Podman; absent: it has not answered yet"`
	Version  string `json:"version,omitempty"`
	Socket   string `json:"socket"`
	Rootless bool   `json:"rootless,omitempty"`
	Up       bool   `json:"up" doc:"it answers"`
}

// Problem is an error of the API, RFC 9457.
type Problem struct { //nolint:errname // a problem is what the wire and its RFC call it
	Type   string          `json:"type,omitempty"`
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"`
	Code   string          `json:"code,omitempty" doc:"T0312; titrate explain CODE tells more"`
	Errors []ProblemDetail `json:"errors,omitempty" doc:"what is wrong with the request, one by one"`
}

// ProblemDetail is one thing that is wrong with a request.
type ProblemDetail struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty" doc:"where: body.weight"`
}

// Error is the detail, which stands alone.
func (p *Problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text = p.Detail
	}
	for _, d := range p.Errors {
		text += "\n  " + d.Location + ": " + d.Message
	}
	return text
}
