package analysis_test

import (
	"fmt"
	"time"

	"titrate/internal/analysis"
)

// A version breaks every tenth request.
func ExampleJudge() {
	alarm, err := analysis.ParseAlarm("errors", "5xx > 1% for 2s")
	if err != nil {
		fmt.Println(err)
		return
	}
	arrived := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	candidate := analysis.NewSeries([]analysis.Alarm{alarm})
	candidate.Begin(arrived)
	for second := range 2 {
		w := analysis.Window{Start: arrived.Add(time.Duration(second) * time.Second), Length: time.Second, Requests: 40}
		w.Status[2], w.Status[5], w.Failed = 36, 4, 4
		candidate.Add(w)

		r := analysis.Judge(alarm, candidate, nil, nil, w.End())
		fmt.Printf("%s: %s\n", r.Verdict, r.Text)
	}
	// Output:
	// inconclusive: 5xx was 10 % for 1 s, limit 1 %; trips after 2 s
	// fail: 5xx was 10 % for 2 s, limit 1 %
}

func ExampleParseAlarm() {
	_, err := analysis.ParseAlarm("latency", "p99 > 800 for 1m")
	fmt.Println(err)
	// Output: no unit (write 800ms or 800s)
}
