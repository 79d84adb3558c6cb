package cli

import (
	"fmt"
	"io"
	"strings"

	"titrate/client"
)

// drawShield says what became of a candidate's failures: those that stable answered
// instead, and those that clients saw, by why they did (R25).
func drawShield(w io.Writer, v client.Version) {
	if v.Shielded == 0 && v.Failures == 0 {
		return
	}
	fmt.Fprintf(w, "  %d shielded, %d %s served", v.Shielded, v.Failures, plural("failure", int(v.Failures)))
	var why []string
	for _, u := range []struct {
		n    uint64
		name string
	}{
		{v.Unshielded.Method, "method"},
		{v.Unshielded.Body, "body too large"},
		{v.Unshielded.Budget, "budget spent"},
		{v.Unshielded.Sent, "answer begun"},
		{v.Unshielded.Status, "status"},
		{v.Unshielded.Stable, "stable not ready"},
	} {
		if u.n > 0 {
			why = append(why, fmt.Sprintf("%s %d", u.name, u.n))
		}
	}
	if len(why) > 0 {
		fmt.Fprintf(w, " (%s)", strings.Join(why, ", "))
	}
}
