package analysis

import "time"

// Alarm is a rule over a version's windows that trips.
type Alarm struct {
	Name     string        `json:"name"` // as in the manifest: "errors"
	Metric   Metric        `json:"metric"`
	Below    bool          `json:"below,omitempty"`    // trips below the limit instead of above
	Limit    float64       `json:"limit"`              // ratio metrics: 0.01 is 1 %; latency: seconds; rps: requests a second; restarts, timeouts, oom, throttles: a count; queue: seconds; cpu, memory: a share of the limit
	Relative bool          `json:"relative,omitempty"` // Limit is a multiple of what stable shows
	Period   time.Duration `json:"period"`             // a data point's length
	M        int           `json:"m"`                  // data points that must breach …
	N        int           `json:"n"`                  // … of the last N
	Min      int           `json:"min"`                // requests in the evaluation window (N periods) below which the verdict is no-data
	Missing  Missing       `json:"missing"`            // what a data point without requests counts as
	Reaction Reaction      `json:"reaction"`
	Text     string        `json:"text"` // its short form, as [Alarm.String] writes it
}

// Reaction is what an alarm that trips does to the rollout.
type Reaction string

// The reactions, first the default.
const (
	ReactRollback Reaction = "rollback"
	ReactPause    Reaction = "pause"
	ReactNotify   Reaction = "notify"
)

// Missing says how a missing data point is treated, as CloudWatch documents it.
type Missing string

// The treatments of missing data.
const (
	MissingMissing      Missing = "missing"
	MissingIgnore       Missing = "ignore"
	MissingBreaching    Missing = "breaching"
	MissingNotBreaching Missing = "notBreaching"
)

// Verdict is what the evaluation window that closed last says.
type Verdict string

// The verdicts. An error while measuring is none of them: see [Reading].Err.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive" // a breach is under way but has not lasted, or too few bad events to tell: holds
	NoData       Verdict = "no-data"      // too few requests: holds (R11)
)

// Reading is one alarm's verdict with its numbers.
type Reading struct {
	Alarm       string    `json:"alarm"`
	Verdict     Verdict   `json:"verdict,omitempty"`  // empty: no window has closed since the weight arrived, or Err
	Abstains    bool      `json:"abstains,omitempty"` // has nothing to compare with or does not apply: it neither passes, fails nor holds
	Err         string    `json:"err,omitempty"`      // the source could not be read: no verdict (R12)
	Reaction    Reaction  `json:"reaction"`
	Value       float64   `json:"value"`  // over the evaluation window, or over its breaching data points while a breach is under way; in the unit of Alarm.Limit (relative memory: bytes)
	Limit       float64   `json:"limit"`  // absolute: a relative limit times stable's value
	Stable      float64   `json:"stable"` // stable's value in the same windows; NaN is written as 0 with StableKnown false
	StableKnown bool      `json:"stable_known,omitempty"`
	Requests    uint64    `json:"requests"` // the candidate's, in the evaluation window; since it was last seen to be well where their sum trips
	Bad         uint64    `json:"bad"`      // bad events among them (ratios), or slower than the limit (quantiles)
	Min         int       `json:"min"`
	Breaching   int       `json:"breaching"` // data points that breach, of the last N
	M           int       `json:"m"`
	N           int       `json:"n"`
	Since       time.Time `json:"since,omitzero"`  // start of the first breaching data point
	Closed      time.Time `json:"closed,omitzero"` // end of the window the verdict is from
	Text        string    `json:"text"`            // a sentence: "5xx was 7.9 % for 2 s, limit 1 %"
}
