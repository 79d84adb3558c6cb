package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/invocation"
)

// shards is how many ways the accounts of a version are split, so that cores do
// not wait for one another.
const shards = 8

// outcome is what came of one request or event that was freely drawn.
type outcome struct {
	called  called        // of a function: what its callee said of it
	status  int           // as sent to the client; 0: no head was sent
	failed  bool          // the version broke it, or the status is 5xx
	aborted bool          // the client went away: not the version's failure
	latency time.Duration // what the version took: until its head, and waiting for its body
	fault   fault         // why it gave no whole answer; empty: it did
	retries int           // set by count
	in, out int64         // bytes of bodies: from the client, from the version
}

// meter counts the outcomes of one version. Each request's counts are added
// under one lock and taken under it, so that a window holds whole requests only
// and the windows' sum is exactly what was counted.
type meter struct {
	shards [shards]struct {
		mu sync.Mutex
		n  counts
		_  [64]byte // keeps two shards out of one cache line
	}
	mu        sync.Mutex
	resources Resource
	sampled   bool
}

// counts is what a shard has counted since it was last taken.
type counts struct {
	requests, failed, aborted      uint64
	timeouts, oom, throttles, cold uint64
	status                         [6]uint64
	latency                        *[analysis.Buckets]uint32 // nil until the first request
	low, high                      int                       // the range of latency that is in use
}

func (m *meter) add(shard int, o outcome) {
	b := analysis.Bucket(o.latency)
	s := &m.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n.call(o.called)
	s.n.requests++
	if o.failed {
		s.n.failed++
	}
	if o.aborted {
		s.n.aborted++
	}
	if c := o.status / 100; c >= 1 && c <= 5 {
		s.n.status[c]++
	}
	if s.n.latency == nil {
		s.n.latency = new([analysis.Buckets]uint32)
	}
	if s.n.requests == 1 {
		s.n.low, s.n.high = b, b
	}
	s.n.low, s.n.high = min(s.n.low, b), max(s.n.high, b)
	s.n.latency[b]++
}

// throttle counts an event that was turned away: it will come again, so it is in no
// other count.
func (m *meter) throttle(shard int) {
	s := &m.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n.throttles++
}

// called is the part of [invocation.Called] that is counted.
type called struct {
	failure invocation.Failure
	cold    bool
}

func (n *counts) call(c called) {
	switch c.failure {
	case invocation.Timeout:
		n.timeouts++
	case invocation.Memory:
		n.oom++
	case invocation.Throttled:
		n.throttles++
	default: // among failed, if it is one
	}
	if c.cold {
		n.cold++
	}
}

// Resource is what one instance of a version used, or how often it was
// restarted, since the last sample.
type Resource struct {
	CPU         float64 // core-seconds used
	CPULimit    float64 // core-seconds it could have used; 0: not limited
	Memory      uint64  // resident bytes
	MemoryLimit uint64  // bytes; 0: not limited
	Restarts    uint64
}

func (m *meter) addResource(r Resource) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sampled = true
	m.resources.CPU += r.CPU
	m.resources.CPULimit += r.CPULimit
	m.resources.Restarts += r.Restarts
	if r.Memory >= m.resources.Memory { // the largest instance, with its own limit
		m.resources.Memory, m.resources.MemoryLimit = r.Memory, r.MemoryLimit
	}
}

// take returns what was counted since the last take and begins anew; told is
// false when that is nothing.
func (m *meter) take() (w analysis.Window, told bool) {
	var sum [analysis.Buckets]uint64
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		w.Requests += s.n.requests
		w.Failed += s.n.failed
		w.Aborted += s.n.aborted
		w.Timeouts += s.n.timeouts
		w.OOM += s.n.oom
		w.Throttles += s.n.throttles
		w.ColdStarts += s.n.cold
		for c, n := range s.n.status {
			w.Status[c] += n
		}
		if s.n.requests > 0 {
			used := s.n.latency[s.n.low : s.n.high+1]
			for i, n := range used {
				sum[s.n.low+i] += uint64(n)
			}
			clear(used)
		}
		s.n = counts{latency: s.n.latency}
		s.mu.Unlock()
	}
	if w.Requests > 0 {
		w.Latency = analysis.HistogramOf(&sum)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.resources
	w.CPU, w.CPULimit, w.Memory, w.MemoryLimit, w.Restarts = r.CPU, r.CPULimit, r.Memory, r.MemoryLimit, r.Restarts
	told = w.Requests > 0 || w.Throttles > 0 || m.sampled
	m.resources, m.sampled = Resource{}, false
	return w, told
}

// totals are a version's counts since the gateway began, beside the windows.
type totals struct {
	failedOver atomic.Uint64 // drawn on it, answered by another version because it had nothing ready (R5)
	unready    atomic.Uint64 // drawn on it, refused with 503 because no version had
	previewed  atomic.Uint64 // reached it by a preview address, the version header or an event that was for it: in no window
	matched    atomic.Uint64 // sent to it by a match rule, past the draw
	drained    atomic.Uint64 // streams closed because it lost its traffic (R17)
	cut        atomic.Uint64 // requests that outlived its drain (R17)
	broken     atomic.Uint64 // streams that it broke after they had been counted

	// Of a candidate (R25): failures that stable has answered in its place, and those that
	// were served, by why they were.
	shielded atomic.Uint64
	served   [unshieldeds]atomic.Uint64
}
