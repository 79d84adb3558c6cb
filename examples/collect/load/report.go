package load

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Failure is a request that did not get what it should.
type Failure struct {
	ID      string    `json:"id"` // X-Request-Id
	At      time.Time `json:"at"`
	Step    string    `json:"step"`   // "POST /pickups"
	Status  int       `json:"status"` // 0: no answer
	Version string    `json:"version,omitempty"`
	Err     string    `json:"err,omitempty"`
	Body    string    `json:"body,omitempty"` // its beginning
}

// Count is what one version or one step answered.
type Count struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
}

// Report is a whole run.
type Report struct {
	Started  time.Time        `json:"started"`
	Ended    time.Time        `json:"ended"`
	Sent     int              `json:"sent"`
	OK       int              `json:"ok"`
	Failed   int              `json:"failed"`
	Late     int              `json:"late"`  // sent later than scheduled, because Concurrency was reached
	Twice    int              `json:"twice"` // requests that were sent a second time under their key
	Statuses map[int]int      `json:"statuses"`
	Versions map[string]Count `json:"versions"` // by the answer's Titrate-Version; "" where it had none
	Steps    map[string]Count `json:"steps"`
	P50      time.Duration    `json:"p50"` // from the scheduled arrival, as a customer feels it
	P99      time.Duration    `json:"p99"`
	Failures []Failure        `json:"failures"` // the first 10,000

	// Pickups has, for each request that was accepted, its pickup by Idempotency-Key.
	Pickups map[string]string `json:"-"`
	// Unsure are keys that were sent and not answered: they may have a pickup.
	Unsure []string `json:"unsure,omitempty"`
	// Doubled are keys that got two different pickups: none may.
	Doubled []string `json:"doubled,omitempty"`
}

// mostKept bounds what is kept of failures, and times a hundred of latencies.
const mostKept = 10_000

// tally collects a report.
type tally struct {
	mu        sync.Mutex
	report    Report
	latencies []time.Duration
	open      map[string]bool // keys without an answer
}

func newTally(at time.Time) *tally {
	return &tally{open: map[string]bool{}, report: Report{
		Started: at, Statuses: map[int]int{}, Versions: map[string]Count{}, Steps: map[string]Count{}, Pickups: map[string]string{},
	}}
}

func (t *tally) late() { t.mu.Lock(); t.report.Late++; t.mu.Unlock() }

// send notes a request that is about to leave.
func (t *tally) send(key string, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Sent++
	if again {
		t.report.Twice++
	}
	if key != "" && t.report.Pickups[key] == "" {
		t.open[key] = true
	}
}

// done counts an answer; failure is nil when it was as it should be.
func (t *tally) done(step string, a answer, failure *Failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.report
	r.Statuses[a.status]++
	version, steps := r.Versions[a.version], r.Steps[step]
	if len(t.latencies) < 100*mostKept {
		t.latencies = append(t.latencies, a.latency)
	}
	if failure == nil {
		r.OK, version.OK, steps.OK = r.OK+1, version.OK+1, steps.OK+1
	} else {
		r.Failed, version.Failed, steps.Failed = r.Failed+1, version.Failed+1, steps.Failed+1
		if len(r.Failures) < mostKept {
			r.Failures = append(r.Failures, *failure)
		}
	}
	r.Versions[a.version], r.Steps[step] = version, steps
}

// accepted notes that a key has a pickup, always the same one.
func (t *tally) accepted(key, id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, key)
	if other, ok := t.report.Pickups[key]; ok && other != id {
		t.report.Doubled = append(t.report.Doubled, key)
		return
	}
	t.report.Pickups[key] = id
}

func (t *tally) end(at time.Time) *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.report
	r.Ended, r.Unsure = at, slices.Sorted(maps.Keys(t.open))
	slices.Sort(t.latencies)
	if n := len(t.latencies); n > 0 {
		r.P50, r.P99 = t.latencies[n/2], t.latencies[min(n-1, n*99/100)]
	}
	return &r
}
