package load

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Stats is what came back in one second.
type Stats struct {
	Second   int                     `json:"second"` // since the start, from 1
	At       time.Time               `json:"at"`     // its end
	Sent     int                     `json:"sent"`
	OK       int                     `json:"ok"`
	Failed   int                     `json:"failed"`
	InFlight int                     `json:"in_flight"`
	P50      time.Duration           `json:"p50"` // from the scheduled arrival, as a customer feels it
	P99      time.Duration           `json:"p99"`
	Versions map[string]VersionStats `json:"versions"` // by the answer's Titrate-Version; "" where it had none
}

// VersionStats is what one version answered.
type VersionStats struct {
	OK     int           `json:"ok"`
	Failed int           `json:"failed"`
	P50    time.Duration `json:"p50"`
	P99    time.Duration `json:"p99"`
}

// Failure is a request that did not get what it should: no answer (Status 0), a
// 5xx, or an answer that its step does not expect.
type Failure struct {
	ID      string    `json:"id"` // X-Request-Id
	At      time.Time `json:"at"`
	Step    string    `json:"step"` // "POST /checkout"
	Status  int       `json:"status"`
	Version string    `json:"version,omitempty"`
	Err     string    `json:"err,omitempty"`
	Body    string    `json:"body,omitempty"` // its beginning
}

// Report is a whole run.
type Report struct {
	Started  time.Time               `json:"started"`
	Ended    time.Time               `json:"ended"`
	Sent     int                     `json:"sent"`
	OK       int                     `json:"ok"`
	Failed   int                     `json:"failed"`
	NoAnswer int                     `json:"no_answer"` // of the failed: connections refused, reset, timed out
	Redialed int                     `json:"redialed"`  // sent again by the client because a kept connection had gone
	Late     int                     `json:"late"`      // sent later than scheduled, because Concurrency was reached
	Journeys int                     `json:"journeys"`
	Statuses map[int]int             `json:"statuses"`
	Versions map[string]VersionStats `json:"versions"`
	Steps    map[string]VersionStats `json:"steps"`
	P50      time.Duration           `json:"p50"`
	P90      time.Duration           `json:"p90"`
	P99      time.Duration           `json:"p99"`
	Max      time.Duration           `json:"max"`
	Failures []Failure               `json:"failures"` // the first 10,000
	// Orders has, for every checkout that was accepted, its order's id by
	// Idempotency-Key.
	Orders map[string]string `json:"-"`
	// Doubled are keys that got two different orders: none may.
	Doubled []string `json:"doubled,omitempty"`
}

const mostFailures = 10_000

// tally counts; its methods may be called from many goroutines.
type tally struct {
	mu        sync.Mutex
	report    Report
	all       histogram
	versions  map[string]*count
	steps     map[string]*count
	second    map[string]*count // by version, of the running second
	secondAll histogram
	sent      int // in the running second
	inFlight  int
}

type count struct {
	ok, failed int
	latency    histogram
}

func (c *count) stats() VersionStats {
	return VersionStats{OK: c.ok, Failed: c.failed, P50: c.latency.quantile(.5), P99: c.latency.quantile(.99)}
}

func (c *count) add(ok bool, d time.Duration) {
	if ok {
		c.ok++
	} else {
		c.failed++
	}
	c.latency.add(d)
}

func newTally(start time.Time) *tally {
	return &tally{
		report:   Report{Started: start, Statuses: map[int]int{}, Orders: map[string]string{}},
		versions: map[string]*count{}, steps: map[string]*count{}, second: map[string]*count{},
	}
}

func of(m map[string]*count, key string) *count {
	c := m[key]
	if c == nil {
		c = &count{}
		m[key] = c
	}
	return c
}

func (t *tally) send() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Sent++
	t.sent++
	t.inFlight++
}

// done counts an answer; failure is nil when it was as it should be.
func (t *tally) done(a answer, step string, failure *Failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight--
	ok := failure == nil
	of(t.versions, a.version).add(ok, a.latency)
	of(t.second, a.version).add(ok, a.latency)
	of(t.steps, step).add(ok, a.latency)
	t.all.add(a.latency)
	t.secondAll.add(a.latency)
	t.report.Statuses[a.status]++
	if a.redialed {
		t.report.Redialed++
	}
	if ok {
		t.report.OK++
		return
	}
	t.report.Failed++
	if a.status == 0 {
		t.report.NoAnswer++
	}
	if len(t.report.Failures) < mostFailures {
		t.report.Failures = append(t.report.Failures, *failure)
	}
}

func (t *tally) late()    { t.mu.Lock(); t.report.Late++; t.mu.Unlock() }
func (t *tally) journey() { t.mu.Lock(); t.report.Journeys++; t.mu.Unlock() }

// accepted notes that a key has an order, always the same one.
func (t *tally) accepted(key, order string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other, ok := t.report.Orders[key]; ok && other != order {
		t.report.Doubled = append(t.report.Doubled, key)
		return
	}
	t.report.Orders[key] = order
}

// tick closes the running second.
func (t *tally) tick(second int, at time.Time) Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Stats{Second: second, At: at, Sent: t.sent, InFlight: t.inFlight, P50: t.secondAll.quantile(.5), P99: t.secondAll.quantile(.99), Versions: map[string]VersionStats{}}
	for v, c := range t.second {
		s.OK += c.ok
		s.Failed += c.failed
		s.Versions[v] = c.stats()
	}
	t.sent, t.second, t.secondAll = 0, map[string]*count{}, histogram{}
	return s
}

func (t *tally) end(at time.Time) *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.report
	r.Ended = at
	r.Versions, r.Steps = map[string]VersionStats{}, map[string]VersionStats{}
	for v, c := range t.versions {
		r.Versions[v] = c.stats()
	}
	for s, c := range t.steps {
		r.Steps[s] = c.stats()
	}
	r.P50, r.P90, r.P99, r.Max = t.all.quantile(.5), t.all.quantile(.9), t.all.quantile(.99), t.all.max
	r.Statuses, r.Orders, r.Failures = maps.Clone(r.Statuses), maps.Clone(r.Orders), slices.Clone(r.Failures)
	return &r
}
