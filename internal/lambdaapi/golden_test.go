package lambdaapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"titrate/internal/invocation"
	"titrate/internal/node"
)

var update = flag.Bool("update", false, "write golden files anew")

// changing is what differs from run to run.
var changing = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000|x86_64|arm64`)

// TestGolden_answers holds what the API says, so that its shape does not change by chance.
func TestGolden_answers(t *testing.T) {
	t.Parallel()
	i := install(t)
	k := i.local(t)
	i.deliver(t, "a1", over)
	i.deliver(t, "b2", at(1000))
	var b strings.Builder
	say := func(method, path, body string, head ...string) {
		a := i.ask(t, k, method, path, body, head...)
		fmt.Fprintf(&b, "> %s %s %s %s\n%d\n", method, path, strings.Join(head, " "), body, a.status)
		for _, name := range []string{"Content-Type", "X-Amzn-Errortype", "X-Amz-Executed-Version", "X-Amz-Function-Error", "X-Amz-Log-Result", "Retry-After"} {
			if v := a.header.Get(name); v != "" {
				fmt.Fprintf(&b, "%s: %s\n", name, v)
			}
		}
		var pretty bytes.Buffer
		if json.Indent(&pretty, []byte(a.body), "", "  ") == nil {
			a.body = pretty.String()
		}
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(changing.ReplaceAllString(a.body, "…")))
	}
	say("POST", "/api-pickups-get/invocations", `{"id":7}`, "X-Amz-Log-Type", "Tail")
	say("POST", "/api-pickups-get/invocations", "", "X-Amz-Invocation-Type", "Event")
	say("POST", "/api-pickups-get/invocations", "", "X-Amz-Invocation-Type", "DryRun")
	say("POST", "/wed/invocations", "")
	say("POST", "/api-pickups-get/invocations?Qualifier=7", "")
	say("GET", "", "")
	say("GET", "/api-pickups-get?Qualifier=2", "")
	say("GET", "/nightly-report/versions", "")
	say("POST", "/api-pickups-get/versions", "{}")
	say("GET", "/api-pickups-get/aliases", "")
	say("PUT", "/api-pickups-get/aliases/live", `{"RoutingConfig":{"AdditionalVersionWeights":{"2":1.5}}}`)
	i.machine.answer = func(node.Invocation) (node.Invoked, error) {
		return node.Invoked{Version: 2, Failure: invocation.Unhandled, Payload: []byte(`{"errorType":"TypeError","errorMessage":"no beans"}`)}, nil
	}
	say("POST", "/api-pickups-get/invocations", "")
	i.machine.answer = func(node.Invocation) (node.Invoked, error) { return node.Invoked{Failure: invocation.Throttled}, nil }
	say("POST", "/api-pickups-get/invocations", "")

	const path = "testdata/answers.txt"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != b.String() {
		t.Errorf("%s is not what is said (%v); -update writes it anew:\n%s", path, err, b.String())
	}
}
