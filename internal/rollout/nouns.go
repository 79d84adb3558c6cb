package rollout

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Key names a workload in one environment of an app.
type Key struct {
	App      string `json:"app"`
	Env      string `json:"env"`
	Workload string `json:"workload"`
}

// String returns "app/env/workload".
func (k Key) String() string { return k.App + "/" + k.Env + "/" + k.Workload }

// Version numbers a workload's artifact with its resolved config in one
// environment: v1, v2, … in the order in which they were made. Zero is no version.
type Version int

// String returns "v17", or "none" for no version.
func (v Version) String() string {
	if v == 0 {
		return "none"
	}
	return "v" + strconv.Itoa(int(v))
}

// Release numbers one commit with its manifest and artifacts in an app: r1, r2, …
type Release int

// String returns "r42".
func (r Release) String() string { return "r" + strconv.Itoa(int(r)) }

// span writes a duration for people: "2m" for 2m0s.
func span(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Weight is a share of a workload's traffic in hundredths of a percent (R15).
type Weight int

// Full is all of a workload's traffic.
const Full Weight = 10000

// Percent makes a weight of p percent, rounded to 0.01 %.
func Percent(p float64) Weight { return Weight(p*100 + 0.5) }

// String returns the weight in percent without trailing zeros: "0.5 %", "20 %".
func (w Weight) String() string {
	s := fmt.Sprintf("%d.%02d", w/100, w%100)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + " %"
}

// Instances returns how many of n instances must be ready before w may be given
// to a version: the smallest whole number that is at least w·n (R5).
func (w Weight) Instances(n int) int {
	return (int(w)*n + int(Full) - 1) / int(Full)
}
